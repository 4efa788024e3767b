// What `next` costs.
//
// It looks through the empty places behind a key, and a table that has lost its contents is nothing
// but empty places. A traversal from the beginning to the end sees each place once and pays for all
// when it begins; a call that goes on where none of the last few traversals has stopped pays again.
#ifndef TRAVERSAL_H
#define TRAVERSAL_H

#include <lua.h>

// Finds out whether the size of a table lies where it is expected; otherwise `next` is a step.
void traversal_probe(lua_State *L);

// Before `next` is called with the table at 1 and the key at 2, nil when the traversal begins.
void traversal_spend(lua_State *L);

// After it, with the new key at `index`.
void traversal_note(lua_State *L, int index);

#endif
