// A state of our own, and its hook, where the instruction limit lives.
#include "CShims.h"
#include "allocator.h"

#include <CMemory.h>
#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

enum { HOOK_INTERVAL = 1000 };

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
  if (vm) blocks_release(&((owned_vm *)vm)->blocks);
  free(vm);
}

// Inside a hook, level 0 is the function that was interrupted.
static void raise_here(lua_State *L, const char *message) {
  luaL_where(L, 0);
  lua_pushstring(L, message);
  lua_concat(L, 2);
  lua_error(L);
}

static void count_hook(lua_State *L, lua_Debug *ar) {
  (void)ar;
  milonga_vm *vm = milonga_vm_of(L);
  if (vm->interrupted) {
    vm->interrupted = 0;
    if (!vm->instruction_limited) lua_sethook(L, NULL, 0, 0);
    raise_here(L, "interrupted!");
  }
  if (!vm->instruction_limited) return;
  vm->instructions -= lua_gethookcount(L);
  if (vm->instructions <= 0) {
    // From here on every instruction fails, so that no pcall in the script can go on.
    lua_sethook(L, count_hook, LUA_MASKCOUNT, 1);
    raise_here(L, "instruction limit reached");
  }
}

void milonga_set_instruction_limit(lua_State *L, int64_t count) {
  milonga_vm *vm = milonga_vm_of(L);
  if (vm == NULL) return;
  vm->instruction_limited = count >= 0;
  vm->instructions = count;
  if (count < 0)
    lua_sethook(L, NULL, 0, 0);
  else
    lua_sethook(L, count_hook, LUA_MASKCOUNT, count < HOOK_INTERVAL ? (int)count + 1 : HOOK_INTERVAL);
}

void milonga_interrupt(lua_State *L) {
  milonga_vm *vm = milonga_vm_of(L);
  if (vm == NULL) return;
  vm->interrupted = 1;
  int mask = LUA_MASKCALL | LUA_MASKRET | LUA_MASKLINE | LUA_MASKCOUNT;
  lua_sethook(L, count_hook, mask, 1);
}

// What limited code may still do; the innermost one counts.
typedef struct allowance {
  int64_t instructions;
  struct allowance *outer;
} allowance;

static _Thread_local allowance *current_allowance;

static void allowance_hook(lua_State *L, lua_Debug *ar) {
  milonga_vm *vm = milonga_vm_of(L);
  if (vm && (vm->interrupted || vm->instruction_limited)) count_hook(L, ar);
  // A coroutine that limited code has left behind.
  if (current_allowance == NULL) {
    lua_sethook(L, NULL, 0, 0);
    return;
  }
  int64_t used = lua_gethookcount(L);
  for (allowance *a = current_allowance; a != NULL; a = a->outer) a->instructions -= used;
  if (current_allowance->instructions <= 0) {
    lua_sethook(L, allowance_hook, LUA_MASKCOUNT, 1);
    raise_here(L, "instruction limit reached");
  }
}

int milonga_limited_pcall(lua_State *L, int arguments, int results, int64_t instructions,
                          size_t memory) {
  lua_Hook hook = lua_gethook(L);
  int mask = lua_gethookmask(L), interval = lua_gethookcount(L);
  milonga_memory *held = milonga_memory_of(L);
  size_t limit = held ? held->limit : 0;
  allowance own = {instructions, current_allowance};
  if (instructions >= 0) {
    if (own.outer && own.outer->instructions < own.instructions)
      own.instructions = own.outer->instructions;
    current_allowance = &own;
    lua_sethook(L, allowance_hook, LUA_MASKCOUNT,
                instructions < HOOK_INTERVAL ? (int)instructions + 1 : HOOK_INTERVAL);
  }
  if (held && memory != 0 && (limit == 0 || held->used + memory < limit))
    milonga_set_memory_limit(held, held->used + memory);
  int status = milonga_pcall(L, arguments, results, 0);
  if (held) milonga_set_memory_limit(held, limit);
  if (instructions >= 0) {
    current_allowance = own.outer;
    lua_sethook(L, hook, mask, interval);
  }
  return status;
}
