// Protected calls from Swift. Inside them no Swift frame is between an error and its catcher, so
// the memory limit is enforced again.
#include "spending.h"

#include <lauxlib.h>
#include <lualib.h>
#include <string.h>

static int hide_swift_frames(milonga_memory *memory) {
  int frames = memory ? memory->swift_frames : 0;
  if (memory) memory->swift_frames = 0;
  return frames;
}

static void restore_swift_frames(milonga_memory *memory, int frames) {
  if (memory) memory->swift_frames = frames;
}

// What was pushed for the call may not be what it should be: the call fails. Of several Swift
// frames it may be another one, which has yet to be told.
static int fail_exhausted(lua_State *L, milonga_memory *memory, int pushed) {
  if (memory->swift_frames <= 1) milonga_take_exhaustion(L);
  lua_settop(L, -pushed - 1);
  lua_pushliteral(L, "not enough memory"); // Lua has the string already
  return LUA_ERRMEM;
}

int milonga_pcall(lua_State *L, int arguments, int results, int handler) {
  milonga_memory *memory = milonga_memory_of(L);
  if (memory && memory->exhausted) return fail_exhausted(L, memory, arguments + 1);
  int frames = hide_swift_frames(memory);
  int status = lua_pcallk(L, arguments, results, handler, 0, NULL);
  restore_swift_frames(memory, frames);
  return status;
}

int milonga_resume(lua_State *co, lua_State *from, milonga_memory *memory, int arguments,
                   int *results) {
  int frames = hide_swift_frames(memory);
  int status = lua_resume(co, from, arguments, results);
  restore_swift_frames(memory, frames);
  return status;
}

int milonga_load(lua_State *L, const char *bytes, size_t count, const char *name,
                 const char *mode) {
  milonga_memory *memory = milonga_memory_of(L);
  int frames = hide_swift_frames(memory);
  int status = current_limits == NULL ? luaL_loadbufferx(L, bytes, count, name, mode)
                                      : limits_load(L, bytes, count, name, mode, 0);
  restore_swift_frames(memory, frames);
  return status;
}

// Before it compiles, luaL_loadfilex makes a name for the chunk, which may find no memory.
static int load_file(lua_State *L) {
  int status = luaL_loadfilex(L, lua_touserdata(L, 1), NULL);
  lua_pushinteger(L, status);
  return 2;
}

int milonga_loadfile(lua_State *L, const char *path) {
  lua_pushcfunction(L, load_file);
  lua_pushlightuserdata(L, (void *)path);
  int status = milonga_pcall(L, 1, 2, 0);
  if (status != LUA_OK) return status;
  status = (int)lua_tointeger(L, -1);
  lua_settop(L, -2);
  return status;
}

static int get(lua_State *L) {
  lua_gettable(L, 1);
  return 1;
}

/* Calls `function` with the table and the `values` topmost values. */
static int call_with(lua_State *L, int table, lua_CFunction function, int values, int results) {
  table = lua_absindex(L, table);
  lua_pushcfunction(L, function);
  lua_insert(L, -values - 1);
  lua_pushvalue(L, table);
  lua_insert(L, -values - 1);
  return milonga_pcall(L, values + 1, results, 0);
}

int milonga_gettable(lua_State *L, int table) { return call_with(L, table, get, 1, 1); }

static int set(lua_State *L) {
  lua_settable(L, 1);
  return 0;
}

int milonga_settable(lua_State *L, int table) { return call_with(L, table, set, 2, 0); }

static int to_string(lua_State *L) {
  luaL_tolstring(L, 1, NULL);
  return 1;
}

int milonga_tostring(lua_State *L, int index) {
  index = lua_absindex(L, index);
  lua_pushcfunction(L, to_string);
  lua_pushvalue(L, index);
  return milonga_pcall(L, 1, 1, 0);
}

static int open_libraries(lua_State *L) {
  luaL_openlibs(L);
  return 0;
}

int milonga_openlibs(lua_State *L) {
  lua_pushcfunction(L, open_libraries);
  return milonga_pcall(L, 0, 0, 0);
}

void milonga_collect(lua_State *L) { lua_gc(L, LUA_GCCOLLECT); }

void milonga_generational(lua_State *L) { lua_gc(L, LUA_GCGEN, 0, 0); }

int milonga_iscollecting(lua_State *L) {
  lua_Debug frame;
  if (!lua_getstack(L, 0, &frame) || !lua_getinfo(L, "n", &frame) || frame.name == NULL) return 0;
  // A C hook that allocates sets the collector off, and Lua only says that a hook has called. A
  // hook of a script's that is a finaliser gets no object.
  return (strcmp(frame.namewhat, "metamethod") == 0 && strcmp(frame.name, "__gc") == 0) ||
         strcmp(frame.namewhat, "hook") == 0;
}

int milonga_closecoroutine(lua_State *co, lua_State *from) {
  (void)from; // Lua 5.4.6 wants it; 5.4.4 has only lua_resetthread
  if (milonga_is_stopped(co)) return lua_status(co);
  milonga_memory *memory = milonga_memory_of(co);
  int frames = hide_swift_frames(memory);
  int status = lua_resetthread(co);
  restore_swift_frames(memory, frames);
  return status;
}
