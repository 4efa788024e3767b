// The trampoline: the one C function through which Lua calls every Swift function.
#include "CMilongaShims.h"

#include <lauxlib.h>
#include <stdatomic.h>
#include <string.h>

// The closure's upvalue: a userdata that owns the Swift context. The debug library gets at it: its
// finaliser can be called at any time, and anything can be put in its place.
typedef struct function_box {
  const void *mark; // &box_mark; &finalised_mark once its finaliser was called
  milonga_invoke invoke;
  milonga_release release;
  void *context;          // NULL once released
  milonga_memory *memory; // of the state
} function_box;

static const char box_mark = 0, finalised_mark = 0;

// Boxes that were found to be such. They are told by their addresses, so that what a light userdata
// points to is not touched. A place without one holds an address that nothing has.
enum { KNOWN_BOXES = 512 };
static const char no_box = 0;
static _Atomic(const void *) known_boxes[KNOWN_BOXES] = {&no_box};

// Counts the boxes whose finaliser was called; while that stays the same, the one that runs is
// there.
static _Atomic(unsigned) finalised_boxes;

static inline unsigned count_of_finalised(void) {
  return atomic_load_explicit(&finalised_boxes, memory_order_relaxed);
}

static inline _Atomic(const void *) *place_of(const function_box *box) {
  return &known_boxes[((uintptr_t)box >> 4) % KNOWN_BOXES];
}

static int is_box(lua_State *L, int index, const function_box *box) {
  return lua_type(L, index) == LUA_TUSERDATA && lua_rawlen(L, index) == sizeof(function_box) &&
         (box->mark == &box_mark || box->mark == &finalised_mark);
}

// The first upvalue was not seen before.
static __attribute__((noinline)) void look_at_box(lua_State *L, function_box *box) {
  if (box == NULL || !is_box(L, lua_upvalueindex(1), box))
    luaL_error(L, "a function's first upvalue was replaced");
  if (box->mark != &box_mark) luaL_error(L, "function called after its Lua state began to close");
  atomic_store_explicit(place_of(box), box, memory_order_relaxed);
}

// The box of the running function.
static inline function_box *own_box(lua_State *L) {
  function_box *box = lua_touserdata(L, lua_upvalueindex(1));
  if (__builtin_expect(atomic_load_explicit(place_of(box), memory_order_relaxed) != box, 0) ||
      __builtin_expect(box->mark != &box_mark, 0))
    look_at_box(L, box);
  return box;
}

static const char metatable_key = 0;

static int run(lua_State *L, milonga_resumption why);

// lua_KContext carries what must survive a yield: the action that ended the last run and the state.
// A yield of an exhausted state has another action, for the error is raised when the coroutine goes
// on: what it waits for was arranged already, and an error before its end would leave that behind.
enum { YIELD_EXHAUSTED = 100 };

static lua_KContext pack(int32_t action, int32_t state) {
  return (lua_KContext)(((uint64_t)(uint32_t)action << 32) | (uint32_t)state);
}

static int proceed(lua_State *L, int status, lua_KContext context) {
  milonga_resumption why;
  why.state = (int32_t)(uint32_t)((uint64_t)context & 0xffffffffu);
  int32_t action = (int32_t)((uint64_t)context >> 32);
  if (action == YIELD_EXHAUSTED) milonga_raise_memory_error(L);
  if (action == MILONGA_YIELD)
    why.phase = MILONGA_RESUMED;
  else
    why.phase = status == LUA_OK || status == LUA_YIELD ? MILONGA_RETURNED : MILONGA_FAILED;
  return run(L, why);
}

// The Swift function has left something in the state that is not what it should be: it fails, or
// what it wants to call does, with Lua's memory error. Returns whether the Swift function is to run
// again.
static int report_exhaustion(lua_State *L, milonga_outcome outcome, milonga_resumption *why) {
  switch (outcome.action) {
  case MILONGA_YIELD:
    lua_yieldk(L, outcome.count, pack(YIELD_EXHAUSTED, outcome.state), proceed);
    return 0;
  case MILONGA_PCALL:
  case MILONGA_TRACED_PCALL:
    lua_settop(L, -outcome.count - 2);
    lua_pushliteral(L, "not enough memory");
    *why = (milonga_resumption){MILONGA_FAILED, outcome.state};
    return 1;
  default: milonga_raise_memory_error(L); return 0;
  }
}

// Raises the error that the outcome says.
static __attribute__((noinline)) int raise_error(lua_State *L, milonga_outcome outcome) {
  switch (outcome.action) {
  case MILONGA_WHERE_ERROR:
    luaL_where(L, 1);
    lua_insert(L, -2);
    lua_concat(L, 2);
    return lua_error(L);
  case MILONGA_ARGUMENT: return luaL_argerror(L, outcome.count, lua_tostring(L, -1));
  case MILONGA_TYPE: {
    // The name must leave the stack, or it would stand where a missing argument is looked for.
    char expected[128];
    strncpy(expected, lua_tostring(L, -1), sizeof expected - 1);
    expected[sizeof expected - 1] = 0;
    lua_pop(L, 1);
    return luaL_typeerror(L, outcome.count, expected);
  }
  default: // MILONGA_ERROR
    return lua_error(L);
  }
}

