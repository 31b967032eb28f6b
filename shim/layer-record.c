// Writes a recipe: every byte of a tar that is no file's content, and for content the name that it has in fs/.
// Format: docs/layer-recipe.md.

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "layer.h"

// Two million members need a quarter of it.
static const uint64_t recipe_limit = 1 << 30;
// Shorter runs of zeros cost less as bytes.
enum { ZEROS_WORTH_IT = 8, SAME_WORTH_IT = 3 };

static int recipe_fd = -1;
static unsigned char out[1 << 16];
static size_t out_size;
static uint64_t out_total, tar_total;

static unsigned char literal[1 << 14];
static size_t literal_size;
static uint64_t zeros;
static unsigned char last_header[BLOCK];

bool is_recording(void) { return recipe_fd >= 0; }

static void flush_out(void) {
  for (size_t done = 0; done < out_size;) {
    ssize_t n = write(recipe_fd, out + done, out_size - done);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) fail_errno("write", "the recipe");
    done += (size_t)n;
  }
  out_size = 0;
}

static void put(const void *bytes, size_t size) {
  out_total += size;
  if (out_total > recipe_limit) fail(EXIT_LIMIT, "the layer's headers need more than %llu bytes", (unsigned long long)recipe_limit);
  for (const unsigned char *at = bytes; size > 0;) {
    if (out_size == sizeof out) flush_out();
    size_t n = sizeof out - out_size < size ? sizeof out - out_size : size;
    memcpy(out + out_size, at, n);
    out_size += n;
    at += n;
    size -= n;
  }
}

void begin_record(int fd) {
  recipe_fd = fd;
  put(recipe_magic, sizeof recipe_magic - 1);
}

static void put_number(uint64_t value) {
  unsigned char bytes[10];
  size_t n = 0;
  for (; value >= 0x80; value >>= 7) bytes[n++] = (unsigned char)(value | 0x80);
  bytes[n++] = (unsigned char)value;
  put(bytes, n);
}

static void put_fixed(uint64_t value) {
  unsigned char bytes[8];
  for (int i = 0; i < 8; i++, value >>= 8) bytes[i] = (unsigned char)value;
  put(bytes, sizeof bytes);
}

static void put_kind(int kind) {
  unsigned char byte = (unsigned char)kind;
  put(&byte, 1);
}

static void flush_literal(void) {
  if (literal_size == 0) return;
  put_kind(RECIPE_LITERAL);
  put_number(literal_size);
  put(literal, literal_size);
  literal_size = 0;
}

static void add_literal(const unsigned char *from, size_t size) {
  while (size > 0) {
    if (literal_size == sizeof literal) flush_literal();
    size_t n = sizeof literal - literal_size < size ? sizeof literal - literal_size : size;
    memcpy(literal + literal_size, from, n);
    literal_size += n;
    from += n;
    size -= n;
  }
}

static void flush_zeros(void) {
  static const unsigned char some[ZEROS_WORTH_IT];
  if (zeros >= ZEROS_WORTH_IT) {
    flush_literal();
    put_kind(RECIPE_ZEROS);
    put_number(zeros);
  } else {
    add_literal(some, (size_t)zeros);
  }
  zeros = 0;
}

static void begin(int kind) {
  flush_zeros();
  flush_literal();
  put_kind(kind);
}

void record_bytes(const unsigned char *from, size_t size) {
  if (!is_recording()) return;
  tar_total += size;
  for (const unsigned char *end = from + size; from < end;) {
    const unsigned char *start = from;
    while (from < end && *from == 0) from++;
    zeros += (uint64_t)(from - start);
    if (from == end) return;
    flush_zeros();
    const unsigned char *zero = memchr(from, 0, (size_t)(end - from));
    start = from;
    from = zero == NULL ? end : zero;
    add_literal(start, (size_t)(from - start));
  }
}

void record_header(const unsigned char block[BLOCK]) {
  if (!is_recording()) return;
  begin(RECIPE_HEADER);
  for (size_t at = 0; at < BLOCK;) {
    size_t same = at, end, streak = 0;
    while (same < BLOCK && block[same] == last_header[same]) same++;
    for (end = same; end < BLOCK && streak < SAME_WORTH_IT; end++) streak = block[end] == last_header[end] ? streak + 1 : 0;
    end -= streak;
    put_number(same - at);
    put_number(end - same);
    put(block + same, end - same);
    at = end;
  }
  memcpy(last_header, block, BLOCK);
  tar_total += BLOCK;
}

void record_content(uint64_t inode, uint64_t size, const char *path) {
  if (!is_recording()) return;
  begin(RECIPE_FILE);
  put_fixed(inode);
  put_number(size);
  put_number(strlen(path));
  put(path, strlen(path));
}

void record_data(uint64_t offset, uint64_t length) {
  if (!is_recording()) return;
  begin(RECIPE_DATA);
  put_number(offset);
  put_number(length);
  tar_total += length;
}

int end_record(void) {
  begin(RECIPE_END);
  put_fixed(tar_total);
  flush_out();
  int fd = recipe_fd;
  recipe_fd = -1;
  return fd;
}
