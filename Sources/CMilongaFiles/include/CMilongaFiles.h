// The parts of Milonga that are written in Lua, inside the binary: the modules of LuaSocket and
// Copas that are made of closures, and the commands of the command line. `LuaFile` (Swift) loads
// them.
#ifndef MILONGA_LUAFILES_H
#define MILONGA_LUAFILES_H

#include <stddef.h>

typedef struct milonga_luafile {
  const char *module; // what `require` calls it, if it is one that `require` finds
  const char *chunk;  // what error messages and tracebacks call it
  const char *text;
  size_t count;
  int is_internal; // `require` does not find it
} milonga_luafile;

// All files; behind the last one is one without a module.
const milonga_luafile *milonga_luafiles(void);

#endif
