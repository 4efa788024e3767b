// A Lua state with a memory limit and an instruction limit.
//
// The allocator enforces the memory limit only while no Swift frame would be crossed by the error
// that follows: the trampoline counts Swift frames, calls made through milonga_protected.h hide
// those below them. What Swift allocated beyond the limit is reported when its frame has returned.
#ifndef MILONGA_VM_H
#define MILONGA_VM_H

#include <lua.h>
#include <stddef.h>
#include <stdint.h>

// A Swift function that runs.
typedef struct milonga_frame {
  lua_State *L;
  void *context;
  struct milonga_frame *outer;
  void (*release)(void *context); // to be called when it has returned, NULL for nothing
} milonga_frame;

typedef struct milonga_vm {
  size_t used;           // bytes now
  size_t limit;          // bytes, 0 for none
  int32_t swift_frames;  // Swift frames that a longjmp would cross
  int32_t hook_interval; // instructions between two runs of the count hook
  int64_t instructions;  // left, when instruction_limited
  int32_t instruction_limited;
  volatile int32_t interrupted; // set from a signal handler or another thread
  lua_State *main;              // the main thread
  milonga_frame *frame;         // the innermost Swift function that runs, NULL for none
  lua_State *keeper;            // holds the store; see store.c
} milonga_vm;

// A new state, or NULL when there is no memory for it. `memory_limit` in bytes, 0 for none.
lua_State *milonga_newstate(size_t memory_limit);

// Closes a state made by milonga_newstate.
void milonga_close(lua_State *L);

// The VM of a state made by milonga_newstate, NULL for any other state.
milonga_vm *milonga_vm_of(lua_State *L);

// From now on the VM runs at most `count` instructions (in all coroutines); negative: no limit.
void milonga_set_instruction_limit(lua_State *L, int64_t count);

// Makes the running Lua code raise "interrupted!". Safe in a signal handler.
void milonga_interrupt(lua_State *L);

#endif
