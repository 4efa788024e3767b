// The allocators of Lua states; see milonga_memory.h. What is usual takes a comparison; all else is
// looked at in `examine` and `rescue`.
#include "allocator.h"

#include <CMilongaMemory.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// A state that another program has made, with the allocator that it had.
typedef struct wrapped_state {
  milonga_memory memory;
  lua_Alloc allocate;
  void *ud;
  const void *main_block; // the block of the state itself, which is freed last
} wrapped_state;

// Allocates where the state's objects lie; the same for both kinds of states.
typedef void *(*resize)(milonga_memory *memory, void *block, size_t held, size_t bytes);

static void *resize_owned(milonga_memory *memory, void *block, size_t held, size_t bytes) {
  owned_vm *owned = (owned_vm *)memory;
  return block == NULL ? blocks_allocate(&owned->blocks, bytes)
                       : blocks_resize(&owned->blocks, block, held, bytes);
}

static void *resize_wrapped(milonga_memory *memory, void *block, size_t held, size_t bytes) {
  wrapped_state *wrapped = (wrapped_state *)memory;
  return wrapped->allocate(wrapped->ud, block, held, bytes);
}

void milonga_reset_threshold(milonga_memory *memory) {
  size_t limit = memory->limit != 0 ? memory->limit : SIZE_MAX;
  memory->threshold = milonga_fails_on_purpose() ? 0 : limit;
}

// An allocation failed. NULL lets Lua collect and ask once more, and then raise its error. Under a
// Swift frame that is possible only if the request cannot be Swift's own: Swift asks for what is
// large before, so that it comes from a finalizer, which Lua calls protected. Swift's own are
// served.
static void *rescue(milonga_memory *memory, resize resize, void *block, size_t held, size_t bytes,
                    int is_repeated) {
  if (!is_repeated && !memory->exhausted) {
    memory->refused = block;
    memory->refused_bytes = bytes;
    memory->threshold = 0;
    return NULL;
  }
  size_t excess =
      memory->limit != 0 && memory->used > memory->limit ? memory->used - memory->limit : 0;
  if (memory->swift_frames == 0 || excess > MILONGA_RESERVE_BYTES ||
      (bytes > held && bytes - held > MILONGA_RESERVE_BYTES)) {
    milonga_failure_arrived();
    return NULL;
  }
  memory->exhausted = 1;
  void *moved = resize(memory, block, held, bytes);
  if (moved == NULL) {
    memory->reserve_spent = 1;
    if (milonga_spend_reserve()) moved = resize(memory, block, held, bytes);
  }
  if (moved == NULL) {
    fprintf(stderr, "milonga: no memory is left for %zu bytes, not even in the reserve\n", bytes);
    abort();
  }
  memory->used += bytes - held;
  return moved;
}

// A request that would pass the threshold.
static void *examine(milonga_memory *memory, resize resize, void *block, size_t held,
                     size_t bytes) {
  if (memory->refusals > 0) {
    if (--memory->refusals == 0) {
      milonga_failure_arrived();
      milonga_reset_threshold(memory);
    }
    return NULL;
  }
  int is_repeated = memory->refused_bytes == bytes && memory->refused == block;
  memory->refused_bytes = 0;
  milonga_reset_threshold(memory);
  int is_beyond_limit = memory->limit != 0 && memory->used - held + bytes > memory->limit;
  if (is_beyond_limit || (milonga_fails_on_purpose() && milonga_fails_now()))
    return rescue(memory, resize, block, held, bytes, is_repeated);
  void *moved = resize(memory, block, held, bytes);
  if (moved == NULL) return rescue(memory, resize, block, held, bytes, is_repeated);
  memory->used += bytes - held;
  return moved;
}

static inline void *grow_or_shrink(milonga_memory *memory, resize resize, void *block,
                                   size_t old_size, size_t bytes) {
  size_t held = block == NULL ? 0 : old_size; // for a new block, old_size is a type tag
  if (bytes > held && memory->used - held + bytes > memory->threshold)
    return examine(memory, resize, block, held, bytes);
  void *moved = resize(memory, block, held, bytes);
  if (moved == NULL) return rescue(memory, resize, block, held, bytes, 0);
  memory->used += bytes - held;
  return moved;
}

// What is not usual. Apart, so that the usual cases save no registers.
static __attribute__((noinline)) void *allocate_owned(owned_vm *owned, void *block, size_t old_size,
                                                      size_t new_size) {
  if (new_size != 0)
    return grow_or_shrink(&owned->vm.memory, resize_owned, block, old_size, new_size);
  if (block == NULL) return NULL;
  owned->vm.memory.used -= old_size;
  blocks_free(&owned->blocks, block, old_size);
  return NULL;
}

