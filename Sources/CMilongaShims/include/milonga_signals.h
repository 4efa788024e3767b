// SIGINT and SIGTERM as a wish to end that an event loop carries out.
#ifndef MILONGA_SIGNALS_H
#define MILONGA_SIGNALS_H

#include <lua.h>
#include <stdint.h>

// From now on the first SIGINT or SIGTERM is only noted, and written to the eventfd `wake`, whose
// loop looks at milonga_termination_signal; the second one ends the process. A signal that is
// ignored stays so. Returns 0 when another loop of the process has them already.
int milonga_catch_termination(int wake);

// The signal that was noted, 0 for none: set by the signal handler.
extern volatile int milonga_noted_signal;
static inline int milonga_termination_signal(void) { return milonga_noted_signal; }

// The signals do again what they did before milonga_catch_termination.
void milonga_release_termination(void);

// What is known of the loop that has the signals, while one of its turns does not end.
typedef struct milonga_turn_keeper {
  void *loop;
  // The coroutine whose turn it is, NULL for none.
  lua_State *(*running)(void *loop);
  // Writes a line to stderr that names it. `computing` is the coroutine that Lua is running, NULL
  // when the turn is in a C function. Then it runs in a signal handler, which nothing may happen
  // in; as the process is about to end, the worst is that the line is missing.
  void (*report)(void *loop, int signal_number, lua_State *computing);
} milonga_turn_keeper;

// The turn that runs when the signal comes, and each later one between milonga_limit_turn(1) and
// milonga_limit_turn(0), may last so many nanoseconds; then the process ends by the signal. 0 for
// no limit.
void milonga_keep_turns(int64_t nanoseconds, milonga_turn_keeper keeper);

// After a signal: a turn begins, or the loop is back.
void milonga_limit_turn(int begins);

#endif
