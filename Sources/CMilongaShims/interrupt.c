// Ctrl-C while a system call waits: no Lua code runs that would notice.
#include "CMilongaShims.h"
#include "spending.h"

int milonga_take_interruption(lua_State *L) {
  lua_State *main = milonga_mainthread(L);
  milonga_vm *vm = milonga_vm_of(L);
  if (vm) {
    if (!vm->interrupted) return 0;
    vm->interrupted = 0;
    lua_sethook(main, NULL, 0, 0);
    limits_watch(main);
    return 1;
  }
  // What the signal handler of the stock interpreter sets; a program's own hook hardly looks like
  // that.
  int all = LUA_MASKCALL | LUA_MASKRET | LUA_MASKLINE | LUA_MASKCOUNT;
  if (lua_gethookmask(main) != all || lua_gethookcount(main) != 1) return 0;
  lua_sethook(main, NULL, 0, 0);
  return 1;
}
