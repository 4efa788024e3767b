// The watchdog's hook.
#include "CMilongaShims.h"

// Rare enough to cost nothing that can be measured, often enough for a millisecond.
enum { INSTRUCTIONS = 10000 };

typedef struct watchdog {
  milonga_look look;
  void *context;
} watchdog;

static const char key = 0;

static void hook(lua_State *L, lua_Debug *ar) {
  (void)ar;
  milonga_pushkept(L, &key);
  watchdog *dog = lua_touserdata(L, -1);
  lua_settop(L, -2);
  if (dog == NULL || dog->look == NULL) {
    lua_sethook(L, NULL, 0, 0);
    return;
  }
  milonga_memory *memory = milonga_memory_of(L);
  if (memory) memory->swift_frames++;
  dog->look(L, dog->context);
  if (memory) memory->swift_frames--;
}

void milonga_set_watchdog(lua_State *L, milonga_look look, void *context) {
  milonga_pushkept(L, &key);
  watchdog *dog = lua_touserdata(L, -1);
  lua_settop(L, -2);
  if (dog == NULL) {
    dog = lua_newuserdatauv(L, sizeof(watchdog), 0);
    milonga_keep(L, &key);
  }
  dog->look = look;
  dog->context = context;
}

void milonga_watch(lua_State *co) {
  if (lua_gethook(co) == NULL) lua_sethook(co, hook, LUA_MASKCOUNT, INSTRUCTIONS);
}
