// Which functions are guarded, and how guards come into a state.
#include "guards.h"
#include "traversal.h"

#include <lauxlib.h>
#include <lualib.h>
#include <pthread.h>
#include <string.h>

static const guard *const all_guards[] = {base_guards,   coroutine_guards, debug_guards,
                                          string_guards, table_guards,     utf8_guards};
enum { LISTS = sizeof all_guards / sizeof all_guards[0] };

// MARK: The originals

static int find_originals(lua_State *L) {
  luaL_openlibs(L);
  traversal_probe(L);
  for (int list = 0; list < LISTS; list++) {
    for (const guard *it = all_guards[list]; it->name != NULL; it++) {
      lua_getglobal(L, it->library);
      lua_getfield(L, -1, it->name);
      *it->original = lua_tocfunction(L, -1);
      lua_settop(L, 0);
    }
  }
  return 0;
}

// A program may have put functions of its own into the libraries of its state; a new state has
// Lua's.
static int know_originals(void) {
  static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
  static int known;
  pthread_mutex_lock(&lock);
  if (!known) {
    lua_State *fresh = luaL_newstate();
    if (fresh != NULL) {
      lua_pushcfunction(fresh, find_originals);
      known = lua_pcall(fresh, 0, 0, 0) == LUA_OK;
      lua_close(fresh);
    }
  }
  pthread_mutex_unlock(&lock);
  return known;
}

static lua_CFunction guarded_form(lua_CFunction function) {
  for (int list = 0; list < LISTS; list++)
    for (const guard *it = all_guards[list]; it->name != NULL; it++)
      if (*it->original == function) return it->guarded;
  return NULL;
}

// MARK: Putting guards into tables

// Replaces the originals in the table on top of the stack.
static void guard_table(lua_State *L) {
  luaL_checkstack(L, 4, NULL);
  lua_pushnil(L);
  while (lua_next(L, -2) != 0) {
    lua_CFunction function = lua_tocfunction(L, -1);
    lua_CFunction guarded = function == NULL ? NULL : guarded_form(function);
    lua_settop(L, -2);
    if (guarded == NULL) continue;
    lua_pushvalue(L, -1);
    lua_pushcfunction(L, guarded);
    lua_rawset(L, -4);
  }
}

// Replaces them in the tables that are values of the table on top of the stack, and in itself.
static void guard_libraries(lua_State *L) {
  guard_table(L);
  lua_pushnil(L);
  while (lua_next(L, -2) != 0) {
    if (lua_istable(L, -1)) guard_table(L);
    lua_settop(L, -2);
  }
}

// Appends the table on top of the stack to the list at `tables`, unless it is there; pops it.
static void enqueue(lua_State *L, int tables, int known, lua_Integer *count) {
  lua_pushvalue(L, -1);
  int is_new = lua_istable(L, -1) && lua_rawget(L, known) == LUA_TNIL;
  lua_settop(L, -2);
  if (is_new) {
    lua_pushvalue(L, -1);
    lua_pushboolean(L, 1);
    lua_rawset(L, known);
    lua_pushvalue(L, -1);
    lua_rawseti(L, tables, ++*count);
  }
  lua_settop(L, -2);
}

// Adds the table on top of the stack, and those in it, to the keys of the table at `known`; pops
// it.
static void know_values(lua_State *L, int known) {
  lua_pushnil(L);
  while (lua_next(L, -2) != 0) {
    if (!lua_istable(L, -1)) {
      lua_settop(L, -2);
      continue;
    }
    lua_pushboolean(L, 1);
    lua_rawset(L, known);
  }
  lua_pushboolean(L, 1);
  lua_rawset(L, known);
}

// Replaces them wherever the table at 1 leads to, but not in the libraries, which are done.
static void guard_tree(lua_State *L) {
  lua_settop(L, 1);
  lua_newtable(L); // the tables, in the order in which they were found
  lua_newtable(L); // the same as keys
  lua_Integer count = 0;
  lua_pushglobaltable(L);
  lua_pushvalue(L, -1);
  know_values(L, 3);
  if (!lua_rawequal(L, 1, -1)) {
    lua_pushvalue(L, 1);
    enqueue(L, 2, 3, &count);
  }
  lua_settop(L, 3);
  for (lua_Integer i = 1; i <= count; i++) {
    lua_rawgeti(L, 2, i);
    guard_table(L);
    if (lua_getmetatable(L, -1)) enqueue(L, 2, 3, &count);
    lua_pushnil(L);
    while (lua_next(L, -2) != 0) enqueue(L, 2, 3, &count);
    lua_settop(L, 3);
  }
}

