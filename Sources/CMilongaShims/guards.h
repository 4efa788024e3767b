// Functions of Lua's standard library that limited code must not have as they are.
//
// A guarded function takes an original's place. While no limited code runs it costs one comparison
// and is the original. Within limits it counts what it does, or refuses.
#ifndef GUARDS_H
#define GUARDS_H

#include "spending.h"

typedef struct guard {
  const char *library, *name; // the library "_G" is the table of globals
  lua_CFunction guarded;
  lua_CFunction *original; // found when guards are first wanted
} guard;

// Each list ends with an entry without a name.
extern const guard base_guards[], coroutine_guards[], debug_guards[], string_guards[],
    table_guards[], utf8_guards[];

// `load` that never takes bytecode.
int guarded_load_text(lua_State *L);

#endif