static int run(lua_State *L, milonga_resumption why) {
  // The box itself may be gone after a call, if another value has taken its place.
  function_box *box = own_box(L);
  milonga_memory *memory = box->memory;
  milonga_invoke invoke = box->invoke;
  milonga_frame frame = {L, box->context, memory->frame, NULL};
  unsigned finalised = count_of_finalised();
  for (;;) {
    memory->frame = &frame;
    memory->swift_frames++;
    milonga_outcome outcome = invoke(L, frame.context, why);
    memory->frame = frame.outer;
    memory->swift_frames--;
    if (__builtin_expect(frame.release != NULL, 0)) {
      frame.release(frame.context);
      frame.release = NULL;
    }
    if (__builtin_expect(memory->exhausted | memory->reserve_spent, 0) &&
        memory->swift_frames == 0 && milonga_take_exhaustion(L) &&
        report_exhaustion(L, outcome, &why))
      goto again;
    switch (outcome.action) {
    case MILONGA_RETURN: return outcome.count;
    case MILONGA_YIELD:
      return lua_yieldk(L, outcome.count, pack(MILONGA_YIELD, outcome.state), proceed);
    case MILONGA_CALL:
      lua_callk(L, outcome.count, outcome.results, pack(MILONGA_CALL, outcome.state), proceed);
      why.phase = MILONGA_RETURNED;
      break;
    case MILONGA_PCALL:
    case MILONGA_TRACED_PCALL: {
      // The handler, when there is one, was pushed just below the function.
      int handler = 0;
      if (outcome.action == MILONGA_TRACED_PCALL) handler = lua_gettop(L) - outcome.count - 1;
      int status = lua_pcallk(L, outcome.count, outcome.results, handler,
                              pack(MILONGA_PCALL, outcome.state), proceed);
      why.phase = status == LUA_OK ? MILONGA_RETURNED : MILONGA_FAILED;
      break;
    }
    default: return raise_error(L, outcome);
    }
    why.state = outcome.state;
  again:
    if (finalised != count_of_finalised()) {
      box = own_box(L);
      invoke = box->invoke;
      frame.context = box->context;
      finalised = count_of_finalised();
    }
  }
}

static int trampoline(lua_State *L) {
  milonga_resumption why = {MILONGA_ENTERED, 0};
  return run(L, why);
}

// A script may call this by itself, and from within the function. Then the function is not called
// any more, and its context lives on until the collector comes.
static int release_box(lua_State *L) {
  function_box *box = lua_touserdata(L, 1);
  if (box == NULL || !is_box(L, 1, box)) return 0;
  const void *known = box;
  atomic_compare_exchange_strong(place_of(box), &known, &no_box);
  atomic_fetch_add_explicit(&finalised_boxes, 1, memory_order_relaxed);
  box->mark = &finalised_mark;
  void *context = box->context;
  if (context == NULL || !milonga_iscollecting(L)) return 0;
  box->context = NULL;
  // It runs, and another value has taken its place among the upvalues.
  milonga_memory *memory = box->memory;
  for (milonga_frame *frame = memory ? memory->frame : NULL; frame; frame = frame->outer)
    if (frame->context == context) {
      // The outermost of its runs ends last.
      milonga_frame *last = frame;
      for (; frame; frame = frame->outer)
        if (frame->context == context) last = frame;
      last->release = box->release;
      return 0;
    }
  box->release(context);
  return 0;
}

void milonga_pushfunction(lua_State *L, void *context, milonga_invoke invoke,
                          milonga_release release, int upvalues) {
  milonga_memory *memory = milonga_memory_of(L);
  function_box *box = lua_newuserdatauv(L, sizeof(function_box), memory->second != NULL ? 1 : 0);
  box->mark = &box_mark;
  box->invoke = invoke;
  box->release = release;
  box->context = context;
  box->memory = memory;
  if (memory->second != NULL) milonga_holdstore(L);
  milonga_pushkept(L, &metatable_key);
  if (lua_type(L, -1) != LUA_TTABLE) {
    lua_pop(L, 1);
    lua_createtable(L, 0, 1);
    lua_pushcfunction(L, release_box);
    lua_setfield(L, -2, "__gc");
    lua_pushvalue(L, -1);
    milonga_keep(L, &metatable_key);
  }
  lua_setmetatable(L, -2);
  lua_insert(L, -1 - upvalues);
  lua_pushcclosure(L, trampoline, 1 + upvalues);
}

int milonga_traceback(lua_State *L) {
  const char *message = lua_tostring(L, 1);
  if (message == NULL) {
    if (luaL_callmeta(L, 1, "__tostring") && lua_type(L, -1) == LUA_TSTRING) return 1;
    message = lua_pushfstring(L, "(error object is a %s value)", luaL_typename(L, 1));
  }
  luaL_traceback(L, L, message, 1);
  return 1;
}
