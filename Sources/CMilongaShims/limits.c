// The count hooks: where the limits live that are not about memory.
#include "spending.h"

#include <lauxlib.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

enum {
  // One instruction, such as a comparison of large strings, may take milliseconds.
  LOOK_INTERVAL = 4,
  // Bytes that the compiler is given at a time: one of them can take it many microseconds.
  PIECE = 64,
};

_Thread_local milonga_limits *current_limits;

struct milonga_flag {
  atomic_int raised;
};

milonga_flag *milonga_flag_make(void) { return calloc(1, sizeof(milonga_flag)); }

void milonga_flag_free(milonga_flag *flag) { free(flag); }

void milonga_flag_raise(milonga_flag *flag) { atomic_store(&flag->raised, 1); }

static int64_t nanoseconds(clockid_t clock) {
  struct timespec now;
  clock_gettime(clock, &now);
  return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

// Runs of this thread, from 1.
static uint64_t number_of_run(void) {
  static _Thread_local uint64_t last;
  return ++last;
}

static int64_t deadline_after(int64_t duration) {
  int64_t now = nanoseconds(CLOCK_MONOTONIC);
  return duration < MILONGA_UNLIMITED - now ? now + duration : MILONGA_UNLIMITED;
}

static milonga_stop find_stop(const milonga_limits *limits) {
  if (limits->stopped != MILONGA_GOES_ON) return (milonga_stop)limits->stopped;
  if (limits->instructions < 0) return MILONGA_OUT_OF_INSTRUCTIONS;
  if (limits->flag != NULL && atomic_load_explicit(&limits->flag->raised, memory_order_relaxed))
    return MILONGA_INTERRUPTED;
  // This clock advances in steps of a few milliseconds, and costs a quarter of the exact one.
  if (limits->deadline != MILONGA_UNLIMITED &&
      nanoseconds(CLOCK_MONOTONIC_COARSE) >= limits->deadline)
    return MILONGA_OUT_OF_TIME;
  return MILONGA_GOES_ON;
}

// Raises at the function `level` levels up. Inside a hook, level 0 is the function that was
// interrupted.
static void raise_at(lua_State *L, int level, const char *message) {
  luaL_where(L, level);
  lua_pushstring(L, message);
  lua_concat(L, 2);
  lua_error(L);
}

const char *milonga_stop_message(milonga_stop stop) {
  static const char *const messages[] = {"", "instruction limit reached", "time limit reached",
                                         "interrupted!"};
  return messages[stop];
}

// A position takes memory. When there is none, Lua collects in vain: once, but not for each pcall
// that the error has to get through.
enum { NOWHERE = -1 };

static void raise_stop(lua_State *L, int level, milonga_stop stop) {
  if (level != NOWHERE) raise_at(L, level, milonga_stop_message(stop));
  lua_pushstring(L, milonga_stop_message(stop));
  lua_error(L);
}

void limits_keep_messages(lua_State *L) {
  static const char key = 0;
  lua_createtable(L, MILONGA_INTERRUPTED, 0);
  for (int stop = MILONGA_OUT_OF_INSTRUCTIONS; stop <= MILONGA_INTERRUPTED; stop++) {
    lua_pushstring(L, milonga_stop_message((milonga_stop)stop));
    lua_rawseti(L, -2, stop);
  }
  lua_rawsetp(L, LUA_REGISTRYINDEX, &key);
}

// True when the code may not go on.
static int look(milonga_limits *limits) {
  limits->stopped = find_stop(limits);
  limits->until_look = limits->stopped == MILONGA_GOES_ON ? LOOK_INTERVAL - 1 : 0;
  return limits->stopped != MILONGA_GOES_ON;
}

void limits_look(lua_State *L) {
  milonga_limits *limits = current_limits;
  int had_stopped = limits->stopped != MILONGA_GOES_ON;
  if (look(limits)) raise_stop(L, had_stopped ? NOWHERE : 1, (milonga_stop)limits->stopped);
}

static void limit_hook(lua_State *L, lua_Debug *ar);

// The hook of a coroutine in which the error was raised: by its hook it is known. Lua allows no
// hooks inside of a hook, and a coroutine that dies of such an error never allows them again.
static void stopped_hook(lua_State *L, lua_Debug *ar) {
  if (!limits_have_stopped()) lua_sethook(L, limit_hook, LUA_MASKCOUNT, 1);
  limit_hook(L, ar);
}

static void limit_hook(lua_State *L, lua_Debug *ar) {
  (void)ar;
  milonga_limits *limits = current_limits;
  if (limits == NULL || !limits->counts) {
    // A coroutine that limited code has left behind.
    lua_sethook(L, NULL, 0, 0);
    return;
  }
  limits->instructions--;
  limits->until_look--;
  if (limits->instructions >= 0 && limits->until_look >= 0) return;
  int had_stopped = limits->stopped != MILONGA_GOES_ON;
  if (!look(limits)) return;
  if (lua_gethook(L) != stopped_hook) lua_sethook(L, stopped_hook, LUA_MASKCOUNT, 1);
  raise_stop(L, had_stopped ? NOWHERE : 0, (milonga_stop)limits->stopped);
}

void limits_watch(lua_State *co) {
  if (current_limits == NULL || !current_limits->counts) return;
  lua_Hook hook = lua_gethook(co);
  if (hook != limit_hook && hook != stopped_hook) lua_sethook(co, limit_hook, LUA_MASKCOUNT, 1);
}

int milonga_is_stopped(lua_State *co) {
  return lua_gethook(co) == stopped_hook && lua_status(co) > LUA_YIELD;
}

milonga_limits *milonga_enter(lua_State *L, milonga_limits *limits) {
  milonga_limits *previous = current_limits;
  current_limits = limits;
  if (limits == NULL) return previous;
  if (limits->depth++ == 0) {
    limits->deadline = deadline_after(limits->duration);
    limits->run = number_of_run();
    limits->stopped = MILONGA_GOES_ON;
    limits->until_look = 0;
  }
  limits_watch(L);
  return previous;
}

void milonga_leave(milonga_limits *limits, milonga_limits *previous) {
  if (limits != NULL && --limits->depth == 0 && limits->flag != NULL)
    atomic_store(&limits->flag->raised, 0);
  current_limits = previous;
}

// MARK: Interruption by a signal

static void interrupt_hook(lua_State *L, lua_Debug *ar) {
  (void)ar;
  milonga_vm *vm = milonga_vm_of(L);
  vm->interrupted = 0;
  lua_sethook(L, NULL, 0, 0);
  limits_watch(L);
  raise_at(L, 0, "interrupted!");
}

static void request_interrupt(lua_State *L) {
  int mask = LUA_MASKCALL | LUA_MASKRET | LUA_MASKLINE | LUA_MASKCOUNT;
  lua_sethook(L, interrupt_hook, mask, 1);
}

void milonga_interrupt(lua_State *L) {
  milonga_vm *vm = milonga_vm_of(L);
  if (vm == NULL) return;
  vm->interrupted = 1;
  request_interrupt(L);
}

// MARK: Limits of one call

// What has to be as before when the limited code has ended.
typedef struct saved {
  lua_Hook hook;
  int mask, interval;
  milonga_vm *vm;
  size_t memory_limit;
  milonga_limits *outer;
  int64_t granted;
} saved;

static int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }

