// What Swift keeps in a Lua state, where no Lua code can reach it: not in the registry, which
// debug.getregistry gives to every script, but in a table of its own, the *store*.
#ifndef MILONGA_STORE_H
#define MILONGA_STORE_H

#include <lua.h>

// Makes the store of a state that milonga_newstate has just made: a status.
int milonga_makestore(lua_State *L);

// Makes the store of a state that another program has made, unless it has one: a status, with an
// error on top. Its memory was wrapped before.
int milonga_openstore(lua_State *L);

// Lets the userdata on top, which has a user value, hold the store, if nothing else does for
// certain.
void milonga_holdstore(lua_State *L);

// The state's main thread.
lua_State *milonga_mainthread(lua_State *L);

// Pops the topmost value and keeps it until milonga_unretain; never 0.
int milonga_retain(lua_State *L);

// Pushes a value kept by milonga_retain.
void milonga_pushretained(lua_State *L, int reference);

// Pops the topmost value into the place of one that is kept.
void milonga_replaceretained(lua_State *L, int reference);

// Gives up a value kept by milonga_retain.
void milonga_unretain(lua_State *L, int reference);

// Pushes the value under a key, an address that stands for one purpose.
void milonga_pushkept(lua_State *L, const void *key);

// Pops the topmost value, which is kept under the key.
void milonga_keep(lua_State *L, const void *key);

#endif
