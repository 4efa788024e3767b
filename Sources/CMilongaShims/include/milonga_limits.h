// What code may use: instructions, time, and whether it is wanted to go on.
//
// While code runs within limits they are the thread's current ones. A hook counts every
// instruction, in all coroutines, so a limit of N permits N instructions. Once they are used up,
// every further instruction and every guarded function fails, so no pcall in the code can go on.
#ifndef MILONGA_LIMITS_H
#define MILONGA_LIMITS_H

#include <lua.h>
#include <stddef.h>
#include <stdint.h>

// Raised by any thread, seen by the hooks.
typedef struct milonga_flag milonga_flag;

// Why code may not go on.
typedef enum milonga_stop {
  MILONGA_GOES_ON = 0,
  MILONGA_OUT_OF_INSTRUCTIONS = 1,
  MILONGA_OUT_OF_TIME = 2,
  MILONGA_INTERRUPTED = 3
} milonga_stop;

// The error that it is for the code.
const char *milonga_stop_message(milonga_stop stop);

typedef struct milonga_limits {
  int64_t instructions; // left; negative once code wanted more
  int64_t duration; // nanoseconds that the outermost run may take, MILONGA_UNLIMITED for any number
  int64_t deadline; // its end by the monotonic clock
  uint64_t run;     // a number of the outermost run
  milonga_flag *flag;  // NULL when the code cannot be interrupted
  int32_t counts;      // hooks are needed: there is more than a memory limit
  int32_t counts_text; // so do the bytes of what is compiled
  int32_t until_look;  // instructions until the clock and the flag are looked at
  int32_t stopped;     // a milonga_stop
  int32_t depth;       // runs inside of runs
} milonga_limits;

#define MILONGA_UNLIMITED INT64_MAX

// A flag that is not raised, NULL when there is no memory for it.
milonga_flag *milonga_flag_make(void);
void milonga_flag_free(milonga_flag *flag);
// Safe on any thread.
void milonga_flag_raise(milonga_flag *flag);

// Code that this thread runs until `milonga_leave` is within `limits`; NULL: within none. `L` is
// the coroutine that it begins in. Gives what was current before.
milonga_limits *milonga_enter(lua_State *L, milonga_limits *limits);
void milonga_leave(milonga_limits *limits, milonga_limits *previous);

// Whether `co` was ended by its limits. Its to-be-closed variables must not be closed then: Lua
// would run their metamethods without hooks.
int milonga_is_stopped(lua_State *co);

// lua_pcall of code that may run `instructions` virtual machine instructions and `nanoseconds`
// (both: negative for any number), in all its coroutines, and in a state of our own take `memory`
// bytes more (0: any number). It cannot be suspended.
int milonga_limited_pcall(lua_State *L, int arguments, int results, int64_t instructions,
                          int64_t nanoseconds, size_t memory);

// milonga_load within such limits: a byte counts as an instruction.
int milonga_limited_load(lua_State *L, const char *bytes, size_t count, const char *name,
                         const char *mode, int64_t instructions, int64_t nanoseconds,
                         size_t memory);

// Makes the running Lua code raise "interrupted!", which pcall catches. Safe in a signal handler.
void milonga_interrupt(lua_State *L);

#endif
