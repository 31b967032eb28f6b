// Patterns. A component as Go's filepath.Match; a whole path with ** as .dockerignore has it: any number of directories.
// Sources: pkg.go.dev/path/filepath#Match; docs.docker.com/build/concepts/context, "Pattern matching".

#include <string.h>

#include "copy.h"

bool is_pattern(const char *text) {
  for (; *text != 0; text++) {
    if (*text == '*' || *text == '?' || *text == '[') return true;
    if (*text == '\\' && text[1] != 0) text++;
  }
  return false;
}

// The bytes of the character at `text`.
static size_t character(const char *text, unsigned int *code) {
  const unsigned char *at = (const unsigned char *)text;
  size_t n = *at < 0xc0 ? 1 : *at < 0xe0 ? 2 : *at < 0xf0 ? 3 : 4;
  *code = n == 1 ? *at : *at & (0xffu >> (n + 1));
  for (size_t i = 1; i < n; i++) {
    if ((at[i] & 0xc0) != 0x80) {
      *code = *at;
      return 1;
    }
    *code = *code << 6 | (at[i] & 0x3f);
  }
  return n;
}

static const char *class_character(const char *pattern, unsigned int *code) {
  if (*pattern == '\\') pattern++;
  if (*pattern == 0) return NULL;
  return pattern + character(pattern, code);
}

// A class behind its "["; NULL when it does not end, otherwise what follows it.
static const char *match_class(const char *pattern, unsigned int code, bool *matches) {
  bool negated = *pattern == '^', found = false;
  if (negated) pattern++;
  for (bool first = true; first || *pattern != ']'; first = false) {
    unsigned int low, high;
    if (*pattern == 0 || *pattern == '-' || *pattern == ']' || (pattern = class_character(pattern, &low)) == NULL) return NULL;
    high = low;
    if (*pattern == '-' && (pattern[1] == ']' || (pattern = class_character(pattern + 1, &high)) == NULL)) return NULL;
    if (low <= code && code <= high) found = true;
  }
  *matches = found != negated;
  return pattern + 1;
}

void check_pattern(const char *pattern) {
  if (strlen(pattern) >= PATH_LIMIT) fail(EXIT_LIMIT, "%.60s…: a pattern is longer than %d bytes", pattern, PATH_LIMIT - 1);
  for (const char *at = pattern; at != NULL && *at != 0;) {
    bool ignored;
    if (*at == '\\') at += at[1] == 0 ? 0 : 1;
    if (*at == '\\' && at[1] == 0) break;
    if (*at++ == '[' && (at == pattern + 1 || at[-2] != '\\')) at = match_class(at, 0, &ignored);
    if (at != NULL && *at == 0) return;
    if (at == NULL) break;
  }
  if (*pattern != 0) fail(EXIT_BAD_ARCHIVE, "%s: syntax error in pattern", pattern);
}

enum outcome {
  SAME,
  DIFFERENT,
  // A star looked for what follows it up to the next slash, or to the end: one in front of it need not look any further.
  USED_COMPONENT,
  USED_TEXT,
};

// With `deep`, ** takes slashes as well, and "**/" may stand for nothing. What matches is the whole of `text`. The work is bounded
// by the product of both lengths and the number of kinds of stars, however many stars there are.
static enum outcome compare(const char *whole, const char *pattern, const char *text, bool deep) {
  for (;;) {
    unsigned int code;
    if (*pattern == 0) return *text == 0 ? SAME : DIFFERENT;
    if (*pattern == '*') {
      bool crosses = deep && pattern[1] == '*', at_boundary = pattern == whole || pattern[-1] == '/';
      while (*pattern == '*') pattern++;
      if (crosses && *pattern == '/') {
        // Zero directories or more.
        for (const char *at = text; at != NULL; at = strchr(at, '/') == NULL ? NULL : strchr(at, '/') + 1) {
          enum outcome outcome = compare(whole, pattern + 1, at, deep);
          if (outcome == SAME || outcome == USED_TEXT) return outcome;
        }
        return at_boundary ? USED_TEXT : DIFFERENT;
      }
      for (;; text++) {
        enum outcome outcome = compare(whole, pattern, text, deep);
        if (outcome == SAME || outcome == USED_TEXT || (outcome == USED_COMPONENT && !crosses)) return outcome;
        if (*text == 0) return USED_TEXT;
        if (*text == '/' && !crosses) return USED_COMPONENT;
      }
    }
    if (*text == 0) return DIFFERENT;
    size_t n = character(text, &code);
    if (*pattern == '?') {
      if (*text == '/') return DIFFERENT;
      pattern++;
    } else if (*pattern == '[') {
      bool found;
      pattern = match_class(pattern + 1, code, &found);
      if (pattern == NULL || !found || *text == '/') return DIFFERENT;
    } else {
      if (*pattern == '\\' && pattern[1] != 0) pattern++;
      if (*pattern != *text) return DIFFERENT;
      pattern++;
      n = 1;
    }
    text += n;
  }
}

static bool matches(const char *pattern, const char *text, bool deep) { return compare(pattern, pattern, text, deep) == SAME; }

bool match_component(const char *pattern, const char *name) { return matches(pattern, name, false); }

// The path itself, or a directory that it lies in.
static bool matches_path_or_parent(const char *pattern, const char *path) {
  char part[PATH_LIMIT];
  if (matches(pattern, path, true)) return true;
  for (const char *slash = strchr(path, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
    memcpy(part, path, (size_t)(slash - path));
    part[slash - path] = 0;
    if (matches(pattern, part, true)) return true;
  }
  return false;
}

bool is_excluded(const struct patterns *patterns, const char *path) {
  bool excluded = false;
  for (size_t i = 0; i < patterns->count; i++) {
    const char *pattern = patterns->list[i];
    bool negated = *pattern == '!';
    if (negated == excluded && matches_path_or_parent(pattern + (negated ? 1 : 0), path)) excluded = !negated;
  }
  return excluded;
}
