// Guarded functions of the base library.
#include "guards.h"
#include "traversal.h"

#include <lauxlib.h>
#include <string.h>

static lua_CFunction original_collectgarbage, original_dofile, original_error,
    original_getmetatable, original_load, original_loadfile, original_next, original_pairs,
    original_setmetatable, original_tonumber, original_tostring, original_xpcall;

// MARK: The collector

// A collection takes as long as there are objects, and the program's parameters are its own.
static int collectgarbage(lua_State *L) {
  if (current_limits == NULL) return original_collectgarbage(L);
  const char *option = luaL_optstring(L, 1, "collect");
  if (strcmp(option, "count") == 0) return original_collectgarbage(L);
  return luaL_error(L, "collectgarbage('%s') is refused within limits", option);
}

// MARK: Metatables. Lua runs finalizers without hooks.

static int has_finalizer(lua_State *L, int index) {
  if (!lua_istable(L, index)) return 0;
  lua_pushvalue(L, index);
  lua_pushliteral(L, "__gc");
  int found = lua_rawget(L, -2) != LUA_TNIL;
  lua_settop(L, -3);
  return found;
}

static int setmetatable(lua_State *L) {
  if (current_limits != NULL && has_finalizer(L, 2))
    return luaL_error(L, "a metatable with __gc is refused within limits");
  return original_setmetatable(L);
}

// The finalizer of an object that is there already could be replaced.
static int getmetatable(lua_State *L) {
  int results = original_getmetatable(L);
  if (current_limits != NULL && has_finalizer(L, -1))
    return luaL_error(L, "a metatable with __gc is out of reach within limits");
  return results;
}

// MARK: Tables

static int next(lua_State *L) {
  if (current_limits == NULL) return original_next(L);
  traversal_spend(L);
  int results = original_next(L);
  if (results == 2) traversal_note(L, -2);
  return results;
}

static int pairs(lua_State *L) {
  int results = original_pairs(L);
  if (current_limits != NULL && results == 3 && lua_tocfunction(L, -3) == original_next) {
    lua_pushcfunction(L, next);
    lua_replace(L, -4);
  }
  return results;
}

// MARK: Numbers and texts

static int tonumber(lua_State *L) {
  if (current_limits != NULL && lua_type(L, 1) == LUA_TSTRING)
    limits_spend_bytes(L, lua_rawlen(L, 1));
  return original_tonumber(L);
}

static int tostring(lua_State *L) {
  int results = original_tostring(L);
  if (current_limits != NULL) limits_spend(L, (int64_t)(lua_rawlen(L, -1) / BYTES_PER_STEP));
  return results;
}

// MARK: Errors

// The position of a function far up the stack is looked for from below.
static int error(lua_State *L) {
  if (current_limits != NULL) {
    lua_Integer level = lua_tointeger(L, 2);
    if (level > 0 && level < LUAI_MAXSTACK) limits_spend(L, level / 16);
  }
  return original_error(L);
}

// The error may have been raised in a hook, and hooks do not run inside of hooks. So nothing of the
// program's runs when it is that one.
static int handle(lua_State *L) {
  if (limits_have_stopped()) return 1;
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_insert(L, 1);
  lua_call(L, lua_gettop(L) - 1, LUA_MULTRET);
  return lua_gettop(L);
}

static int xpcall(lua_State *L) {
  if (current_limits != NULL && lua_isfunction(L, 2)) {
    lua_pushvalue(L, 2);
    lua_pushcclosure(L, handle, 1);
    lua_replace(L, 2);
  }
  return original_xpcall(L);
}

// MARK: Compiling

enum { CHUNK = 1, NAME, MODE, ENVIRONMENT, PIECE };

// What the function that `load` was given has returned, in pieces of its own.
typedef struct pieces {
  const char *bytes;
  size_t left;
  int has_begun;
} pieces;

static int is_bytecode(const char *bytes, size_t count) {
  return count > 0 && bytes[0] == LUA_SIGNATURE[0];
}

