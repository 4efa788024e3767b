// A Lua state of our own.
#ifndef MILONGA_VM_H
#define MILONGA_VM_H

#include "milonga_memory.h"

#include <lua.h>
#include <stddef.h>
#include <stdint.h>

typedef struct milonga_vm {
  milonga_memory memory;
  volatile int32_t interrupted; // set from a signal handler or another thread
} milonga_vm;

// A new state, or NULL when there is no memory for it. `memory_limit` in bytes, 0 for none. Its
// caller is a Swift frame, until a call of milonga_protected.h hides it.
lua_State *milonga_newstate(size_t memory_limit);

// Closes a state made by milonga_newstate.
void milonga_close(lua_State *L);

// The VM of a state made by milonga_newstate, NULL for any other state.
milonga_vm *milonga_vm_of(lua_State *L);

#endif
