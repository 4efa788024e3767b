#include "pattern.h"

#include "spending.h"

#include <ctype.h>
#include <lauxlib.h>
#include <string.h>

// As deep as Lua's own matcher goes.
enum { DEEPEST = 200, STEPS_AT_ONCE = 128 };

// MARK: Steps

static void spend(matcher *m) {
  int steps = m->steps;
  m->steps = 0;
  limits_spend(m->L, steps);
}

static inline void step(matcher *m, size_t bytes) {
  m->steps += 1 + (int)(bytes / BYTES_PER_STEP);
  if (m->steps >= STEPS_AT_ONCE) spend(m);
}

// MARK: Items. An item stands for one byte: a letter, `.`, `%a`, or a set in brackets.

// The end of the item that begins at `item`.
static const char *end_of_item(matcher *m, const char *item) {
  const char *p = item + 1;
  if (*item == '%') {
    if (p == m->pattern_end) luaL_error(m->L, "malformed pattern (ends with '%%')");
    return p + 1;
  }
  if (*item != '[') return p;
  if (*p == '^') p++;
  do {
    if (p == m->pattern_end) luaL_error(m->L, "malformed pattern (missing ']')");
    int escapes = *p++ == '%';
    if (escapes && p < m->pattern_end) p++;
  } while (*p != ']');
  step(m, (size_t)(p - item));
  return p + 1;
}

// Whether a byte is of the class that `%` and the letter name.
static int is_of_class(int byte, int letter) {
  int is;
  switch (tolower(letter)) {
  case 'a': is = isalpha(byte); break;
  case 'c': is = iscntrl(byte); break;
  case 'd': is = isdigit(byte); break;
  case 'g': is = isgraph(byte); break;
  case 'l': is = islower(byte); break;
  case 'p': is = ispunct(byte); break;
  case 's': is = isspace(byte); break;
  case 'u': is = isupper(byte); break;
  case 'w': is = isalnum(byte); break;
  case 'x': is = isxdigit(byte); break;
  case 'z': is = byte == 0; break;
  default: return byte == letter;
  }
  return isupper(letter) ? !is : is != 0;
}

// Whether a byte is in the set between the bracket at `set` and the one at `last`.
static int is_in_set(matcher *m, int byte, const char *set, const char *last) {
  const unsigned char *p = (const unsigned char *)set + 1, *end = (const unsigned char *)last;
  int found = 1;
  if (*p == '^') {
    found = 0;
    p++;
  }
  step(m, (size_t)(last - set));
  while (p < end) {
    if (*p == '%') {
      if (is_of_class(byte, p[1])) return found;
      p += 2;
    } else if (p[1] == '-' && p + 2 < end) {
      if (p[0] <= byte && byte <= p[2]) return found;
      p += 3;
    } else if (*p++ == byte) {
      return found;
    }
  }
  return !found;
}

static int fits(matcher *m, const char *at, const char *item, const char *item_end) {
  step(m, 0);
  if (at >= m->subject_end) return 0;
  int byte = (unsigned char)*at;
  switch (*item) {
  case '.': return 1;
  case '%': return is_of_class(byte, (unsigned char)item[1]);
  case '[': return is_in_set(m, byte, item, item_end - 1);
  default: return (unsigned char)*item == byte;
  }
}

// MARK: Parts of patterns. Each function gives the end of the match of all that follows, or NULL.

static const char *match_rest(matcher *m, const char *at, const char *pattern);

// As many as there are, and then fewer.
static const char *match_most(matcher *m, const char *at, const char *item, const char *item_end) {
  const char *end = at;
  while (fits(m, end, item, item_end)) end++;
  for (;; end--) {
    const char *match = match_rest(m, end, item_end + 1);
    if (match != NULL || end == at) return match;
  }
}

// None, and then more.
static const char *match_least(matcher *m, const char *at, const char *item, const char *item_end) {
  for (;; at++) {
    const char *match = match_rest(m, at, item_end + 1);
    if (match != NULL) return match;
    if (!fits(m, at, item, item_end)) return NULL;
  }
}

