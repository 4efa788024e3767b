// The rate of the processor's counter. No system call tells it reliably, so it is measured: from
// the program's start to each time when a turn is over. That is rare, and the longer the time, the
// more exact the rate.
#include "CMilongaTurns.h"

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
#if defined(__aarch64__)
  // Here the processor says.
  uint64_t rate;
  __asm__ volatile("mrs %0, cntfrq_el0" : "=r"(rate));
  if (rate > 0) milonga_turn_ticks = rate * (MILONGA_TURN_NANOSECONDS / 1000) / 1000000;
#endif
}

void milonga_measure_ticks(void) {
  int64_t elapsed = nanoseconds() - first_time;
  uint64_t ticks = milonga_ticks() - first_tick;
  // Nothing can be said yet; or the counter was set, and what it says makes no sense.
  if (elapsed < 1000000 || (int64_t)ticks <= 0) return;
  double rate = (double)ticks / (double)elapsed;
  __atomic_store_n(&milonga_turn_ticks, (uint64_t)(rate * MILONGA_TURN_NANOSECONDS),
                   __ATOMIC_RELAXED);
}
