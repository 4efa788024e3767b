// Guarded functions of the utf8 library. Bytes that continue a character are skipped, however many
// they are.
#include "guards.h"

#include <lauxlib.h>

static lua_CFunction original_codepoint, original_codes, original_len, original_offset;

// What `codes` returns, by whether it is lax.
static _Atomic(lua_CFunction) original_iterators[2];

static int continues(char byte) { return ((unsigned char)byte & 0xC0) == 0x80; }

// An index from the end when it is negative; 0 when it lies before the beginning.
static lua_Integer absolute(lua_Integer index, size_t count) {
  if (index >= 0) return index;
  return (size_t) - (lua_Unsigned)index > count ? 0 : (lua_Integer)count + index + 1;
}

// Counts the bytes between the indices at `first` and `last`. Those that are wrong are the
// original's matter.
static void spend_range(lua_State *L, int first, lua_Integer from, int last, lua_Integer to) {
  if (lua_type(L, 1) != LUA_TSTRING) return;
  size_t count = lua_rawlen(L, 1);
  int is_integer = 1;
  if (!lua_isnoneornil(L, first)) from = lua_tointegerx(L, first, &is_integer);
  if (!is_integer) return;
  if (to == 0) to = from;
  if (!lua_isnoneornil(L, last)) to = lua_tointegerx(L, last, &is_integer);
  from = absolute(from, count);
  to = absolute(to, count);
  if (is_integer && from >= 1 && from <= to && to <= (lua_Integer)count)
    limits_spend_bytes(L, (size_t)(to - from + 1));
}

static int len(lua_State *L) {
  if (current_limits != NULL) spend_range(L, 2, 1, 3, -1);
  return original_len(L);
}

static int codepoint(lua_State *L) {
  if (current_limits != NULL) spend_range(L, 2, 1, 3, 0);
  return original_codepoint(L);
}

// MARK: Moving by characters

static int offset(lua_State *L) {
  if (current_limits == NULL) return original_offset(L);
  size_t count;
  const char *text = luaL_checklstring(L, 1, &count);
  lua_Integer moves = luaL_checkinteger(L, 2);
  lua_Integer size = (lua_Integer)count, start = moves >= 0 ? 1 : size + 1;
  lua_Integer at = absolute(luaL_optinteger(L, 3, start), count) - 1;
  luaL_argcheck(L, at >= 0 && at <= size, 3, "position out of bounds");
  lua_Integer from = at;
  if (moves == 0) {
    while (at > 0 && continues(text[at])) at--;
  } else if (continues(text[at])) {
    return luaL_error(L, "initial position is a continuation byte");
  } else if (moves < 0) {
    for (; moves < 0 && at > 0; moves++) {
      do at--;
      while (at > 0 && continues(text[at]));
    }
  } else {
    // The first character is where it begins. A zero follows the text.
    for (moves--; moves > 0 && at < size; moves--) {
      do at++;
      while (continues(text[at]));
    }
  }
  limits_spend_bytes(L, (size_t)(at > from ? at - from : from - at));
  if (moves == 0)
    lua_pushinteger(L, at + 1);
  else
    luaL_pushfail(L);
  return 1;
}

// MARK: All characters

static int iterate(lua_State *L, int is_lax) {
  lua_Unsigned at = (lua_Unsigned)lua_tointeger(L, 2);
  if (current_limits != NULL && lua_type(L, 1) == LUA_TSTRING && at < lua_rawlen(L, 1)) {
    const char *start = lua_tostring(L, 1) + at, *end = start;
    while (continues(*end)) end++;
    limits_spend_bytes(L, (size_t)(end - start));
  }
  return original_iterators[is_lax](L);
}

static int iterate_strictly(lua_State *L) { return iterate(L, 0); }
static int iterate_laxly(lua_State *L) { return iterate(L, 1); }

static int codes(lua_State *L) {
  int is_lax = lua_toboolean(L, 2);
  int results = original_codes(L);
  if (current_limits == NULL || results != 3) return results;
  original_iterators[is_lax] = lua_tocfunction(L, -3);
  lua_pushcfunction(L, is_lax ? iterate_laxly : iterate_strictly);
  lua_replace(L, -4);
  return results;
}

const guard utf8_guards[] = {
    {"utf8", "codepoint", codepoint, &original_codepoint},
    {"utf8", "codes", codes, &original_codes},
    {"utf8", "len", len, &original_len},
    {"utf8", "offset", offset, &original_offset},
    {NULL, NULL, NULL, NULL},
};
