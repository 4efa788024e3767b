#include "traversal.h"

#include "spending.h"

#include <lauxlib.h>
#include <string.h>

enum {
  REMEMBERED = 8,
  FREE = 64, // places that cost nothing
};

typedef struct place {
  const void *table;
  int type;
  uint64_t key;
} place;

// The last traversals of the run, the latest first.
static _Thread_local struct {
  uint64_t run;
  place places[REMEMBERED];
} last;

// MARK: The size of a table

// The beginning of Lua 5.4's tables.
typedef struct table_head {
  void *next;
  unsigned char type, marked, flags, log2_of_nodes;
  unsigned int array_limit;
} table_head;

static int knows_layout;

static uint64_t places_of(const void *table) {
  const table_head *head = table;
  uint64_t array = head->array_limit;
  // The limit is then no more than a hint, and the real one the next power of two.
  if (head->flags & 0x80 && array > 1) array = UINT64_C(1) << (64 - __builtin_clzll(array - 1));
  return array + (UINT64_C(1) << head->log2_of_nodes);
}

static int has_size(lua_State *L, int array, int nodes, uint64_t expected) {
  lua_createtable(L, array, nodes);
  int fits = places_of(lua_topointer(L, -1)) == expected;
  lua_settop(L, -2);
  return fits;
}

void traversal_probe(lua_State *L) {
  knows_layout = has_size(L, 0, 64, 64) && has_size(L, 0, 1000, 1024) && has_size(L, 100, 0, 101) &&
                 has_size(L, 3000, 5000, 3000 + 8192);
}

// MARK: What a step costs

static place place_at(lua_State *L, int index) {
  place found = {lua_topointer(L, 1), lua_type(L, index), 0};
  switch (found.type) {
  case LUA_TNUMBER: {
    lua_Number number = lua_tonumber(L, index);
    if (lua_isinteger(L, index))
      found.key = (uint64_t)lua_tointeger(L, index);
    else
      memcpy(&found.key, &number, sizeof number);
    break;
  }
  case LUA_TBOOLEAN: found.key = (uint64_t)lua_toboolean(L, index); break;
  default: found.key = (uint64_t)(uintptr_t)lua_topointer(L, index);
  }
  return found;
}

static int is_large(lua_State *L) {
  return knows_layout && lua_type(L, 1) == LUA_TTABLE && places_of(lua_topointer(L, 1)) > FREE;
}

// The index of the table's traversal; that of the oldest when there is none.
static int find(const void *table) {
  if (last.run != current_limits->run) {
    memset(&last, 0, sizeof last);
    last.run = current_limits->run;
  }
  int index = 0;
  while (index < REMEMBERED - 1 && last.places[index].table != table) index++;
  return index;
}

void traversal_spend(lua_State *L) {
  if (!is_large(L)) return;
  place here = place_at(L, 2), known = last.places[find(lua_topointer(L, 1))];
  if (known.table == here.table && known.type == here.type && known.key == here.key &&
      here.type > LUA_TNIL)
    return limits_spend(L, 0);
  limits_spend_bytes(L, places_of(here.table));
}

void traversal_note(lua_State *L, int index) {
  if (!is_large(L)) return;
  place here = place_at(L, index);
  int old = find(here.table);
  memmove(&last.places[1], &last.places[0], (size_t)old * sizeof(place));
  last.places[0] = here;
}
