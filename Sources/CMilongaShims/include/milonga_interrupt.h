// Ctrl-C while a system call waits.
#ifndef MILONGA_INTERRUPT_H
#define MILONGA_INTERRUPT_H

#include <lua.h>

// After a system call was interrupted by a signal: whether that signal wants the running code to
// end, as milonga_interrupt says, or the hook that `lua5.4` sets. The wish is fulfilled with that:
// the caller is to raise "interrupted!".
int milonga_take_interruption(lua_State *L);

#endif
