// Guarded functions of the table library. Each element that is read or written is a step. A length
// may be what a metamethod says, so none of these loops ends by itself.
#include "guards.h"

#include <lauxlib.h>
#include <limits.h>

static lua_CFunction original_concat, original_insert, original_move, original_remove,
    original_sort, original_unpack;

// MARK: What may stand for a table

enum { READ = 1, WRITE = 2, LENGTH = 4 };

static int has_metafield(lua_State *L, int index, const char *name) {
  if (luaL_getmetafield(L, index, name) == LUA_TNIL) return 0;
  lua_settop(L, -2);
  return 1;
}

static void check_table(lua_State *L, int index, int needs) {
  if (lua_istable(L, index)) return;
  if ((needs & READ && !has_metafield(L, index, "__index")) ||
      (needs & WRITE && !has_metafield(L, index, "__newindex")) ||
      (needs & LENGTH && !has_metafield(L, index, "__len")))
    luaL_checktype(L, index, LUA_TTABLE);
}

static lua_Integer length(lua_State *L, int index, int needs) {
  check_table(L, index, needs | LENGTH);
  return luaL_len(L, index);
}

// to[target] = from[source]
static void copy_element(lua_State *L, int from, lua_Integer source, int to, lua_Integer target) {
  limits_spend(L, 1);
  lua_geti(L, from, source);
  lua_seti(L, to, target);
}

// MARK: Elements

static int insert(lua_State *L) {
  if (current_limits == NULL) return original_insert(L);
  lua_Integer end = (lua_Integer)((lua_Unsigned)length(L, 1, READ | WRITE) + 1);
  lua_Integer position = end;
  int count = lua_gettop(L);
  if (count != 2 && count != 3) return luaL_error(L, "wrong number of arguments to 'insert'");
  if (count == 3) {
    position = luaL_checkinteger(L, 2);
    luaL_argcheck(L, (lua_Unsigned)position - 1 < (lua_Unsigned)end, 2, "position out of bounds");
    for (lua_Integer i = end; i > position; i--) copy_element(L, 1, i - 1, 1, i);
  }
  limits_spend(L, 1);
  lua_seti(L, 1, position);
  return 0;
}

static int remove_element(lua_State *L) {
  if (current_limits == NULL) return original_remove(L);
  lua_Integer size = length(L, 1, READ | WRITE);
  lua_Integer position = luaL_optinteger(L, 2, size);
  if (position != size)
    luaL_argcheck(L, (lua_Unsigned)position - 1 <= (lua_Unsigned)size, 1, "position out of bounds");
  limits_spend(L, 1);
  lua_geti(L, 1, position);
  for (; position < size; position++) copy_element(L, 1, position + 1, 1, position);
  lua_pushnil(L);
  lua_seti(L, 1, position);
  return 1;
}

static int move(lua_State *L) {
  if (current_limits == NULL) return original_move(L);
  lua_Integer first = luaL_checkinteger(L, 2), last = luaL_checkinteger(L, 3);
  lua_Integer target = luaL_checkinteger(L, 4);
  int to = lua_isnoneornil(L, 5) ? 1 : 5;
  check_table(L, 1, READ);
  check_table(L, to, WRITE);
  if (last >= first) {
    luaL_argcheck(L, first > 0 || last < LUA_MAXINTEGER + first, 3, "too many elements to move");
    lua_Integer count = last - first + 1;
    luaL_argcheck(L, target <= LUA_MAXINTEGER - count + 1, 4, "destination wrap around");
    // Upwards unless that would overwrite what is still to be read.
    if (target > last || target <= first || (to != 1 && !lua_compare(L, 1, to, LUA_OPEQ)))
      for (lua_Integer i = 0; i < count; i++) copy_element(L, 1, first + i, to, target + i);
    else
      for (lua_Integer i = count; i-- > 0;) copy_element(L, 1, first + i, to, target + i);
  }
  lua_pushvalue(L, to);
  return 1;
}

static int unpack(lua_State *L) {
  if (current_limits == NULL) return original_unpack(L);
  lua_Integer first = luaL_optinteger(L, 2, 1);
  lua_Integer last = lua_isnoneornil(L, 3) ? luaL_len(L, 1) : luaL_checkinteger(L, 3);
  if (first > last) return 0;
  lua_Unsigned more = (lua_Unsigned)last - (lua_Unsigned)first;
  if (more >= INT_MAX || !lua_checkstack(L, (int)more + 1))
    return luaL_error(L, "too many results to unpack");
  for (lua_Unsigned i = 0; i <= more; i++) {
    limits_spend(L, 1);
    lua_geti(L, 1, (lua_Integer)((lua_Unsigned)first + i));
  }
  return (int)more + 1;
}

// MARK: Text

static void add_element(lua_State *L, luaL_Buffer *result, lua_Integer index) {
  lua_geti(L, 1, index);
  if (!lua_isstring(L, -1))
    luaL_error(L, "invalid value (%s) at index %I in table for 'concat'", luaL_typename(L, -1),
               (LUAI_UACINT)index);
  size_t count;
  lua_tolstring(L, -1, &count);
  limits_spend_bytes(L, count);
  luaL_addvalue(result);
}

static int concat(lua_State *L) {
  if (current_limits == NULL) return original_concat(L);
  lua_Integer last = length(L, 1, READ);
  size_t separator_count;
  const char *separator = luaL_optlstring(L, 2, "", &separator_count);
  lua_Integer first = luaL_optinteger(L, 3, 1);
  last = luaL_optinteger(L, 4, last);
  luaL_Buffer result;
  luaL_buffinit(L, &result);
  for (; first < last; first++) {
    add_element(L, &result, first);
    limits_spend(L, (int64_t)(separator_count / BYTES_PER_STEP));
    luaL_addlstring(&result, separator, separator_count);
  }
  if (first == last) add_element(L, &result, first);
  luaL_pushresult(&result);
  return 1;
}

// MARK: Order. Lua's own sort, with comparisons that count.

static int is_less(lua_State *L) {
  lua_settop(L, 2);
  size_t bytes = 0;
  if (lua_type(L, 1) == LUA_TSTRING && lua_type(L, 2) == LUA_TSTRING) bytes = lua_rawlen(L, 1);
  limits_spend_bytes(L, bytes);
  if (lua_isnil(L, lua_upvalueindex(1))) {
    lua_pushboolean(L, lua_compare(L, 1, 2, LUA_OPLT));
    return 1;
  }
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_insert(L, 1);
  lua_call(L, 2, 1);
  return 1;
}

static int sort(lua_State *L) {
  int is_ordered = lua_gettop(L) > 0 && (lua_isnoneornil(L, 2) || lua_isfunction(L, 2));
  if (current_limits != NULL && is_ordered) {
    lua_settop(L, 2);
    lua_pushcclosure(L, is_less, 1);
  }
  return original_sort(L);
}

const guard table_guards[] = {
    {"table", "concat", concat, &original_concat},
    {"table", "insert", insert, &original_insert},
    {"table", "move", move, &original_move},
    {"table", "remove", remove_element, &original_remove},
    {"table", "sort", sort, &original_sort},
    {"table", "unpack", unpack, &original_unpack},
    {NULL, NULL, NULL, NULL},
};
