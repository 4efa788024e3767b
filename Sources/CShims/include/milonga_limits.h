// What code may use: instructions, and the wish that it ends.
#ifndef MILONGA_LIMITS_H
#define MILONGA_LIMITS_H

#include <lua.h>
#include <stddef.h>
#include <stdint.h>

// From now on the VM runs at most `count` instructions (in all coroutines); negative: no limit.
void milonga_set_instruction_limit(lua_State *L, int64_t count);

// Makes the running Lua code raise "interrupted!". Safe in a signal handler.
void milonga_interrupt(lua_State *L);

// lua_pcall of code that may run `instructions` virtual machine instructions (negative: any number), in
// all coroutines that it makes, and in a state of our own take `memory` bytes more (0: any number). It
// cannot be suspended.
int milonga_limited_pcall(lua_State *L, int arguments, int results, int64_t instructions,
                          size_t memory);

#endif
