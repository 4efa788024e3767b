// Guarded functions of the coroutine library: hooks reach all coroutines.
#include "guards.h"

#include <lauxlib.h>

static lua_CFunction original_close, original_create, original_resume, original_wrap;

static void watch_argument(lua_State *L) {
  lua_State *co = lua_tothread(L, 1);
  if (co != NULL) limits_watch(co);
}

static int create(lua_State *L) {
  int results = original_create(L);
  limits_watch(lua_tothread(L, -1));
  return results;
}

static int resume(lua_State *L) {
  if (current_limits != NULL) watch_argument(L);
  return original_resume(L);
}

// Lua would run what closes the variables of a coroutine that its limits have ended without hooks.
static int close_coroutine(lua_State *L) {
  lua_State *co = lua_tothread(L, 1);
  if (co == NULL) return original_close(L);
  if (milonga_is_stopped(co)) {
    lua_pushboolean(L, 0);
    lua_pushliteral(L, "the coroutine was ended by its limits");
    return 2;
  }
  limits_watch(co);
  return original_close(L);
}

// MARK: wrap

// The error of a coroutine, which is dead, is on top of its stack.
static int raise_from(lua_State *L, lua_State *co) {
  int status = lua_status(co);
  if (milonga_is_stopped(co)) {
    lua_xmove(co, L, 1);
    return lua_error(L);
  }
  if (status != LUA_OK && status != LUA_YIELD) status = lua_resetthread(co);
  lua_xmove(co, L, 1);
  if (status != LUA_ERRMEM && lua_type(L, -1) == LUA_TSTRING) {
    luaL_where(L, 1);
    lua_insert(L, -2);
    lua_concat(L, 2);
  }
  return lua_error(L);
}

static int resume_wrapped(lua_State *L) {
  lua_State *co = lua_tothread(L, lua_upvalueindex(1));
  int count = lua_gettop(L);
  limits_watch(co);
  if (!lua_checkstack(co, count)) return luaL_error(L, "too many arguments to resume");
  lua_xmove(L, co, count);
  int status = lua_resume(co, L, count, &count);
  if (status != LUA_OK && status != LUA_YIELD) return raise_from(L, co);
  if (!lua_checkstack(L, count + 1)) {
    lua_settop(co, -count - 1);
    return luaL_error(L, "too many results to resume");
  }
  lua_xmove(co, L, count);
  return count;
}

static int wrap(lua_State *L) {
  if (current_limits == NULL) return original_wrap(L);
  original_create(L);
  limits_watch(lua_tothread(L, -1));
  lua_pushcclosure(L, resume_wrapped, 1);
  return 1;
}

const guard coroutine_guards[] = {
    {"coroutine", "close", close_coroutine, &original_close},
    {"coroutine", "create", create, &original_create},
    {"coroutine", "resume", resume, &original_resume},
    {"coroutine", "wrap", wrap, &original_wrap},
    {NULL, NULL, NULL, NULL},
};