static int guard_state(lua_State *L) {
  if (!know_originals()) return luaL_error(L, "not enough memory");
  limits_keep_messages(L);
  lua_pushglobaltable(L);
  guard_libraries(L);
  if (lua_getfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE) == LUA_TTABLE) guard_libraries(L);
  lua_pushliteral(L, "");
  if (lua_getmetatable(L, -1)) guard_libraries(L);
  if (lua_istable(L, 1)) guard_tree(L);
  return 0;
}

int milonga_guard(lua_State *L, int tree) {
  lua_pushcfunction(L, guard_state);
  if (tree) lua_insert(L, -2);
  return milonga_pcall(L, tree ? 1 : 0, 0, 0);
}

// MARK: Opening libraries

typedef struct selection {
  uint32_t libraries;
  int guards;
} selection;

static void open_library(lua_State *L, const char *name, lua_CFunction open) {
  luaL_requiref(L, name, open, 1);
  lua_settop(L, -2);
}

static void remove_global(lua_State *L, const char *name) {
  lua_pushnil(L);
  lua_setglobal(L, name);
}

static void open_time(lua_State *L) {
  static const char *const kept[] = {"clock", "date", "difftime", "time"};
  lua_createtable(L, 0, 4);
  lua_pushcfunction(L, luaopen_os);
  lua_call(L, 0, 1);
  for (size_t i = 0; i < sizeof kept / sizeof kept[0]; i++) {
    lua_getfield(L, -1, kept[i]);
    lua_setfield(L, -3, kept[i]);
  }
  lua_settop(L, -2);
  lua_setglobal(L, LUA_OSLIBNAME);
}

static int open_selected(lua_State *L) {
  static const struct {
    uint32_t bit;
    const char *name;
    lua_CFunction open;
  } known[] = {
      {MILONGA_PACKAGE, LUA_LOADLIBNAME, luaopen_package},
      {MILONGA_COROUTINE, LUA_COLIBNAME, luaopen_coroutine},
      {MILONGA_TABLE, LUA_TABLIBNAME, luaopen_table},
      {MILONGA_IO, LUA_IOLIBNAME, luaopen_io},
      {MILONGA_OS, LUA_OSLIBNAME, luaopen_os},
      {MILONGA_STRING, LUA_STRLIBNAME, luaopen_string},
      {MILONGA_UTF8, LUA_UTF8LIBNAME, luaopen_utf8},
      {MILONGA_MATH, LUA_MATHLIBNAME, luaopen_math},
      {MILONGA_DEBUG, LUA_DBLIBNAME, luaopen_debug},
  };
  const selection *wanted = lua_touserdata(L, 1);
  open_library(L, LUA_GNAME, luaopen_base);
  for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
    if (wanted->libraries & known[i].bit) open_library(L, known[i].name, known[i].open);
  if ((wanted->libraries & (MILONGA_TIME | MILONGA_OS)) == MILONGA_TIME) open_time(L);
  if (!(wanted->libraries & MILONGA_IO)) {
    remove_global(L, "dofile");
    remove_global(L, "loadfile");
  }
  if (wanted->guards) {
    lua_pushcfunction(L, guard_state);
    lua_call(L, 0, 0);
  }
  if (!(wanted->libraries & MILONGA_BYTECODE)) lua_register(L, "load", guarded_load_text);
  if (!(wanted->libraries & MILONGA_PACKAGE)) {
    // Lua looks for the names of functions in here, through all that code may have put there.
    lua_newtable(L);
    lua_setfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  }
  return 0;
}

int milonga_openselected(lua_State *L, uint32_t libraries, int guards) {
  selection wanted = {libraries, guards};
  lua_pushcfunction(L, open_selected);
  lua_pushlightuserdata(L, &wanted);
  return milonga_pcall(L, 1, 0, 0);
}