static milonga_limits grant(int64_t instructions, int64_t duration, const milonga_limits *outer) {
  milonga_limits limits = {
      .instructions = instructions < 0 ? MILONGA_UNLIMITED : instructions,
      .duration = duration < 0 ? MILONGA_UNLIMITED : duration,
      .counts = instructions >= 0 || duration >= 0,
      .run = number_of_run(),
      .depth = 1,
  };
  limits.deadline = deadline_after(limits.duration);
  if (outer == NULL) return limits;
  limits.instructions = smaller(limits.instructions, outer->instructions);
  limits.deadline = smaller(limits.deadline, outer->deadline);
  limits.counts |= outer->counts;
  limits.flag = outer->flag;
  limits.stopped = outer->stopped;
  return limits;
}

static saved begin(lua_State *L, milonga_limits *limits, size_t memory) {
  saved before = {lua_gethook(L), lua_gethookmask(L),  lua_gethookcount(L), milonga_vm_of(L), 0,
                  current_limits, limits->instructions};
  milonga_memory *held = milonga_memory_of(L);
  if (held != NULL) {
    before.memory_limit = held->limit;
    if (memory != 0 && (held->limit == 0 || held->used + memory < held->limit))
      milonga_set_memory_limit(held, held->used + memory);
  }
  current_limits = limits;
  limits_watch(L);
  return before;
}

static void end(lua_State *L, const milonga_limits *limits, saved before) {
  milonga_memory *held = milonga_memory_of(L);
  if (held != NULL) milonga_set_memory_limit(held, before.memory_limit);
  current_limits = before.outer;
  if (before.outer != NULL) {
    before.outer->instructions -= before.granted - limits->instructions;
    before.outer->until_look = 0;
  }
  if (before.vm != NULL && before.vm->interrupted)
    request_interrupt(L);
  else
    lua_sethook(L, before.hook, before.mask, before.interval);
}

int milonga_limited_pcall(lua_State *L, int arguments, int results, int64_t instructions,
                          int64_t nanoseconds, size_t memory) {
  milonga_limits limits = grant(instructions, nanoseconds, current_limits);
  int base = lua_gettop(L) - arguments - 1;
  saved before = begin(L, &limits, memory);
  int status = milonga_pcall(L, arguments, results, 0);
  if (status == LUA_OK && limits.stopped != MILONGA_GOES_ON) {
    // The last thing that ran was a pcall.
    lua_settop(L, base);
    lua_pushstring(L, milonga_stop_message((milonga_stop)limits.stopped));
    status = LUA_ERRRUN;
  }
  end(L, &limits, before);
  return status;
}

int milonga_limited_load(lua_State *L, const char *bytes, size_t count, const char *name,
                         const char *mode, int64_t instructions, int64_t nanoseconds,
                         size_t memory) {
  milonga_limits limits = grant(instructions, nanoseconds, current_limits);
  limits.counts_text = 1;
  saved before = begin(L, &limits, memory);
  int status = milonga_load(L, bytes, count, name, mode);
  end(L, &limits, before);
  return status;
}

// MARK: Compiling

typedef struct source {
  const char *bytes;
  size_t left;
  int counts;
} source;

static const char *read_piece(lua_State *L, void *ud, size_t *size) {
  source *text = ud;
  const char *piece = text->bytes;
  *size = text->left < PIECE ? text->left : PIECE;
  text->bytes += *size;
  text->left -= *size;
  if (current_limits == NULL) return piece;
  if (text->counts || current_limits->counts_text) limits_spend(L, (int64_t)*size);
  limits_look(L);
  return piece;
}

int limits_load(lua_State *L, const char *bytes, size_t count, const char *name, const char *mode,
                int counts) {
  source text = {bytes, count, counts};
  return lua_load(L, read_piece, &text, name, mode);
}
