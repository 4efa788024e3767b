// The state's allocator, where the memory limit lives.
#include "CShims.h"
#include "blocks.h"

#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

// Whether warnings are shown, and whether one goes on.
typedef struct warning_state {
  int on;
  int continuing;
} warning_state;

typedef struct owned_vm {
  milonga_vm vm;
  warning_state warnings;
  blocks blocks;
} owned_vm;

static void *allocate(void *ud, void *block, size_t old_size, size_t new_size) {
  owned_vm *owned = ud;
  milonga_vm *vm = &owned->vm;
  if (new_size == 0) {
    if (block == NULL) return NULL;
    vm->used -= old_size;
    blocks_free(&owned->blocks, block, old_size);
    return NULL;
  }
  size_t held = block == NULL ? 0 : old_size; // for a new block, old_size is a type tag
  if (vm->limit != 0 && new_size > held && vm->swift_frames == 0 &&
      vm->used - held + new_size > vm->limit)
    return NULL;
  void *moved = block == NULL ? blocks_allocate(&owned->blocks, new_size)
                              : blocks_resize(&owned->blocks, block, held, new_size);
  if (moved == NULL) {
    // Lua would longjmp over a Swift frame; nothing sound can follow.
    if (vm->swift_frames > 0) abort();
    return NULL;
  }
  vm->used += new_size - held;
  return moved;
}

milonga_vm *milonga_vm_of(lua_State *L) {
  void *ud;
  return lua_getallocf(L, &ud) == allocate ? ud : NULL;
}

static int panic(lua_State *L) {
  const char *message = lua_tostring(L, -1);
  lua_writestringerror("milonga: unprotected Lua error (%s)\n", message ? message : "no message");
  return 0;
}

// Warnings go to stderr once `warn("@on")` was said, as in lua5.4.
static void warn(void *ud, const char *message, int to_continue) {
  warning_state *state = ud;
  if (!state->continuing && !to_continue && message[0] == '@') {
    if (strcmp(message + 1, "on") == 0) state->on = 1;
    if (strcmp(message + 1, "off") == 0) state->on = 0;
    return;
  }
  if (state->on) {
    if (!state->continuing) lua_writestringerror("%s", "Lua warning: ");
    lua_writestringerror("%s", message);
    if (!to_continue) lua_writestringerror("%s", "\n");
  }
  state->continuing = to_continue;
}

lua_State *milonga_newstate(size_t memory_limit) {
  owned_vm *owned = calloc(1, sizeof(owned_vm));
  if (owned == NULL) return NULL;
  lua_State *L = lua_newstate(allocate, &owned->vm);
  if (L == NULL) {
    blocks_release(&owned->blocks);
    free(owned);
    return NULL;
  }
  owned->vm.limit = memory_limit;
  *milonga_extraspace(L) = 0; // every coroutine begins with a copy
  lua_atpanic(L, panic);
  lua_setwarnf(L, warn, &owned->warnings);
  return L;
}

void milonga_close(lua_State *L) {
  milonga_vm *vm = milonga_vm_of(L);
  if (vm) vm->limit = 0; // finalizers may allocate
  lua_close(L);
  if (vm) blocks_release(&((owned_vm *)vm)->blocks);
  free(vm);
}
