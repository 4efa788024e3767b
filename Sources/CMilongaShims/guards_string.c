// Guarded functions of the string library, and what else makes strings of formats: bytes count.
#include "guards.h"

#include <lauxlib.h>

// guards_pattern.c
extern lua_CFunction original_find, original_gmatch, original_gsub, original_match;
int guarded_find(lua_State *L);
int guarded_gmatch(lua_State *L);
int guarded_gsub(lua_State *L);
int guarded_match(lua_State *L);

static lua_CFunction original_rep;

// The arguments, and all bytes of texts among them.
static void spend_arguments(lua_State *L) {
  int count = lua_gettop(L);
  int64_t bytes = 0;
  for (int index = 1; index <= count; index++)
    if (lua_type(L, index) == LUA_TSTRING) bytes += (int64_t)lua_rawlen(L, index);
  limits_spend(L, count + bytes / BYTES_PER_STEP);
}

// Looks at every byte of its arguments, and not much more often than once.
#define COUNTS_ARGUMENTS(name)                                                                     \
  static lua_CFunction original_##name;                                                            \
  static int name(lua_State *L) {                                                                  \
    if (current_limits != NULL) spend_arguments(L);                                                \
    return original_##name(L);                                                                     \
  }

COUNTS_ARGUMENTS(format)
COUNTS_ARGUMENTS(lower)
COUNTS_ARGUMENTS(reverse)
COUNTS_ARGUMENTS(upper)

// Its work is its result, which may be small where its argument is large.
#define COUNTS_RESULT(name)                                                                        \
  static lua_CFunction original_##name;                                                            \
  static int name(lua_State *L) {                                                                  \
    int results = original_##name(L);                                                              \
    if (current_limits != NULL && results > 0)                                                     \
      limits_spend(L, results + (int64_t)(lua_rawlen(L, -1) / BYTES_PER_STEP));                    \
    return results;                                                                                \
  }

COUNTS_RESULT(byte)
COUNTS_RESULT(sub)

// Each letter of a format is a step, also one that stands for nothing.
#define COUNTS_FORMAT(name)                                                                        \
  static lua_CFunction original_##name;                                                            \
  static int name(lua_State *L) {                                                                  \
    if (current_limits != NULL) {                                                                  \
      if (lua_type(L, 1) == LUA_TSTRING) limits_spend(L, (int64_t)lua_rawlen(L, 1));               \
      spend_arguments(L);                                                                          \
    }                                                                                              \
    return original_##name(L);                                                                     \
  }

COUNTS_FORMAT(pack)
COUNTS_FORMAT(packsize)
COUNTS_FORMAT(date)

static lua_CFunction original_unpack;

// The text is not read but where its values are.
static int unpack(lua_State *L) {
  if (current_limits == NULL) return original_unpack(L);
  if (lua_type(L, 1) == LUA_TSTRING) limits_spend(L, (int64_t)lua_rawlen(L, 1));
  int results = original_unpack(L);
  int64_t bytes = 0;
  for (int index = 1; index <= results; index++)
    if (lua_type(L, -index) == LUA_TSTRING) bytes += (int64_t)lua_rawlen(L, -index);
  limits_spend(L, bytes / BYTES_PER_STEP);
  return results;
}

static int rep(lua_State *L) {
  if (current_limits == NULL) return original_rep(L);
  size_t count, separator_count;
  luaL_checklstring(L, 1, &count);
  lua_Integer times = luaL_checkinteger(L, 2);
  luaL_optlstring(L, 3, "", &separator_count);
  size_t bytes = count + separator_count;
  if (bytes == 0) {
    // The original would copy nothing, as often as it is told.
    lua_pushliteral(L, "");
    return 1;
  }
  const milonga_memory *held = milonga_memory_of(L);
  size_t most = held != NULL && held->limit != 0 ? held->limit : (size_t)LUA_MAXINTEGER;
  // What cannot be had is refused before anything is copied.
  int is_possible = times <= 0 || bytes <= most / (size_t)times;
  limits_spend_bytes(L, is_possible && times > 0 ? bytes * (size_t)times : 0);
  return original_rep(L);
}

#define ENTRY(name)                                                                                \
  { "string", #name, name, &original_##name }

const guard string_guards[] = {
    {"string", "find", guarded_find, &original_find},
    {"string", "gmatch", guarded_gmatch, &original_gmatch},
    {"string", "gsub", guarded_gsub, &original_gsub},
    {"string", "match", guarded_match, &original_match},
    {"os", "date", date, &original_date},
    ENTRY(byte),
    ENTRY(format),
    ENTRY(lower),
    ENTRY(pack),
    ENTRY(packsize),
    ENTRY(rep),
    ENTRY(reverse),
    ENTRY(sub),
    ENTRY(unpack),
    ENTRY(upper),
    {NULL, NULL, NULL, NULL},
};
