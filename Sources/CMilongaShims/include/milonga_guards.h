// Guarded functions in the place of those of Lua's standard library: see guards.h.
#ifndef MILONGA_GUARDS_H
#define MILONGA_GUARDS_H

#include <lua.h>
#include <stdint.h>

// Puts them into the libraries of the state, and into the table on top of the stack and all that
// can be reached from it when `tree` is 1. A status; on failure the error is pushed.
int milonga_guard(lua_State *L, int tree);

// Lua's libraries, for milonga_openselected. What is always there: the functions of the base
// library that take no files and no bytecode.
enum {
  MILONGA_COROUTINE = 1 << 0,
  MILONGA_TABLE = 1 << 1,
  MILONGA_STRING = 1 << 2,
  MILONGA_UTF8 = 1 << 3,
  MILONGA_MATH = 1 << 4,
  MILONGA_TIME = 1 << 5, // os.time, clock, date and difftime
  MILONGA_OS = 1 << 6,   // the whole of os
  MILONGA_IO = 1 << 7,   // and dofile, loadfile
  MILONGA_PACKAGE = 1 << 8,
  MILONGA_DEBUG = 1 << 9,
  MILONGA_BYTECODE = 1 << 10 // load takes it
};

// Opens them in a fresh state; guarded from the start with `guards`. A status; on failure the error
// is pushed.
int milonga_openselected(lua_State *L, uint32_t libraries, int guards);

#endif
