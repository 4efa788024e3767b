// Calls from Swift into Lua. Nothing raised inside crosses the caller: each returns a status.
#ifndef MILONGA_PROTECTED_H
#define MILONGA_PROTECTED_H

#include "milonga_vm.h"

#include <lua.h>

// lua_pcall; `handler` is the stack index of a message handler or 0.
int milonga_pcall(lua_State *L, int arguments, int results, int handler);

// lua_resume. `results` receives the number of values yielded or returned; `memory` is
// what milonga_memory_of says, which a caller that resumes often knows.
int milonga_resume(lua_State *co, lua_State *from, milonga_memory *memory, int arguments,
                   int *results);

// luaL_loadbufferx: `mode` is "t", "b" or "bt".
int milonga_load(lua_State *L, const char *bytes, size_t count, const char *name, const char *mode);

// luaL_loadfilex: `path` NULL is stdin. A first line that begins with # is skipped.
int milonga_loadfile(lua_State *L, const char *path);

// lua_gettable: replaces the key on top with t[key]; on failure with the error.
int milonga_gettable(lua_State *L, int table);

// lua_settable: pops key and value; on failure leaves the error.
int milonga_settable(lua_State *L, int table);

// luaL_tolstring: pushes the value as tostring gives it; on failure the error.
int milonga_tostring(lua_State *L, int index);

// luaL_openlibs.
int milonga_openlibs(lua_State *L);

// lua_gc(L, LUA_GCCOLLECT): a full collection.
void milonga_collect(lua_State *L);

// lua_gc(L, LUA_GCGEN): the generational mode that `lua5.4` runs scripts in.
void milonga_generational(lua_State *L);

// Whether the collector has called the running function, as a finaliser, and not a script by
// itself.
int milonga_iscollecting(lua_State *L);

// Pending to-be-closed variables of a coroutine that ended with an error or will not go on.
int milonga_closecoroutine(lua_State *co, lua_State *from);

#endif
