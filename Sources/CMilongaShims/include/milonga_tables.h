// Raw access to tables, and to other values, that are what they should be, or are nothing: a slot
// of the stack, an upvalue or a field may have been changed by the debug library, and Lua's own API
// does not look.
#ifndef MILONGA_TABLES_H
#define MILONGA_TABLES_H

#include <lauxlib.h>
#include <lua.h>

// lua_rawget, lua_rawgeti, lua_rawgetp: nil for what is no table.
static inline int milonga_rawget(lua_State *L, int table) {
  if (lua_type(L, table) == LUA_TTABLE) return lua_rawget(L, table);
  lua_pushnil(L);
  lua_replace(L, -2);
  return LUA_TNIL;
}
static inline int milonga_rawgeti(lua_State *L, int table, lua_Integer element) {
  if (lua_type(L, table) == LUA_TTABLE) return lua_rawgeti(L, table, element);
  lua_pushnil(L);
  return LUA_TNIL;
}
static inline int milonga_rawgetp(lua_State *L, int table, const void *key) {
  if (lua_type(L, table) == LUA_TTABLE) return lua_rawgetp(L, table, key);
  lua_pushnil(L);
  return LUA_TNIL;
}

// lua_rawset, lua_rawseti, lua_rawsetp: what is no table takes nothing, and nil and NaN are no
// keys.
static inline void milonga_rawset(lua_State *L, int table) {
  if (lua_type(L, table) == LUA_TTABLE && lua_type(L, -2) > LUA_TNIL && lua_rawequal(L, -2, -2))
    lua_rawset(L, table);
  else
    lua_settop(L, -3);
}
static inline void milonga_rawseti(lua_State *L, int table, lua_Integer element) {
  if (lua_type(L, table) == LUA_TTABLE)
    lua_rawseti(L, table, element);
  else
    lua_settop(L, -2);
}
static inline void milonga_rawsetp(lua_State *L, int table, const void *key) {
  if (lua_type(L, table) == LUA_TTABLE)
    lua_rawsetp(L, table, key);
  else
    lua_settop(L, -2);
}

// lua_next: what is no table has no pairs.
static inline int milonga_next(lua_State *L, int table) {
  if (lua_type(L, table) == LUA_TTABLE) return lua_next(L, table);
  lua_settop(L, -2);
  return 0;
}

// lua_setmetatable: only of tables and userdata, and only what can be one.
static inline void milonga_setmetatable(lua_State *L, int index) {
  int type = lua_type(L, index), metatable = lua_type(L, -1);
  if ((type == LUA_TTABLE || type == LUA_TUSERDATA) &&
      (metatable == LUA_TTABLE || metatable == LUA_TNIL))
    lua_setmetatable(L, index);
  else
    lua_settop(L, -2);
}

// lua_getiuservalue, lua_setiuservalue: what is no full userdata has none, and takes none.
static inline int milonga_getuservalue(lua_State *L, int index, int number) {
  if (lua_type(L, index) == LUA_TUSERDATA) return lua_getiuservalue(L, index, number);
  lua_pushnil(L);
  return LUA_TNIL;
}
static inline void milonga_setuservalue(lua_State *L, int index, int number) {
  if (lua_type(L, index) == LUA_TUSERDATA)
    lua_setiuservalue(L, index, number);
  else
    lua_settop(L, -2);
}

// lua_concat of values that may be no strings: these give their type's name.
static inline void milonga_concat(lua_State *L, int count) {
  for (int i = -count; i < 0; i++)
    if (!lua_isstring(L, i)) {
      lua_pushstring(L, luaL_typename(L, i));
      lua_replace(L, i - 1);
    }
  lua_concat(L, count);
}

#endif
