// Guarded functions of the string library that know patterns.
#include "guards.h"
#include "pattern.h"

#include <ctype.h>
#include <lauxlib.h>
#include <string.h>

lua_CFunction original_find, original_gmatch, original_gsub, original_match;

// The place, counted from 0, that an argument which counts from 1, or from the end, stands for.
static size_t start_at(lua_State *L, int index, size_t count) {
  lua_Integer start = luaL_optinteger(L, index, 1);
  if (start > 0) return (size_t)start - 1;
  if (start == 0 || (lua_Unsigned) - (lua_Unsigned)start > count) return 0;
  return count - (size_t) - (lua_Unsigned)start;
}

// MARK: find and match

static int find_plain(lua_State *L, const char *text, size_t count, size_t start,
                      const char *wanted, size_t wanted_count) {
  const char *found = pattern_find_plain(L, text + start, count - start, wanted, wanted_count);
  if (found == NULL) {
    luaL_pushfail(L);
    return 1;
  }
  lua_pushinteger(L, found - text + 1);
  lua_pushinteger(L, found - text + (lua_Integer)wanted_count);
  return 2;
}

static int search(lua_State *L, int wants_place) {
  size_t count, pattern_count;
  const char *text = luaL_checklstring(L, 1, &count);
  const char *pattern = luaL_checklstring(L, 2, &pattern_count);
  size_t start = start_at(L, 3, count);
  limits_spend(L, 1);
  if (start > count) {
    luaL_pushfail(L);
    return 1;
  }
  if (wants_place && (lua_toboolean(L, 4) || pattern_is_plain(L, pattern, pattern_count)))
    return find_plain(L, text, count, start, pattern, pattern_count);
  int is_anchored = *pattern == '^';
  matcher m;
  pattern_prepare(&m, L, text, count, pattern + is_anchored, pattern_count - is_anchored);
  for (const char *at = text + start; at <= m.subject_end; at++) {
    const char *end = pattern_match(&m, at);
    if (end != NULL) {
      limits_spend(L, m.steps);
      if (!wants_place) return pattern_push_captures(&m, at, end);
      lua_pushinteger(L, at - text + 1);
      lua_pushinteger(L, end - text);
      return 2 + pattern_push_captures(&m, NULL, NULL);
    }
    if (is_anchored) break;
  }
  limits_spend(L, m.steps);
  luaL_pushfail(L);
  return 1;
}

int guarded_find(lua_State *L) { return current_limits == NULL ? original_find(L) : search(L, 1); }

int guarded_match(lua_State *L) {
  return current_limits == NULL ? original_match(L) : search(L, 0);
}

// MARK: gmatch

typedef struct search_state {
  matcher m;
  const char *next, *last_end; // last_end: an empty match there would be the last one again
} search_state;

// Upvalues: the text and the pattern, which the third, the state, points into.
static int find_next(lua_State *L) {
  search_state *it = lua_touserdata(L, lua_upvalueindex(3));
  it->m.L = L;
  it->m.steps = 0;
  limits_spend(L, 1);
  for (const char *at = it->next; at <= it->m.subject_end; at++) {
    const char *end = pattern_match(&it->m, at);
    if (end == NULL || end == it->last_end) continue;
    it->next = it->last_end = end;
    limits_spend(L, it->m.steps);
    return pattern_push_captures(&it->m, at, end);
  }
  limits_spend(L, it->m.steps);
  return 0;
}

int guarded_gmatch(lua_State *L) {
  if (current_limits == NULL) return original_gmatch(L);
  size_t count, pattern_count;
  const char *text = luaL_checklstring(L, 1, &count);
  const char *pattern = luaL_checklstring(L, 2, &pattern_count);
  size_t start = start_at(L, 3, count);
  lua_settop(L, 2);
  search_state *it = lua_newuserdatauv(L, sizeof(search_state), 0);
  pattern_prepare(&it->m, L, text, count, pattern, pattern_count);
  it->next = text + (start > count ? count + 1 : start);
  it->last_end = NULL;
  lua_pushcclosure(L, find_next, 3);
  return 1;
}

