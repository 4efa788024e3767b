// Termination signals. The first one is noted, and does only what POSIX allows in a handler. A
// timer, which sends the same signal, ends a turn that does not come back to its loop.
#ifdef __linux__ // Lua states are also used on other systems, but without what is here.
#define _GNU_SOURCE
#include "CMilongaShims.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { COUNT = 2 };
static const int signals[COUNT] = {SIGINT, SIGTERM};
static struct sigaction before[COUNT];
static atomic_flag taken = ATOMIC_FLAG_INIT;
volatile int milonga_noted_signal;
static volatile int wake_descriptor = -1;

// The timer of each signal, as far as there is one.
static timer_t timers[COUNT];
static int has_timer[COUNT];
static volatile int64_t limit;
static milonga_turn_keeper keeper;
// The turn is over its limit, and the running Lua code was asked to tell.
static volatile sig_atomic_t is_asked;

// What Lua code has to notice that it is asked, before it counts as a C function that does not
// return.
enum { ASKING_NANOSECONDS = 200000000, REPORTING_NANOSECONDS = 500000000 };

static void set_timer(int i, int64_t nanoseconds) {
  if (!has_timer[i]) return;
  struct itimerspec time = {.it_value = {nanoseconds / 1000000000, nanoseconds % 1000000000}};
  timer_settime(timers[i], 0, &time, NULL);
}

static int place(int signal_number) { return signal_number == signals[0] ? 0 : 1; }

// Ends the process by the signal that came, as a shell sees.
static void die(void) {
  int signal_number = milonga_noted_signal;
  signal(signal_number, SIG_DFL);
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, signal_number);
  pthread_sigmask(SIG_UNBLOCK, &set, NULL);
  kill(getpid(), signal_number);
  _exit(128 + signal_number);
}

static void die_instead(int signal_number) {
  (void)signal_number;
  die();
}

// Writes the line, and ends the process, whatever happens to the line.
static void report_and_die(lua_State *computing) {
  // A report that hangs is ended by the timer, whose signal does what it does by default.
  int i = place(milonga_noted_signal);
  set_timer(i, REPORTING_NANOSECONDS);
  signal(milonga_noted_signal, SIG_DFL);
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, milonga_noted_signal);
  pthread_sigmask(SIG_UNBLOCK, &set, NULL);
  static const int faults[] = {SIGSEGV, SIGBUS, SIGILL, SIGTRAP, SIGABRT, SIGFPE};
  for (size_t f = 0; f < sizeof faults / sizeof *faults; f++) signal(faults[f], die_instead);
  keeper.report(keeper.loop, milonga_noted_signal, computing);
  die();
}

static void tell(lua_State *L, lua_Debug *ar) {
  (void)ar;
  lua_sethook(L, NULL, 0, 0);
  if (milonga_noted_signal && is_asked) report_and_die(L);
}

// The timer: the turn has lasted too long.
static void expired(void) {
  lua_State *L = keeper.running(keeper.loop);
  if (is_asked || L == NULL) report_and_die(NULL);
  is_asked = 1;
  lua_sethook(L, tell, LUA_MASKCALL | LUA_MASKRET | LUA_MASKLINE | LUA_MASKCOUNT, 1);
  set_timer(place(milonga_noted_signal), ASKING_NANOSECONDS);
}

static void note(int signal_number, siginfo_t *info, void *context) {
  (void)context;
  int saved = errno;
  if (milonga_noted_signal) {
    if (info->si_code != SI_TIMER) {
      // The second signal.
      milonga_noted_signal = signal_number;
      die();
    }
    expired();
  } else if (info->si_code != SI_TIMER) {
    milonga_noted_signal = signal_number;
    if (limit != 0) set_timer(place(signal_number), limit);
    uint64_t one = 1;
    ssize_t written = write(wake_descriptor, &one, sizeof one);
    (void)written;
  }
  errno = saved;
}

void milonga_keep_turns(int64_t nanoseconds, milonga_turn_keeper new_keeper) {
  keeper = new_keeper;
  limit = nanoseconds;
}

void milonga_limit_turn(int begins) {
  if (!milonga_noted_signal || limit == 0) return;
  is_asked = 0;
  set_timer(place(milonga_noted_signal), begins ? limit : 0);
}

int milonga_catch_termination(int wake) {
  if (atomic_flag_test_and_set(&taken)) return 0;
  milonga_noted_signal = 0;
  wake_descriptor = wake;
  struct sigaction action;
  memset(&action, 0, sizeof action);
  action.sa_sigaction = note;
  action.sa_flags = SA_SIGINFO;
  sigemptyset(&action.sa_mask);
  for (int i = 0; i < COUNT; i++) sigaddset(&action.sa_mask, signals[i]);
  for (int i = 0; i < COUNT; i++) {
    sigaction(signals[i], NULL, &before[i]);
    if (before[i].sa_handler == SIG_IGN) continue;
    sigaction(signals[i], &action, NULL);
    struct sigevent event;
    memset(&event, 0, sizeof event);
    event.sigev_notify = SIGEV_SIGNAL;
    event.sigev_signo = signals[i];
    has_timer[i] = timer_create(CLOCK_MONOTONIC, &event, &timers[i]) == 0;
  }
  return 1;
}

void milonga_release_termination(void) {
  for (int i = 0; i < COUNT; i++) {
    if (has_timer[i]) timer_delete(timers[i]);
    has_timer[i] = 0;
    if (before[i].sa_handler != SIG_IGN) sigaction(signals[i], &before[i], NULL);
  }
  limit = 0;
  wake_descriptor = -1;
  milonga_noted_signal = 0;
  atomic_flag_clear(&taken);
}

#endif
