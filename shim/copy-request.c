// The request: words that end with NUL, on stdin, read at once. Whoever writes it is the daemon, but lengths are checked.

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "copy.h"

enum { REQUEST_LIMIT = 512 << 20 };

static char *request;
static size_t size, at;

void read_request(void) {
  for (size_t room = 0;;) {
    if (size == room) {
      if (room >= REQUEST_LIMIT) fail(EXIT_LIMIT, "the request is too long");
      room = room == 0 ? 1 << 16 : 2 * room;
      if ((request = realloc(request, room)) == NULL) fail(EXIT_SYSTEM, "out of memory");
    }
    ssize_t n = read(STDIN_FILENO, request + size, room - size);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) fail(EXIT_SYSTEM, "read the request: %s", strerror(errno));
    if (n == 0) return;
    size += (size_t)n;
  }
}

bool has_word(void) { return at < size; }

const char *next_word(void) {
  const char *word = request + at, *end = at < size ? memchr(word, 0, size - at) : NULL;
  if (end == NULL) fail(EXIT_SYSTEM, "the request is cut off");
  at += (size_t)(end - word) + 1;
  return word;
}

uint64_t next_number(void) {
  const char *word = next_word();
  uint64_t value = 0;
  for (const char *digit = word; *digit != 0; digit++) {
    if (*digit < '0' || *digit > '9' || value > UINT64_MAX / 10 - 1) fail(EXIT_SYSTEM, "%s is no number", word);
    value = 10 * value + (uint64_t)(*digit - '0');
  }
  return value;
}

const char *next_bytes(uint64_t count) {
  if (count > size - at) fail(EXIT_SYSTEM, "the request is cut off");
  const char *bytes = request + at;
  at += (size_t)count;
  return bytes;
}

int next_tree(bool writable) {
  static char *directories[SOURCES_LIMIT];
  uint64_t count = next_number();
  if (count > SOURCES_LIMIT) fail(EXIT_LIMIT, "more than %d directories", SOURCES_LIMIT);
  for (uint64_t i = 0; i < count; i++) directories[i] = (char *)next_word();
  if (writable) {
    const char *upper = next_word(), *work = next_word();
    return count == 0 ? mount_tree(upper, true) : mount_overlay(directories, (size_t)count, upper, work);
  }
  if (count == 0) return -1;
  // An overlay needs two directories; one alone shows what it holds.
  return count == 1 ? mount_tree(directories[0], false) : mount_overlay(directories, (size_t)count, NULL, NULL);
}

// One directory, and nothing under what is written: only then a file has one inode on both sides.
static bool next_shared(int *destination, int inputs[SOURCES_LIMIT]) {
  size_t before = at;
  if (next_number() == 0) {
    const char *upper = next_word();
    next_word();
    if (next_number() == 1 && next_number() == 1 && mount_sharing(upper, next_word(), destination, inputs)) return true;
  }
  at = before;
  return false;
}

uint64_t next_trees(bool share, int *destination, int inputs[SOURCES_LIMIT]) {
  if (share && next_shared(destination, inputs)) return 1;
  *destination = next_tree(true);
  uint64_t count = next_number();
  if (count > SOURCES_LIMIT) fail(EXIT_LIMIT, "more than %d inputs", SOURCES_LIMIT);
  for (uint64_t i = 0; i < count; i++) inputs[i] = next_tree(false);
  return count;
}
