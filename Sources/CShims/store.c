// The store: a table that Swift's references are in, on the stack of a thread, the *keeper*, that never runs.
//
// No function of the debug library reaches the stack of a thread below its first function, so whoever holds
// the keeper cannot get at the table. In a state of our own the keeper lies in the place of the function
// in the main thread's outermost frame, from where nothing takes it. A state that another program has made has no such
// place. There it belongs to a userdata that nobody has: each time the collector finds that out, the
// userdata's finaliser marks it to be finalised again, and so it lives until the state closes. But the collector
// finalises with it what only it holds, and a finaliser fails where the stack overflows. So table and
// keeper also lie on the stack of a second thread, which the registry and the userdata of all functions have.
#include "CShims.h"

#include <lauxlib.h>
#include <stdatomic.h>
#include <stdlib.h>

enum { TABLE = 1 }; // the table's place on the keeper's stack

// The store of a state that another program has made.
typedef struct foreign_store {
  _Atomic(const void *) registry; // the address of its registry's table: no two that live share one
  lua_State *keeper;
  lua_State *main;
  lua_State *second; // the second thread
  int may_be_closed; // the finaliser ran outside of all functions, as it does when the state closes
  struct foreign_store *next;
} foreign_store;

static _Atomic(foreign_store *) foreign_stores;
static const char second_key = 0, main_key = 0;

// Pushes a thread with a table on its stack. What lies on top is no function: resuming it fails.
static lua_State *push_keeper(lua_State *L) {
  lua_State *keeper = lua_newthread(L);
  lua_createtable(L, 64, 0);
  lua_xmove(L, keeper, 1);
  lua_pushboolean(keeper, 0);
  return keeper;
}

static int make_own(lua_State *L) {
  milonga_vm *vm = milonga_vm_of(L);
  vm->keeper = push_keeper(L);
  return 1;
}

int milonga_makestore(lua_State *L) {
  milonga_vm_of(L)->main = L;
  lua_pushcfunction(L, make_own);
  int status = lua_pcall(L, 0, 1, 0);
  // Below the only value on the stack is the outermost frame's function, of which there is none.
  if (status == LUA_OK) lua_copy(L, -1, -2);
  lua_settop(L, 0);
  return status;
}

// Finalises what holds a foreign store: it lives on.
static int live_on(lua_State *L) {
  foreign_store **store = lua_touserdata(L, 1);
  lua_Debug frame;
  if (store == NULL || lua_rawlen(L, 1) != sizeof *store || !lua_getmetatable(L, 1)) return 0;
  if (!lua_getstack(L, 1, &frame)) (*store)->may_be_closed = 1;
  lua_setmetatable(L, 1);
  return 0;
}

static int make_foreign(lua_State *L) {
  foreign_store *store = lua_touserdata(L, 1);
  foreign_store **holder = lua_newuserdatauv(L, sizeof *holder, 1);
  *holder = store;
  store->keeper = push_keeper(L);
  lua_setiuservalue(L, 2, 1);
  // Should it be another thread than the main one, it stays at least.
  lua_rawgeti(L, LUA_REGISTRYINDEX, LUA_RIDX_MAINTHREAD);
  store->main = lua_tothread(L, -1);
  if (store->main == NULL) return luaL_error(L, "milonga: the registry has no main thread");
  lua_pushvalue(store->keeper, TABLE);
  lua_xmove(store->keeper, L, 1);
  lua_insert(L, -2);
  lua_rawsetp(L, -2, &main_key);
  store->second = lua_newthread(L);
  lua_insert(L, -2);
  lua_xmove(L, store->second, 1);
  lua_pushthread(store->keeper);
  lua_xmove(store->keeper, store->second, 1);
  lua_pushboolean(store->second, 0);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &second_key);
  lua_createtable(L, 0, 1);
  lua_pushcfunction(L, live_on);
  lua_setfield(L, -2, "__gc");
  lua_setmetatable(L, 2);
  store->may_be_closed = 0;
  store->registry = lua_topointer(L, LUA_REGISTRYINDEX);
  return 0;
}

