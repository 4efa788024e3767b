// Lua's patterns, matched step by step, so that a match can be counted and ended.
#ifndef PATTERN_H
#define PATTERN_H

#include <lua.h>
#include <stddef.h>
#include <stdint.h>

typedef struct capture {
  const char *start;
  ptrdiff_t count; // or one of those below
} capture;

enum { CAPTURE_OPEN = -1, CAPTURE_POSITION = -2, MOST_CAPTURES = 32 };

typedef struct matcher {
  lua_State *L;
  const char *subject, *subject_end;
  const char *pattern, *pattern_end; // a zero byte follows each
  int depth;                         // calls inside of calls that may follow
  int captures;
  int steps; // not yet spent
  capture capture[MOST_CAPTURES];
} matcher;

void pattern_prepare(matcher *m, lua_State *L, const char *subject, size_t subject_count,
                     const char *pattern, size_t pattern_count);

// The end of the match that begins at `at`, NULL when none does.
const char *pattern_match(matcher *m, const char *at);

// What follows is about the match from `start` to `end`, whose whole stands for the first capture
// when the pattern has none.

// Pushes a capture, the first is 0.
void pattern_push_capture(matcher *m, int index, const char *start, const char *end);

// Pushes all captures; with `start` NULL nothing when the pattern has none. Returns how many.
int pattern_push_captures(matcher *m, const char *start, const char *end);

// Whether a pattern stands for itself.
int pattern_is_plain(lua_State *L, const char *pattern, size_t count);

// The first occurrence of a text, NULL when there is none.
const char *pattern_find_plain(lua_State *L, const char *text, size_t count, const char *wanted,
                               size_t wanted_count);

#endif