void *milonga_owned_allocate(void *ud, void *block, size_t old_size, size_t new_size) {
  owned_vm *owned = ud;
  milonga_memory *memory = &owned->vm.memory;
  if (block == NULL && memory->used + new_size <= memory->threshold) {
    void *taken = blocks_take(&owned->blocks, new_size);
    if (taken != NULL) {
      memory->used += new_size;
      return taken;
    }
  } else if (block != NULL && new_size == 0 && blocks_give(block, old_size)) {
    memory->used -= old_size;
    return NULL;
  }
  return allocate_owned(owned, block, old_size, new_size);
}

static void *wrapped_allocate(void *ud, void *block, size_t old_size, size_t new_size) {
  wrapped_state *wrapped = ud;
  if (new_size != 0)
    return grow_or_shrink(&wrapped->memory, resize_wrapped, block, old_size, new_size);
  if (block == NULL) return NULL;
  wrapped->memory.used -= old_size;
  int is_last = block == wrapped->main_block;
  wrapped->allocate(wrapped->ud, block, old_size, 0);
  if (is_last) {
    milonga_tell_closed(&wrapped->memory);
    free(wrapped);
  }
  return NULL;
}

milonga_memory *milonga_memory_of(lua_State *L) {
  void *ud;
  lua_Alloc allocate = lua_getallocf(L, &ud);
  return allocate == milonga_owned_allocate || allocate == wrapped_allocate ? ud : NULL;
}

int milonga_wrap_memory(lua_State *L) {
  if (milonga_memory_of(L) != NULL) return 1;
  wrapped_state *wrapped = calloc(1, sizeof(wrapped_state));
  if (wrapped == NULL) return 0;
  wrapped->allocate = lua_getallocf(L, &wrapped->ud);
  lua_rawgeti(L, LUA_REGISTRYINDEX, LUA_RIDX_MAINTHREAD);
  // The main thread lies in the state's own block, behind the space in front of it.
  wrapped->main_block = lua_getextraspace(lua_tothread(L, -1));
  lua_settop(L, -2);
  wrapped->memory.used = (size_t)lua_gc(L, LUA_GCCOUNT) * 1024 + (size_t)lua_gc(L, LUA_GCCOUNTB);
  milonga_fill_reserve();
  milonga_reset_threshold(&wrapped->memory);
  lua_setallocf(L, wrapped_allocate, wrapped);
  return 1;
}

void milonga_set_memory_limit(milonga_memory *memory, size_t limit) {
  memory->limit = limit;
  milonga_reset_threshold(memory);
}

// Without running out of either.
static int fits(const milonga_memory *memory, size_t bytes) {
  if (memory->limit != 0 && (memory->used > memory->limit || memory->limit - memory->used < bytes))
    return 0;
  return bytes <= MILONGA_SMALL_BYTES || milonga_is_available(bytes);
}

int milonga_has_room(lua_State *L, size_t bytes) {
  milonga_memory *memory = milonga_memory_of(L);
  if (memory == NULL) return 1;
  if (memory->exhausted) return 0;
  if (fits(memory, bytes)) return 1;
  lua_gc(L, LUA_GCCOLLECT);
  if (fits(memory, bytes)) return 1;
  memory->exhausted = 1;
  return 0;
}

int milonga_take_exhaustion(lua_State *L) {
  milonga_memory *memory = milonga_memory_of(L);
  if (memory == NULL) return 0;
  // Lua has collected before, but without running finalizers, which let go of what Swift holds.
  if (memory->exhausted) lua_gc(L, LUA_GCCOLLECT);
  if (memory->reserve_spent && milonga_fill_reserve()) memory->reserve_spent = 0;
  if (!memory->exhausted) return 0;
  memory->exhausted = 0;
  milonga_failure_arrived();
  milonga_reset_threshold(memory);
  return 1;
}

void milonga_raise_memory_error(lua_State *L) {
  milonga_memory *memory = milonga_memory_of(L);
  memory->refusals = 2;
  memory->threshold = 0;
  lua_newuserdatauv(L, 0, 0);
}

// Behind a string's bytes and a table's parts there is what Lua needs to keep them.
enum { OVERHEAD = 64, ELEMENT_BYTES = 16, FIELD_BYTES = 48 };

void milonga_pushlarge(lua_State *L, const char *bytes, size_t count) {
  int fits = milonga_has_room(L, count + OVERHEAD);
  lua_pushlstring(L, bytes, fits ? count : 0);
}

void milonga_createtable(lua_State *L, int elements, int fields) {
  size_t bytes = (size_t)elements * ELEMENT_BYTES + (size_t)fields * FIELD_BYTES;
  if (bytes > MILONGA_SMALL_BYTES && !milonga_has_room(L, bytes + OVERHEAD)) elements = fields = 0;
  lua_createtable(L, elements, fields);
}