static const char *read_from_function(lua_State *L, void *ud, size_t *size) {
  enum { MOST = 64 };
  pieces *text = ud;
  if (text->left == 0) {
    luaL_checkstack(L, 2, "too many nested functions");
    lua_pushvalue(L, CHUNK);
    lua_call(L, 0, 1);
    if (!lua_isnil(L, -1) && !lua_isstring(L, -1))
      luaL_error(L, "reader function must return a string");
    lua_replace(L, PIECE);
    text->bytes = lua_tolstring(L, PIECE, &text->left);
    if (text->bytes == NULL) text->left = 0;
    if (!text->has_begun && is_bytecode(text->bytes, text->left))
      luaL_error(L, "attempt to load a binary chunk (mode is 't')");
    text->has_begun = 1;
  }
  const char *piece = text->bytes;
  *size = text->left < MOST ? text->left : MOST;
  text->bytes += *size;
  text->left -= *size;
  limits_spend(L, 1 + (int64_t)*size);
  return *size == 0 ? NULL : piece;
}

// The mode without bytecode, unless nothing else would be left.
static const char *text_mode(lua_State *L, int index) {
  const char *mode = luaL_optstring(L, index, "bt");
  return strchr(mode, 't') != NULL ? "t" : mode;
}

int guarded_load_text(lua_State *L) {
  const char *mode = text_mode(L, MODE);
  int has_environment = !lua_isnone(L, ENVIRONMENT);
  int status;
  size_t count;
  const char *bytes = lua_tolstring(L, CHUNK, &count);
  if (bytes != NULL) {
    if (is_bytecode(bytes, count)) mode = "t";
    status = limits_load(L, bytes, count, luaL_optstring(L, NAME, bytes), mode, 1);
  } else {
    const char *name = luaL_optstring(L, NAME, "=(load)");
    luaL_checktype(L, CHUNK, LUA_TFUNCTION);
    lua_settop(L, PIECE);
    pieces text = {NULL, 0, 0};
    status = lua_load(L, read_from_function, &text, name, mode);
  }
  if (status != LUA_OK) {
    luaL_pushfail(L);
    lua_insert(L, -2);
    return 2;
  }
  if (has_environment) {
    lua_pushvalue(L, ENVIRONMENT);
    if (!lua_setupvalue(L, -2, 1)) lua_settop(L, -2);
  }
  return 1;
}

// Bytecode can do anything to the process.
static int load(lua_State *L) {
  return current_limits == NULL ? original_load(L) : guarded_load_text(L);
}

static int loadfile(lua_State *L) {
  if (current_limits != NULL) {
    const char *mode = text_mode(L, 2);
    if (strchr(mode, 'b') != NULL) return luaL_error(L, "bytecode is refused within limits");
    if (lua_gettop(L) < 2) lua_settop(L, 2);
    lua_pushstring(L, mode);
    lua_replace(L, 2);
  }
  return original_loadfile(L);
}

static int finish_dofile(lua_State *L, int status, lua_KContext context) {
  (void)status;
  (void)context;
  return lua_gettop(L) - 1;
}

static int dofile(lua_State *L) {
  if (current_limits == NULL) return original_dofile(L);
  const char *path = luaL_optstring(L, 1, NULL);
  lua_settop(L, 1);
  if (luaL_loadfilex(L, path, "t") != LUA_OK) return lua_error(L);
  lua_callk(L, 0, LUA_MULTRET, 0, finish_dofile);
  return finish_dofile(L, LUA_OK, 0);
}

const guard base_guards[] = {
    {"_G", "collectgarbage", collectgarbage, &original_collectgarbage},
    {"_G", "dofile", dofile, &original_dofile},
    {"_G", "error", error, &original_error},
    {"_G", "getmetatable", getmetatable, &original_getmetatable},
    {"_G", "load", load, &original_load},
    {"_G", "loadfile", loadfile, &original_loadfile},
    {"_G", "next", next, &original_next},
    {"_G", "pairs", pairs, &original_pairs},
    {"_G", "setmetatable", setmetatable, &original_setmetatable},
    {"_G", "tonumber", tonumber, &original_tonumber},
    {"_G", "tostring", tostring, &original_tostring},
    {"_G", "xpcall", xpcall, &original_xpcall},
    {NULL, NULL, NULL, NULL},
};
