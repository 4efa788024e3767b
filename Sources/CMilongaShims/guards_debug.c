// Guarded functions of the debug library. Within limits it may look, but change nothing: with most
// of its functions code would reach the hooks, finalizers, or what lies on the stack of other
// functions.
#include "guards.h"

#include <lauxlib.h>

#define REFUSED(name)                                                                              \
  static lua_CFunction original_##name;                                                            \
  static int name(lua_State *L) {                                                                  \
    if (current_limits != NULL) return luaL_error(L, "debug." #name " is refused within limits");  \
    return original_##name(L);                                                                     \
  }
#define ENTRY(name)                                                                                \
  { "debug", #name, name, &original_##name }

REFUSED(debug)
REFUSED(getlocal)
REFUSED(getmetatable)
REFUSED(getregistry)
REFUSED(getupvalue)
REFUSED(getuservalue)
REFUSED(sethook)
REFUSED(setlocal)
REFUSED(setmetatable)
REFUSED(setupvalue)
REFUSED(setuservalue)
REFUSED(upvalueid)
REFUSED(upvaluejoin)

static lua_CFunction original_traceback;

// The end of the stack is looked for from below, again and again.
static int traceback(lua_State *L) {
  if (current_limits != NULL) {
    lua_State *co = lua_isthread(L, 1) ? lua_tothread(L, 1) : L;
    lua_Debug frame;
    int depth = 16;
    while (lua_getstack(co, depth, &frame)) depth *= 2;
    limits_spend(L, depth);
  }
  return original_traceback(L);
}

const guard debug_guards[] = {
    ENTRY(debug),        ENTRY(getlocal),     ENTRY(getmetatable),      ENTRY(getregistry),
    ENTRY(getupvalue),   ENTRY(getuservalue), ENTRY(sethook),           ENTRY(setlocal),
    ENTRY(setmetatable), ENTRY(setupvalue),   ENTRY(setuservalue),      ENTRY(upvalueid),
    ENTRY(traceback),    ENTRY(upvaluejoin),  {NULL, NULL, NULL, NULL},
};
