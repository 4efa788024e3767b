// A state of our own.
#include "CMilongaShims.h"
#include "allocator.h"

#include <CMilongaMemory.h>
#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

// Whether warnings are shown, and whether one goes on.
typedef struct warning_state {
  int on;
  int continuing;
} warning_state;

typedef struct state {
  owned_vm owned;
  warning_state warnings;
} state;

milonga_vm *milonga_vm_of(lua_State *L) {
  void *ud;
  return lua_getallocf(L, &ud) == milonga_owned_allocate ? ud : NULL;
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
  state *new = calloc(1, sizeof(state));
  if (new == NULL) return NULL;
  milonga_memory *memory = &new->owned.vm.memory;
  milonga_fill_reserve();
  milonga_reset_threshold(memory);
  lua_State *L = lua_newstate(milonga_owned_allocate, memory);
  if (L == NULL) {
    blocks_release(&new->owned.blocks);
    free(new);
    return NULL;
  }
  milonga_set_memory_limit(memory, memory_limit);
  *milonga_extraspace(L) = 0; // every coroutine begins with a copy
  if (milonga_makestore(L) != LUA_OK) {
    milonga_close(L);
    return NULL;
  }
  memory->swift_frames = 1;
  lua_atpanic(L, panic);
  lua_setwarnf(L, warn, &new->warnings);
  return L;
}

void milonga_close(lua_State *L) {
  milonga_vm *vm = milonga_vm_of(L);
  if (vm) milonga_set_memory_limit(&vm->memory, 0); // finalizers may allocate
  lua_close(L);
  if (vm == NULL) return;
  milonga_tell_closed(&vm->memory);
  blocks_release(&((owned_vm *)vm)->blocks);
  free(vm);
}
