#include "CMilongaMemory.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif

#ifndef MAP_ANONYMOUS
#define MAP_ANONYMOUS MAP_ANON
#endif

static void *map(size_t bytes) {
  void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  return memory == MAP_FAILED ? NULL : memory;
}

void *milonga_allocate(size_t bytes) { return milonga_fails_now() ? NULL : malloc(bytes); }

void *milonga_reallocate(void *block, size_t bytes) {
  return milonga_fails_now() ? NULL : realloc(block, bytes);
}

int milonga_is_available(size_t bytes) {
  if (milonga_fails_now()) return 0;
  void *memory = map(bytes);
  if (memory == NULL) return 0;
  munmap(memory, bytes);
  return 1;
}

#ifdef __GLIBC__
// Less is not worth the system calls, and is soon needed again.
enum { MOST_FREE = 16 * 1024 * 1024 };

void milonga_trim_memory(void) {
  if (mallinfo2().fordblks > MOST_FREE) malloc_trim(MOST_FREE / 4);
}
#else
void milonga_trim_memory(void) {}
#endif

// The reserve's address; NULL while it is spent.
static _Atomic(void *) reserve;

int milonga_fill_reserve(void) {
  if (atomic_load(&reserve) != NULL) return 1;
  void *memory = map(MILONGA_RESERVE_BYTES), *none = NULL;
  if (memory == NULL) return 0;
  // Another thread may have been faster.
  if (!atomic_compare_exchange_strong(&reserve, &none, memory))
    munmap(memory, MILONGA_RESERVE_BYTES);
  return 1;
}

int milonga_spend_reserve(void) {
  void *memory = atomic_exchange(&reserve, NULL);
  if (memory == NULL) return 0;
  munmap(memory, MILONGA_RESERVE_BYTES);
  return 1;
}

#ifdef DEBUG

// The number of the first allocation that fails, 0 for none; and how many there were.
static _Atomic long first_failure;
static _Atomic long allocations;

__attribute__((constructor)) static void read_environment(void) {
  const char *number = getenv("MILONGA_FAIL_ALLOCATION");
  if (number != NULL) atomic_store(&first_failure, strtol(number, NULL, 10));
}

int milonga_fails_on_purpose(void) {
  return atomic_load_explicit(&first_failure, memory_order_relaxed) > 0;
}

int milonga_fails_now(void) {
  long first = atomic_load_explicit(&first_failure, memory_order_relaxed);
  if (first <= 0) return 0;
  long number = atomic_fetch_add(&allocations, 1) + 1;
  if (number == first) fprintf(stderr, "milonga: allocation %ld fails\n", number);
  return number >= first;
}

void milonga_failure_arrived(void) {
  if (milonga_fails_on_purpose() && atomic_load(&allocations) >= atomic_load(&first_failure))
    atomic_store(&first_failure, 0);
}

#else

int milonga_fails_on_purpose(void) { return 0; }
int milonga_fails_now(void) { return 0; }
void milonga_failure_arrived(void) {}

#endif
