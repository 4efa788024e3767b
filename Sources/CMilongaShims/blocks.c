// Blocks of one size in slabs.
#include "blocks.h"

#include <stdlib.h>
#include <string.h>

// What malloc itself needs between two slabs.
enum { SLAB_USABLE = SLAB_BYTES - 64 };

static inline size_t index_of(size_t size) {
  return size <= FINE_MOST ? (size - 1) / FINE : FINE_MOST / FINE + (size - FINE_MOST - 1) / COARSE;
}

static size_t size_at(size_t index) {
  return index < FINE_MOST / FINE ? (index + 1) * FINE
                                  : FINE_MOST + (index + 1 - FINE_MOST / FINE) * COARSE;
}

static void open_slab(blocks *all, slab *it) {
  slab *first = all->open[it->index];
  it->previous = NULL;
  it->next = first;
  if (first != NULL) first->previous = it;
  all->open[it->index] = it;
}

static void close_slab(blocks *all, slab *it) {
  if (it->previous != NULL)
    it->previous->next = it->next;
  else
    all->open[it->index] = it->next;
  if (it->next != NULL) it->next->previous = it->previous;
}

static slab *add_slab(blocks *all, size_t index) {
  void *memory;
  if (posix_memalign(&memory, SLAB_BYTES, SLAB_USABLE) != 0) return NULL;
  slab *it = memory;
  size_t size = size_at(index);
  *it = (slab){
      .fresh = (char *)memory + sizeof(slab),
      .capacity = (uint32_t)((SLAB_USABLE - sizeof(slab)) / size),
      .block_size = (uint32_t)size,
      .index = (uint32_t)index,
  };
  open_slab(all, it);
  return it;
}

static inline int is_small(size_t size) { return USES_SLABS && size <= MOST; }

void *blocks_allocate(blocks *all, size_t size) {
  if (!is_small(size)) return malloc(size);
  size_t index = index_of(size);
  slab *it = all->open[index];
  if (it == NULL && (it = add_slab(all, index)) == NULL) return NULL;
  void *block = it->freed;
  if (block != NULL) {
    it->freed = *(void **)block;
  } else {
    block = it->fresh;
    it->fresh += it->block_size;
  }
  if (++it->used == it->capacity) close_slab(all, it);
  return block;
}

void blocks_free(blocks *all, void *block, size_t size) {
  if (!is_small(size)) return free(block);
  slab *it = slab_of(block);
  *(void **)block = it->freed;
  it->freed = block;
  if (it->used-- == it->capacity) return open_slab(all, it);
  // The last one with room stays, for the next block.
  if (it->used == 0 && (it->next != NULL || it->previous != NULL)) {
    close_slab(all, it);
    free(it);
  }
}

void *blocks_resize(blocks *all, void *block, size_t old_size, size_t new_size) {
  if (!is_small(old_size) && !is_small(new_size)) return realloc(block, new_size);
  if (is_small(old_size) && is_small(new_size) && index_of(old_size) == index_of(new_size))
    return block;
  void *moved = blocks_allocate(all, new_size);
  if (moved == NULL) return NULL;
  memcpy(moved, block, old_size < new_size ? old_size : new_size);
  blocks_free(all, block, old_size);
  return moved;
}

void blocks_release(blocks *all) {
  for (size_t index = 0; index < BLOCK_SIZES; index++) {
    free(all->open[index]);
    all->open[index] = NULL;
  }
}
