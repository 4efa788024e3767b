// Swift functions as Lua functions.
//
// Lua calls every Swift function through one trampoline. The Swift function returns an outcome;
// only the trampoline, after the Swift frame is gone, raises the error, yields, or calls on.
#ifndef MILONGA_FUNCTION_H
#define MILONGA_FUNCTION_H

#include <lua.h>
#include <stdint.h>

// What a Swift function asks the trampoline to do.
typedef enum milonga_action {
  MILONGA_RETURN = 0, // return the `count` topmost values
  MILONGA_ERROR = 1,  // raise the topmost value
  MILONGA_WHERE_ERROR =
      2,                // raise the topmost value, a string, with the caller's position before it
  MILONGA_ARGUMENT = 3, // raise "bad argument #count": the topmost value says what is wrong
  MILONGA_TYPE = 4,     // raise "bad argument #count": the topmost value names the type expected
  MILONGA_YIELD = 5,    // yield the `count` topmost values, run again when resumed
  MILONGA_CALL = 6,     // call a function with `count` arguments, run again when it returned
  MILONGA_PCALL = 7,    // the same, run again also when it failed
  MILONGA_TRACED_PCALL = 8 // the same; a failure's message has its traceback (handler below it)
} milonga_action;

typedef struct milonga_outcome {
  int32_t action;  // a milonga_action
  int32_t count;   // values, arguments, or the argument's number
  int32_t results; // CALL, PCALL: results wanted, LUA_MULTRET for all
  int32_t state;   // handed back when the function runs again
} milonga_outcome;

// Why a Swift function runs.
typedef enum milonga_phase {
  MILONGA_ENTERED = 0,  // called by Lua
  MILONGA_RESUMED = 1,  // its yield was resumed; the values given to resume are on the stack
  MILONGA_RETURNED = 2, // the function it called returned; the results are on the stack
  MILONGA_FAILED = 3    // the function it called failed; the error value is on the stack
} milonga_phase;

typedef struct milonga_resumption {
  int32_t phase; // a milonga_phase
  int32_t state; // as given with the outcome, 0 when entered
} milonga_resumption;

typedef milonga_outcome (*milonga_invoke)(lua_State *L, void *context, milonga_resumption why);
typedef void (*milonga_release)(void *context);

// Pushes a Lua function that calls `invoke` with `context`, and calls `release(context)` once when
// it is collected or its state closes. Calling it afterwards (from a finalizer) is a Lua error. The
// `upvalues` topmost values are popped and become its upvalues 2, 3, ...
void milonga_pushfunction(lua_State *L, void *context, milonga_invoke invoke,
                          milonga_release release, int upvalues);

// The message handler of `lua5.4`: the error as a string, with a traceback.
int milonga_traceback(lua_State *L);

#endif
