// The rate of the processor's counter. Nobody tells it reliably, so it is measured: from the program's start
// to each time when a turn seems to be over, which is rare, and the longer the more exact.
#include "CTurns.h"

#include <time.h>

// At first a counter of 1 GHz is assumed. One that is faster makes the first turns shorter.
uint64_t milonga_turn_ticks = MILONGA_TURN_NANOSECONDS;

static uint64_t first_tick;
static int64_t first_time;

static int64_t nanoseconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

__attribute__((constructor)) static void begin(void) {
  first_time = nanoseconds();
  first_tick = milonga_ticks();
}

int milonga_turn_is_surely_over(uint64_t began) {
  int64_t elapsed = nanoseconds() - first_time;
  uint64_t now = milonga_ticks();
  if (elapsed > 1000000) {
    double rate = (double)(now - first_tick) / (double)elapsed;
    uint64_t ticks = (uint64_t)(rate * MILONGA_TURN_NANOSECONDS);
    // What the counter says makes no sense: then each operation is a turn, and nobody waits.
    if (ticks == 0) ticks = 1;
    __atomic_store_n(&milonga_turn_ticks, ticks, __ATOMIC_RELAXED);
  }
  return now - began > __atomic_load_n(&milonga_turn_ticks, __ATOMIC_RELAXED);
}
