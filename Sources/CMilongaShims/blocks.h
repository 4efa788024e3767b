// Memory for the objects of one Lua state.
#ifndef MILONGA_BLOCKS_H
#define MILONGA_BLOCKS_H

#include <stddef.h>

enum { BLOCK_SIZES = 28 };

struct slab;

// Slabs with room, by the size of their blocks. All NULL at first.
typedef struct blocks {
  struct slab *open[BLOCK_SIZES];
} blocks;

// A new block; NULL when there is no memory.
void *blocks_allocate(blocks *all, size_t size);

// Another size for a block, which may move; NULL when there is no memory: the block is as it was then.
void *blocks_resize(blocks *all, void *block, size_t old_size, size_t new_size);

void blocks_free(blocks *all, void *block, size_t size);

// Frees what is kept for blocks to come. All blocks have to be freed before.
void blocks_release(blocks *all);

#endif
