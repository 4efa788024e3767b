// The memory of a Lua state: its limit, and what happens when there is none.
//
// Lua answers a failed allocation with a longjmp, which must not cross a Swift frame. The
// trampoline counts Swift frames; calls made through milonga_protected.h hide those below them.
// While one is counted, an allocation that fails is served all the same, beyond the limit or from
// the process's reserve, and the state is *exhausted* from then on. The trampoline raises Lua's
// memory error when the Swift frame has returned, milonga_pcall gives it without a call, and
// LuaState throws it. What may be large is asked for first (milonga_has_room, milonga_pushlstring),
// for that is not served.
//
// A state of our own has our allocator; in another one the allocator is wrapped.
#ifndef MILONGA_STATE_MEMORY_H
#define MILONGA_STATE_MEMORY_H

#include <lua.h>
#include <stddef.h>
#include <stdint.h>

// A Swift function that runs.
typedef struct milonga_frame {
  lua_State *L;
  void *context;
  struct milonga_frame *outer;
  void (*release)(void *context); // to be called when it has returned, NULL for nothing
} milonga_frame;

typedef struct milonga_memory {
  size_t used;          // bytes now
  size_t limit;         // bytes, 0 for none
  size_t threshold;     // growth beyond so many bytes is looked at: the limit, or 0 for all growth
  lua_State *main;      // the main thread
  lua_State *keeper;    // holds the store; see store.c
  lua_State *second;    // holds it, too, in a state that another program has made; NULL in others
  milonga_frame *frame; // the innermost Swift function that runs, NULL for none
  int32_t retained;     // values that Swift keeps by milonga_retain
  int32_t swift_frames; // Swift frames that a longjmp would cross
  uint8_t exhausted;    // an allocation under a Swift frame had to be served though it failed
  uint8_t reserve_spent;
  uint8_t refusals;     // so many of the next allocations fail, whatever there is
  const void *refused;  // the block that was refused last, for Lua collects and asks once more
  size_t refused_bytes; // as many as were asked for; 0 when the last request was not refused
  void *handle;         // stands for the store in Swift, NULL for nothing; it may outlive the state
  void (*closed)(void *handle); // told when the state has closed
} milonga_memory;

// The memory of a state with an allocator of ours, NULL for any other state.
milonga_memory *milonga_memory_of(lua_State *L);

// Puts an allocator of ours around the state's, unless it has one; 0 when there is no memory for
// that.
int milonga_wrap_memory(lua_State *L);

// Sets the limit in bytes, 0 for none.
void milonga_set_memory_limit(milonga_memory *memory, size_t limit);

// Whether the state may have, and the system has, so many bytes more. If not, even after a
// collection, the state is exhausted.
int milonga_has_room(lua_State *L, size_t bytes);

// Whether something that a Swift frame pushed is not what it should be. The frame has to end.
static inline int milonga_is_exhausted(lua_State *L) {
  const milonga_memory *memory = milonga_memory_of(L);
  return memory != NULL && memory->exhausted;
}

// Collects, and ends the exhaustion, because the program is told of it; whether there was any.
int milonga_take_exhaustion(lua_State *L);

// Raises Lua's own memory error.
void milonga_raise_memory_error(lua_State *L);

// lua_pushlstring and lua_createtable. What there is no room for is pushed empty, and the state is
// exhausted.
enum { MILONGA_SMALL_BYTES = 32 * 1024 };
void milonga_pushlarge(lua_State *L, const char *bytes, size_t count);
static inline void milonga_pushlstring(lua_State *L, const char *bytes, size_t count) {
  if (__builtin_expect(count > MILONGA_SMALL_BYTES, 0))
    milonga_pushlarge(L, bytes, count);
  else
    lua_pushlstring(L, bytes, count);
}
void milonga_createtable(lua_State *L, int elements, int fields);

#endif
