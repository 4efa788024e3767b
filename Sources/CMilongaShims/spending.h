// For the guarded functions: what they use counts as instructions.
#ifndef SPENDING_H
#define SPENDING_H

#include "CMilongaShims.h"

// Bytes that are copied, or looked at one after the other, in the time of an instruction.
enum { BYTES_PER_STEP = 16 };

// NULL when no limited code runs on this thread.
extern _Thread_local milonga_limits *current_limits;

// Looks at everything, and raises when the code may not go on.
void limits_look(lua_State *L);

// Uses up so many instructions; raises when there are not as many.
static inline void limits_spend(lua_State *L, int64_t steps) {
  milonga_limits *limits = current_limits;
  if (limits == NULL) return;
  limits->instructions -= steps;
  limits->until_look -= steps < INT16_MAX ? (int32_t)steps : INT16_MAX;
  if (limits->instructions < 0 || limits->until_look < 0) limits_look(L);
}

// A call that handles so many bytes.
static inline void limits_spend_bytes(lua_State *L, size_t bytes) {
  limits_spend(L, 1 + (int64_t)(bytes / BYTES_PER_STEP));
}

// Whether the code may not go on.
static inline int limits_have_stopped(void) {
  return current_limits != NULL && current_limits->stopped != MILONGA_GOES_ON;
}

// Makes sure that the instructions of `co` are counted.
void limits_watch(lua_State *co);

// Has the state keep the texts of the errors, so that they can be raised without memory.
void limits_keep_messages(lua_State *L);

// luaL_loadbufferx in small pieces: the compiler may need long for few bytes. With `counts` each
// byte counts as an instruction.
int limits_load(lua_State *L, const char *bytes, size_t count, const char *name, const char *mode,
                int counts);

#endif
