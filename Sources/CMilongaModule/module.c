#include "CMilongaModule.h"

#include <CMilongaShims.h>
#include <lauxlib.h>

// Of MilongaModule, in Swift: registers the modules, and pushes the module's table.
void milonga_open_modules(lua_State *L);

int luaopen_milonga(lua_State *L) {
  if (!milonga_wrap_memory(L)) return luaL_error(L, "not enough memory");
  if (milonga_openstore(L) != LUA_OK) return lua_error(L);
  milonga_memory *memory = milonga_memory_of(L);
  memory->swift_frames++;
  milonga_open_modules(L);
  memory->swift_frames--;
  if (milonga_take_exhaustion(L)) milonga_raise_memory_error(L);
  return 1;
}