// MARK: gsub

enum { TEXT = 1, PATTERN, REPLACEMENT, MOST };

// Adds the replacement, a text in which `%` has a meaning.
static void add_text(matcher *m, luaL_Buffer *result, const char *start, const char *end) {
  lua_State *L = m->L;
  size_t count;
  const char *p = lua_tolstring(L, REPLACEMENT, &count), *last = p + count;
  limits_spend_bytes(L, count);
  for (const char *percent; (percent = memchr(p, '%', (size_t)(last - p))) != NULL;) {
    luaL_addlstring(result, p, (size_t)(percent - p));
    char what = percent[1];
    if (what == '%') {
      luaL_addchar(result, '%');
    } else if (what == '0') {
      limits_spend_bytes(L, (size_t)(end - start));
      luaL_addlstring(result, start, (size_t)(end - start));
    } else if (isdigit((unsigned char)what)) {
      pattern_push_capture(m, what - '1', start, end);
      luaL_addvalue(result);
    } else {
      luaL_error(L, "invalid use of '%%' in replacement string");
    }
    p = percent + 2;
  }
  luaL_addlstring(result, p, (size_t)(last - p));
}

// Adds what stands for the match; 0 when that is the match itself.
static int add_replacement(matcher *m, luaL_Buffer *result, const char *start, const char *end) {
  lua_State *L = m->L;
  switch (lua_type(L, REPLACEMENT)) {
  case LUA_TFUNCTION:
    lua_pushvalue(L, REPLACEMENT);
    lua_call(L, pattern_push_captures(m, start, end), 1);
    break;
  case LUA_TTABLE:
    pattern_push_capture(m, 0, start, end);
    lua_gettable(L, REPLACEMENT);
    break;
  default: add_text(m, result, start, end); return 1;
  }
  if (!lua_toboolean(L, -1)) {
    lua_pop(L, 1);
    limits_spend_bytes(L, (size_t)(end - start));
    luaL_addlstring(result, start, (size_t)(end - start));
    return 0;
  }
  if (!lua_isstring(L, -1)) luaL_error(L, "invalid replacement value (a %s)", luaL_typename(L, -1));
  size_t count;
  lua_tolstring(L, -1, &count);
  limits_spend_bytes(L, count);
  luaL_addvalue(result);
  return 1;
}

int guarded_gsub(lua_State *L) {
  if (current_limits == NULL) return original_gsub(L);
  size_t count, pattern_count;
  const char *at = luaL_checklstring(L, TEXT, &count), *last_end = NULL;
  const char *pattern = luaL_checklstring(L, PATTERN, &pattern_count);
  int type = lua_type(L, REPLACEMENT);
  lua_Integer most = luaL_optinteger(L, MOST, (lua_Integer)count + 1), replaced = 0;
  luaL_argexpected(
      L, type == LUA_TNUMBER || type == LUA_TSTRING || type == LUA_TFUNCTION || type == LUA_TTABLE,
      REPLACEMENT, "string/function/table");
  int is_anchored = *pattern == '^', has_changed = 0;
  matcher m;
  pattern_prepare(&m, L, at, count, pattern + is_anchored, pattern_count - is_anchored);
  luaL_Buffer result;
  luaL_buffinit(L, &result);
  limits_spend(L, 1);
  while (replaced < most) {
    const char *end = pattern_match(&m, at);
    if (end != NULL && end != last_end) {
      replaced++;
      has_changed |= add_replacement(&m, &result, at, end);
      at = last_end = end;
    } else if (at < m.subject_end) {
      luaL_addchar(&result, *at++);
    } else {
      break;
    }
    if (is_anchored) break;
  }
  limits_spend(L, m.steps + (int64_t)((m.subject_end - at) / BYTES_PER_STEP));
  if (has_changed) {
    luaL_addlstring(&result, at, (size_t)(m.subject_end - at));
    luaL_pushresult(&result);
  } else {
    lua_pushvalue(L, TEXT);
  }
  lua_pushinteger(L, replaced);
  return 2;
}
