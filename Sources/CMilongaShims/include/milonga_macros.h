// Lua's API macros as functions, for Swift does not import function-like macros.
#ifndef MILONGA_MACROS_H
#define MILONGA_MACROS_H

#include <lauxlib.h>
#include <lua.h>
#include <stdint.h>

static inline int milonga_upvalueindex(int i) { return lua_upvalueindex(i); }
static inline int milonga_registryindex(void) { return LUA_REGISTRYINDEX; }
static inline void milonga_pop(lua_State *L, int n) { lua_settop(L, -n - 1); }
static inline void milonga_insert(lua_State *L, int i) { lua_rotate(L, i, 1); }
static inline void milonga_remove(lua_State *L, int i) {
  lua_rotate(L, i, -1);
  lua_settop(L, -2);
}
static inline void milonga_replace(lua_State *L, int i) {
  lua_copy(L, -1, i);
  lua_settop(L, -2);
}
static inline void *milonga_newuserdata(lua_State *L, size_t bytes, int values) {
  return lua_newuserdatauv(L, bytes, values);
}
// Fetches the start of a coroutine's state into the processor's cache, for its turn that comes
// soon.
static inline void milonga_prefetch_state(const lua_State *L) {
  const char *start = (const char *)L;
  for (int line = 0; line < 4; line++) __builtin_prefetch(start + 64 * line);
}
static inline void milonga_pushglobaltable(lua_State *L) {
  lua_rawgeti(L, LUA_REGISTRYINDEX, LUA_RIDX_GLOBALS);
}

// Eight bytes that belong to the coroutine, of which Lua makes no use. In a state made by
// milonga_newstate they are 0 at first.
static inline uint64_t *milonga_extraspace(lua_State *L) {
  return (uint64_t *)lua_getextraspace(L);
}

// Release and copyright, as `lua5.4 -v` prints them.
static inline const char *milonga_lua_copyright(void) { return LUA_COPYRIGHT; }

#endif
