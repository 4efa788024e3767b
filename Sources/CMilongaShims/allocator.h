// The allocators of states, and what they have in common.
#ifndef MILONGA_ALLOCATOR_H
#define MILONGA_ALLOCATOR_H

#include "blocks.h"
#include "milonga_vm.h"

// A state of our own.
typedef struct owned_vm {
  milonga_vm vm;
  blocks blocks;
} owned_vm;

// lua_Alloc of a state of our own; `ud` is an owned_vm.
void *milonga_owned_allocate(void *ud, void *block, size_t old_size, size_t new_size);

// Growth is looked at beyond the limit, or always when allocations fail on purpose.
void milonga_reset_threshold(milonga_memory *memory);

// The state has closed. Owners of values in its store are told, because they must not touch it now.
static inline void milonga_tell_closed(milonga_memory *memory) {
  if (memory->handle != NULL) memory->closed(memory->handle);
}

#endif