static foreign_store *foreign_store_of(lua_State *L) {
  const void *registry = lua_topointer(L, LUA_REGISTRYINDEX);
  foreign_store *store = foreign_stores;
  while (store != NULL && store->registry != registry) store = store->next;
  return store;
}

// Whether the store is that of an earlier state, whose registry lay at the same address.
static int is_outdated(const foreign_store *store, lua_State *L) {
  if (!store->may_be_closed) return 0;
  lua_rawgetp(L, LUA_REGISTRYINDEX, &second_key);
  int is_of_this = lua_tothread(L, -1) == store->second;
  lua_settop(L, -2);
  return !is_of_this;
}

int milonga_openstore(lua_State *L) {
  milonga_vm *vm = milonga_vm_of(L);
  if (vm != NULL && vm->keeper != NULL) return LUA_OK;
  foreign_store *store = foreign_store_of(L);
  if (store != NULL && !is_outdated(store, L)) return LUA_OK;
  if (store == NULL) {
    store = calloc(1, sizeof *store);
    if (store == NULL) return LUA_ERRMEM;
    store->next = foreign_stores;
    while (!atomic_compare_exchange_weak(&foreign_stores, &store->next, store)) {}
  }
  store->registry = NULL;
  lua_pushcfunction(L, make_foreign);
  lua_pushlightuserdata(L, store);
  int status = lua_pcall(L, 1, 0, 0);
  if (status != LUA_OK) lua_settop(L, -2);
  return status;
}

static foreign_store *opened_store_of(lua_State *L) {
  foreign_store *store = foreign_store_of(L);
  if (store != NULL) return store;
  // Whoever loads our modules opens it first, and is told when that fails.
  if (milonga_openstore(L) != LUA_OK) abort();
  return foreign_store_of(L);
}

static inline lua_State *keeper_of(lua_State *L) {
  milonga_vm *vm = milonga_vm_of(L);
  return vm != NULL && vm->keeper != NULL ? vm->keeper : opened_store_of(L)->keeper;
}

void milonga_holdstore(lua_State *L) {
  milonga_vm *vm = milonga_vm_of(L);
  if (vm != NULL && vm->keeper != NULL) return;
  lua_State *second = opened_store_of(L)->second;
  lua_pushthread(second);
  lua_xmove(second, L, 1);
  lua_setiuservalue(L, -2, 1);
}

lua_State *milonga_mainthread(lua_State *L) {
  milonga_vm *vm = milonga_vm_of(L);
  return vm != NULL && vm->keeper != NULL ? vm->main : opened_store_of(L)->main;
}

// Puts the table below the topmost value. The keeper's own stack is used for no more than copies: what
// allocates may run a finaliser, or raise an error, and that on the thread it is told.
static void insert_table(lua_State *L) {
  lua_State *keeper = keeper_of(L);
  lua_pushvalue(keeper, TABLE);
  lua_xmove(keeper, L, 1);
  lua_insert(L, -2);
}

int milonga_retain(lua_State *L) {
  insert_table(L);
  int reference = luaL_ref(L, -2);
  lua_settop(L, -2);
  return reference;
}

void milonga_pushretained(lua_State *L, int reference) {
  lua_State *keeper = keeper_of(L);
  lua_rawgeti(keeper, TABLE, reference);
  lua_xmove(keeper, L, 1);
}

void milonga_replaceretained(lua_State *L, int reference) {
  insert_table(L);
  lua_rawseti(L, -2, reference);
  lua_settop(L, -2);
}

void milonga_unretain(lua_State *L, int reference) { luaL_unref(keeper_of(L), TABLE, reference); }

void milonga_pushkept(lua_State *L, const void *key) {
  lua_State *keeper = keeper_of(L);
  lua_rawgetp(keeper, TABLE, key);
  lua_xmove(keeper, L, 1);
}

void milonga_keep(lua_State *L, const void *key) {
  insert_table(L);
  lua_rawsetp(L, -2, key);
  lua_settop(L, -2);
}