static const char *begin_capture(matcher *m, const char *at, const char *pattern) {
  int is_position = pattern[1] == ')';
  if (m->captures >= MOST_CAPTURES) luaL_error(m->L, "too many captures");
  m->capture[m->captures++] = (capture){at, is_position ? CAPTURE_POSITION : CAPTURE_OPEN};
  const char *match = match_rest(m, at, pattern + (is_position ? 2 : 1));
  if (match == NULL) m->captures--;
  return match;
}

static const char *end_capture(matcher *m, const char *at, const char *pattern) {
  int index = m->captures - 1;
  while (index >= 0 && m->capture[index].count != CAPTURE_OPEN) index--;
  if (index < 0) luaL_error(m->L, "invalid pattern capture");
  capture *it = &m->capture[index];
  it->count = at - it->start;
  const char *match = match_rest(m, at, pattern + 1);
  if (match == NULL) it->count = CAPTURE_OPEN;
  return match;
}

// `%1`: what a capture has matched. The end of that only.
static const char *match_again(matcher *m, const char *at, int digit) {
  int index = digit - '1';
  if (index < 0 || index >= m->captures || m->capture[index].count == CAPTURE_OPEN)
    luaL_error(m->L, "invalid capture index %%%d", index + 1);
  // A position is longer than any subject.
  size_t count = (size_t)m->capture[index].count;
  if ((size_t)(m->subject_end - at) < count) return NULL;
  step(m, count);
  return memcmp(m->capture[index].start, at, count) == 0 ? at + count : NULL;
}

// `%bxy`: from an x to the y that belongs to it. The end of that only.
static const char *match_balanced(matcher *m, const char *at, const char *pair) {
  if (pair >= m->pattern_end - 1)
    luaL_error(m->L, "malformed pattern (missing arguments to '%%b')");
  // Beyond the subject lies a zero.
  if (*at != pair[0]) return NULL;
  int open = 1;
  for (const char *p = at + 1; p < m->subject_end; p++) {
    step(m, 0);
    if (*p == pair[1]) {
      if (--open == 0) return p + 1;
    } else if (*p == pair[0]) {
      open++;
    }
  }
  return NULL;
}

// `%f[set]`: the border between a byte that is not in the set and one that is.
static int is_frontier(matcher *m, const char *at, const char *set, const char *set_end) {
  int before = at == m->subject ? 0 : (unsigned char)at[-1];
  return !is_in_set(m, before, set, set_end - 1) &&
         is_in_set(m, (unsigned char)*at, set, set_end - 1);
}

// An item with what says how often. Either the match, or where to go on: `*next` at `*at`.
static const char *match_item(matcher *m, const char **at, const char *item, const char **next) {
  const char *end = end_of_item(m, item);
  char how = *end;
  *next = NULL;
  if (!fits(m, *at, item, end)) {
    if (how == '*' || how == '?' || how == '-') *next = end + 1;
    return NULL;
  }
  switch (how) {
  case '*': return match_most(m, *at, item, end);
  case '+': return match_most(m, *at + 1, item, end);
  case '-': return match_least(m, *at, item, end);
  case '?': {
    const char *match = match_rest(m, *at + 1, end + 1);
    if (match == NULL) *next = end + 1;
    return match;
  }
  default:
    ++*at;
    *next = end;
    return NULL;
  }
}

// A part that begins with `%` and is no item. Says what it is not, by 0; otherwise where to go on
// is in `*at`, NULL when it does not match, and `*pattern`.
static int match_special(matcher *m, const char **at, const char **pattern) {
  const char *p = *pattern;
  switch (p[1]) {
  case 'b':
    *at = match_balanced(m, *at, p + 2);
    *pattern = p + 4;
    return 1;
  case 'f': {
    if (p[2] != '[') luaL_error(m->L, "missing '[' after '%%f' in pattern");
    const char *end = end_of_item(m, p + 2);
    if (!is_frontier(m, *at, p + 2, end)) *at = NULL;
    *pattern = end;
    return 1;
  }
  default:
    if (!isdigit((unsigned char)p[1])) return 0;
    *at = match_again(m, *at, p[1]);
    *pattern = p + 2;
    return 1;
  }
}

