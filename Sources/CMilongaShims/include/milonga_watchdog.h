// Looks at coroutines while they compute: a hook that runs every so many instructions.
#ifndef MILONGA_WATCHDOG_H
#define MILONGA_WATCHDOG_H

#include <lua.h>

// Runs inside the hook of the coroutine that computes. It may call Lua, must not raise or yield.
typedef void (*milonga_look)(lua_State *L, void *context);

// Sets the function that looks in this Lua state; NULL for none, and then the hooks vanish as they
// run.
void milonga_set_watchdog(lua_State *L, milonga_look look, void *context);

// Has the coroutine looked at, and those that it makes, unless it has a hook of another kind.
void milonga_watch(lua_State *co);

#endif
