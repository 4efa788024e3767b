// How long a turn may last. A server asks after each call that it has carried out, so asking must
// cost next to nothing: it reads the processor's own counter, which is one instruction, and
// compares.
#ifndef MILONGA_TURNS_H
#define MILONGA_TURNS_H

#include <stdint.h>

#if !defined(__x86_64__) && !defined(__aarch64__)
#include <time.h>
#endif

// Nanoseconds of a turn.
enum { MILONGA_TURN_NANOSECONDS = 3000000 };

// A counter that grows steadily, at a rate that turns.c finds out.
static inline uint64_t milonga_ticks(void) {
#if defined(__x86_64__)
  return __builtin_ia32_rdtsc();
#elif defined(__aarch64__)
  uint64_t ticks;
  __asm__ volatile("mrs %0, cntvct_el0" : "=r"(ticks));
  return ticks;
#else
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
#endif
}

// Ticks of a turn, as far as is known: read and written by all threads.
extern uint64_t milonga_turn_ticks;

// The tick at which a turn that begins now has lasted long enough, so that others are to have
// theirs.
static inline uint64_t milonga_turn_end(void) {
  return milonga_ticks() + __atomic_load_n(&milonga_turn_ticks, __ATOMIC_RELAXED);
}

// Has another look at the counter's rate.
void milonga_measure_ticks(void);

// Whether a turn with this end is over.
static inline int milonga_turn_is_over(uint64_t end) {
  if (milonga_ticks() < end) return 0;
  milonga_measure_ticks();
  return 1;
}

#endif
