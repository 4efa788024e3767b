// The count hooks: where the instruction limits live, and interruption.
#include "CShims.h"

#include <lauxlib.h>

enum { HOOK_INTERVAL = 1000 };

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
