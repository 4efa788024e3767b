#include "CModule.h"

#include <CShims.h>

// Of MilongaModule, in Swift: registers the modules, and pushes the module's table.
void milonga_open_modules(lua_State *L);

int luaopen_milonga(lua_State *L) {
  milonga_wrap_memory(L);
  milonga_memory *memory = milonga_memory_of(L);
  if (memory) memory->swift_frames++;
  milonga_open_modules(L);
  if (memory) memory->swift_frames--;
  if (milonga_take_exhaustion(L)) milonga_raise_memory_error(L);
  return 1;
}