static const char *match_parts(matcher *m, const char *at, const char *pattern) {
  while (at != NULL && pattern != m->pattern_end) {
    step(m, 0);
    switch (*pattern) {
    case '(': return begin_capture(m, at, pattern);
    case ')': return end_capture(m, at, pattern);
    case '$':
      if (pattern + 1 == m->pattern_end) return at == m->subject_end ? at : NULL;
      break;
    case '%':
      if (match_special(m, &at, &pattern)) continue;
      break;
    }
    const char *next;
    const char *match = match_item(m, &at, pattern, &next);
    if (next == NULL) return match;
    pattern = next;
  }
  return at;
}

static const char *match_rest(matcher *m, const char *at, const char *pattern) {
  if (m->depth-- == 0) luaL_error(m->L, "pattern too complex");
  const char *match = match_parts(m, at, pattern);
  m->depth++;
  return match;
}

// MARK: Matches

void pattern_prepare(matcher *m, lua_State *L, const char *subject, size_t subject_count,
                     const char *pattern, size_t pattern_count) {
  m->L = L;
  m->subject = subject;
  m->subject_end = subject + subject_count;
  m->pattern = pattern;
  m->pattern_end = pattern + pattern_count;
  m->steps = 0;
}

const char *pattern_match(matcher *m, const char *at) {
  m->depth = DEEPEST;
  m->captures = 0;
  return match_rest(m, at, m->pattern);
}

void pattern_push_capture(matcher *m, int index, const char *start, const char *end) {
  if (index >= m->captures) {
    if (index != 0) luaL_error(m->L, "invalid capture index %%%d", index + 1);
    step(m, (size_t)(end - start));
    lua_pushlstring(m->L, start, (size_t)(end - start));
    return;
  }
  capture it = m->capture[index];
  if (it.count == CAPTURE_OPEN) luaL_error(m->L, "unfinished capture");
  if (it.count == CAPTURE_POSITION) {
    lua_pushinteger(m->L, it.start - m->subject + 1);
    return;
  }
  step(m, (size_t)it.count);
  lua_pushlstring(m->L, it.start, (size_t)it.count);
}

int pattern_push_captures(matcher *m, const char *start, const char *end) {
  int count = m->captures == 0 && start != NULL ? 1 : m->captures;
  luaL_checkstack(m->L, count, "too many captures");
  for (int index = 0; index < count; index++) pattern_push_capture(m, index, start, end);
  return count;
}

// MARK: Plain text

int pattern_is_plain(lua_State *L, const char *pattern, size_t count) {
  limits_spend(L, (int64_t)(count / BYTES_PER_STEP));
  for (size_t i = 0; i < count; i++)
    if (pattern[i] != 0 && strchr("^$*+?.([%-", pattern[i]) != NULL) return 0;
  return 1;
}

// Whether both are equal. Looks at a little at a time: most differ soon, and all may be long.
static int are_equal(lua_State *L, const char *a, const char *b, size_t count) {
  enum { AT_ONCE = 1024 };
  while (count > 0) {
    size_t part = count < AT_ONCE ? count : AT_ONCE;
    limits_spend_bytes(L, part < 64 ? 0 : part);
    if (memcmp(a, b, part) != 0) return 0;
    a += part;
    b += part;
    count -= part;
  }
  return 1;
}

const char *pattern_find_plain(lua_State *L, const char *text, size_t count, const char *wanted,
                               size_t wanted_count) {
  if (wanted_count == 0) return text;
  while (count >= wanted_count) {
    const char *first = memchr(text, *wanted, count - wanted_count + 1);
    size_t passed = first == NULL ? count : (size_t)(first - text);
    limits_spend(L, (int64_t)(passed / BYTES_PER_STEP));
    if (first == NULL) return NULL;
    if (are_equal(L, first + 1, wanted + 1, wanted_count - 1)) return first;
    text = first + 1;
    count -= passed + 1;
  }
  return NULL;
}
