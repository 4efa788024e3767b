// `require 'milonga'` under a stock lua5.4.
#ifndef MILONGA_MODULE_H
#define MILONGA_MODULE_H

#include <lua.h>

// What Lua calls. It stands in C, because it may raise Lua's memory error, which must not cross a
// Swift frame.
int luaopen_milonga(lua_State *L);

#endif
