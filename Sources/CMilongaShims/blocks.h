// Memory for the objects of one Lua state.
//
// Lua allocates and frees small objects all the time, and says how large an object was when it
// frees it. So small blocks need no headers: they come from slabs, each of which has blocks of one
// size. A slab lies at a multiple of its size, which is how a block finds it; one that becomes
// empty goes back to malloc.
#ifndef MILONGA_BLOCKS_H
#define MILONGA_BLOCKS_H

#include <stddef.h>
#include <stdint.h>

// AddressSanitizer has to see each block.
#if defined(__SANITIZE_ADDRESS__)
#define USES_SLABS 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define USES_SLABS 0
#endif
#endif
#ifndef USES_SLABS
#define USES_SLABS 1
#endif

enum {
  FINE = 16, // the step of sizes up to FINE_MOST
  FINE_MOST = 256,
  COARSE = 64, // the step of sizes beyond
  MOST = 1024, // larger blocks are malloc's
  SLAB_BYTES = 32 * 1024,
  BLOCK_SIZES = FINE_MOST / FINE + (MOST - FINE_MOST) / COARSE,
};

typedef struct slab {
  struct slab *next, *previous; // among those with room
  void *freed;                  // blocks that came back; each begins with the next one's address
  char *fresh;                  // blocks that were never used
  uint32_t used, capacity;
  uint32_t block_size, index;
} slab;

// Slabs with room, by the size of their blocks. All NULL at first.
typedef struct blocks {
  slab *open[BLOCK_SIZES];
} blocks;

// A new block; NULL when there is no memory.
void *blocks_allocate(blocks *all, size_t size);

// Another size for a block, which may move; NULL when there is no memory: the block is as it was
// then.
void *blocks_resize(blocks *all, void *block, size_t old_size, size_t new_size);

void blocks_free(blocks *all, void *block, size_t size);

// Frees what is kept for blocks to come. All blocks have to be freed before.
void blocks_release(blocks *all);

// The slab of a small block.
static inline slab *slab_of(void *block) {
  return (slab *)((uintptr_t)block & ~(uintptr_t)(SLAB_BYTES - 1));
}

// A block of at most FINE_MOST bytes that came back, if the slab with room has one and keeps room;
// NULL otherwise. A few instructions, where blocks_allocate has to look at every case.
static inline void *blocks_take(blocks *all, size_t size) {
  if (!USES_SLABS || size - 1 >= FINE_MOST) return NULL;
  slab *it = all->open[(size - 1) / FINE];
  if (it == NULL || it->freed == NULL || it->used + 1 == it->capacity) return NULL;
  void *block = it->freed;
  it->freed = *(void **)block;
  it->used++;
  return block;
}

// Takes a small block back, if its slab had room before and has other blocks in use; returns
// whether.
static inline int blocks_give(void *block, size_t size) {
  if (!USES_SLABS || size > MOST) return 0;
  slab *it = slab_of(block);
  if (it->used == it->capacity || it->used == 1) return 0;
  *(void **)block = it->freed;
  it->freed = block;
  it->used--;
  return 1;
}

#endif
