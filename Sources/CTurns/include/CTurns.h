// How long a turn may last. A server asks after each call that it has carried out, so asking must cost next to
// nothing: it reads the processor's own counter, which is one instruction, and compares.
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

// The same as milonga_turn_is_over, after another look at the counter's rate.
int milonga_turn_is_surely_over(uint64_t began);

// Whether a turn that began at this tick has lasted long enough, so that others are to have theirs.
static inline int milonga_turn_is_over(uint64_t began) {
  if (milonga_ticks() - began <= __atomic_load_n(&milonga_turn_ticks, __ATOMIC_RELAXED)) return 0;
  return milonga_turn_is_surely_over(began);
}

#endif
