// The state's allocator and its hook: where the memory and instruction limits live.
#include "CShims.h"
#include "blocks.h"

#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

enum { HOOK_INTERVAL = 1000 };

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
  if (milonga_makestore(L) != LUA_OK) {
    milonga_close(L);
    return NULL;
  }
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
  milonga_vm *vm = milonga_vm_of(L);
  lua_Hook hook = lua_gethook(L);
  int mask = lua_gethookmask(L), interval = lua_gethookcount(L);
  size_t limit = vm ? vm->limit : 0;
  allowance own = {instructions, current_allowance};
  if (instructions >= 0) {
    if (own.outer && own.outer->instructions < own.instructions)
      own.instructions = own.outer->instructions;
    current_allowance = &own;
    lua_sethook(L, allowance_hook, LUA_MASKCOUNT,
                instructions < HOOK_INTERVAL ? (int)instructions + 1 : HOOK_INTERVAL);
  }
  if (vm && memory != 0 && (limit == 0 || vm->used + memory < limit)) vm->limit = vm->used + memory;
  int status = milonga_pcall(L, arguments, results, 0);
  if (vm) vm->limit = limit;
  if (instructions >= 0) {
    current_allowance = own.outer;
    lua_sethook(L, hook, mask, interval);
  }
  return status;
}
