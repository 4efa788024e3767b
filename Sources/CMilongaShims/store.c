// The store: a table that Swift's references are in, on the stack of a thread, the *keeper*, that
// never runs.
//
// No function of the debug library reaches the stack of a thread below its first function, so a
// script that holds the keeper cannot get at the table. In a state of our own the keeper lies in
// the place of the function in the main thread's outermost frame, from where nothing takes it. A
// state that another program has made has no such place. There it belongs to a userdata that
// nothing refers to: each time the collector finds that out, the userdata's finaliser marks it to
// be finalised again, and so it lives until the state closes. But the collector finalises with it
// what only it holds, and a finaliser fails where the stack overflows. So table and keeper also lie
// on the stack of a second thread, which the registry and the userdata of all functions have.
#include "CMilongaShims.h"

#include <lauxlib.h>

enum { TABLE = 1 }; // the table's place on the keeper's stack

static const char second_key = 0, main_key = 0;

// Pushes a thread with a table on its stack. What lies on top is no function: resuming it fails.
static lua_State *push_keeper(lua_State *L) {
  lua_State *keeper = lua_newthread(L);
  lua_createtable(L, 64, 0);
  lua_xmove(L, keeper, 1);
  lua_pushboolean(keeper, 0);
  return keeper;
}

static int make_own(lua_State *L) {
  milonga_memory_of(L)->keeper = push_keeper(L);
  return 1;
}

int milonga_makestore(lua_State *L) {
  milonga_memory_of(L)->main = L;
  lua_pushcfunction(L, make_own);
  int status = lua_pcall(L, 0, 1, 0);
  // The slot below the only value on the stack is for the outermost frame's function. That frame
  // has no function, so the slot is free.
  if (status == LUA_OK) lua_copy(L, -1, -2);
  lua_settop(L, 0);
  return status;
}

// Finalises what holds the store of a state that another program has made: it lives on.
static int live_on(lua_State *L) {
  if (lua_type(L, 1) == LUA_TUSERDATA && lua_getmetatable(L, 1)) lua_setmetatable(L, 1);
  return 0;
}

static int make_foreign(lua_State *L) {
  milonga_memory *memory = milonga_memory_of(L);
  lua_newuserdatauv(L, 0, 1);
  lua_State *keeper = push_keeper(L);
  lua_setiuservalue(L, 1, 1);
  // Should it be another thread than the main one, it stays at least.
  lua_rawgeti(L, LUA_REGISTRYINDEX, LUA_RIDX_MAINTHREAD);
  memory->main = lua_tothread(L, -1);
  if (memory->main == NULL) return luaL_error(L, "milonga: the registry has no main thread");
  lua_pushvalue(keeper, TABLE);
  lua_xmove(keeper, L, 1);
  lua_insert(L, -2);
  lua_rawsetp(L, -2, &main_key);
  // With the table in the registry, though out of reach, too, what is kept is marked step by step.
  lua_State *second = lua_newthread(L);
  lua_pushvalue(L, -1);
  lua_rawsetp(L, -3, &second_key);
  lua_insert(L, -2);
  lua_xmove(L, second, 1);
  lua_pushthread(keeper);
  lua_xmove(keeper, second, 1);
  lua_pushboolean(second, 0);
  memory->second = second;
  lua_rawsetp(L, LUA_REGISTRYINDEX, &second_key);
  lua_createtable(L, 0, 1);
  lua_pushcfunction(L, live_on);
  lua_setfield(L, -2, "__gc");
  lua_setmetatable(L, 1);
  memory->keeper = keeper;
  return 0;
}

int milonga_openstore(lua_State *L) {
  if (milonga_memory_of(L)->keeper != NULL) return LUA_OK;
  lua_pushcfunction(L, make_foreign);
  return lua_pcall(L, 0, 0, 0);
}

static inline lua_State *keeper_of(lua_State *L) { return milonga_memory_of(L)->keeper; }

void milonga_holdstore(lua_State *L) {
  lua_State *second = milonga_memory_of(L)->second;
  lua_pushthread(second);
  lua_xmove(second, L, 1);
  lua_setiuservalue(L, -2, 1);
}

lua_State *milonga_mainthread(lua_State *L) { return milonga_memory_of(L)->main; }

// Puts the table below the topmost value. The keeper's own stack is used for no more than copies:
// what allocates may run a finaliser, or raise an error, and that on the thread it is told.
static void insert_table(lua_State *L) {
  lua_State *keeper = keeper_of(L);
  lua_pushvalue(keeper, TABLE);
  lua_xmove(keeper, L, 1);
  lua_insert(L, -2);
}

int milonga_retain(lua_State *L) {
  insert_table(L);
  int reference = luaL_ref(L, -2);
  if (reference > 0) milonga_memory_of(L)->retained++;
  lua_settop(L, -2);
  return reference;
}

void milonga_pushretained(lua_State *L, int reference) {
  lua_State *keeper = keeper_of(L);
  lua_rawgeti(keeper, TABLE, reference);
  lua_xmove(keeper, L, 1);
}

void milonga_replaceretained(lua_State *L, int reference) {
  insert_table(L);
  lua_rawseti(L, -2, reference);
  lua_settop(L, -2);
}

void milonga_unretain(lua_State *L, int reference) {
  milonga_memory *memory = milonga_memory_of(L);
  if (reference > 0) memory->retained--;
  luaL_unref(memory->keeper, TABLE, reference);
}

void milonga_pushkept(lua_State *L, const void *key) {
  lua_State *keeper = keeper_of(L);
  lua_rawgetp(keeper, TABLE, key);
  lua_xmove(keeper, L, 1);
}

void milonga_keep(lua_State *L, const void *key) {
  insert_table(L);
  lua_rawsetp(L, -2, key);
  lua_settop(L, -2);
}
