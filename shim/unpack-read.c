// The input: stdin through one buffer of 1 MiB. File data is handed out in place, so that it is copied once, into the file.

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "unpack.h"

static unsigned char buffer[1 << 20];
static size_t start, end;

// False at the end of the input.
static bool fill(void) {
  ssize_t n;
  do n = read(STDIN_FILENO, buffer, sizeof buffer);
  while (n < 0 && errno == EINTR);
  if (n < 0) fail_errno("read the archive", "stdin");
  start = 0;
  end = (size_t)n;
  return n > 0;
}

size_t read_some(const unsigned char **from, uint64_t max) {
  if (start == end && !fill()) fail(EXIT_BAD_ARCHIVE, "unexpected EOF: the archive is truncated");
  size_t n = end - start;
  if (n > max) n = (size_t)max;
  *from = buffer + start;
  start += n;
  return n;
}

static void copy(void *to, size_t size) {
  unsigned char *at = to;
  while (size > 0) {
    const unsigned char *from;
    size_t n = read_some(&from, size);
    memcpy(at, from, n);
    at += n;
    size -= n;
  }
}

void read_exact(void *to, size_t size) {
  copy(to, size);
  record_bytes(to, size);
}

bool read_block(unsigned char block[BLOCK]) {
  if (start == end && !fill()) return false;
  copy(block, BLOCK);
  record_header(block);
  return true;
}

void skip(uint64_t size) {
  while (size > 0) {
    const unsigned char *from;
    size_t n = read_some(&from, size);
    record_bytes(from, n);
    size -= n;
  }
}

void skip_padding(uint64_t size) { skip((BLOCK - size % BLOCK) % BLOCK); }

void drain(uint64_t max) {
  uint64_t seen = 0;
  do {
    seen += end - start;
    record_bytes(buffer + start, end - start);
    if (seen > max) break;
  } while (fill());
  if (seen <= max) return;
  fail(EXIT_LIMIT, "more than %llu bytes after the end of the archive", (unsigned long long)max);
}
