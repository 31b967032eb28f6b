// Reads a recipe record by record. What is damaged is refused, never followed: lengths are bounded before they are used.

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "layer.h"

_Noreturn static void damaged(const struct recipe *recipe) { fail(EXIT_BAD_ARCHIVE, "%s is damaged", recipe->what); }

size_t recipe_some(struct recipe *recipe, const unsigned char **from, uint64_t max) {
  if (recipe->start == recipe->end) {
    ssize_t n;
    do n = pread(recipe->fd, recipe->buffer, sizeof recipe->buffer, (off_t)recipe->position);
    while (n < 0 && errno == EINTR);
    if (n < 0) fail_errno("read", recipe->what);
    if (n == 0) fail(EXIT_BAD_ARCHIVE, "%s is cut off", recipe->what);
    recipe->start = 0;
    recipe->end = (size_t)n;
  }
  size_t n = recipe->end - recipe->start;
  if (n > max) n = (size_t)max;
  *from = recipe->buffer + recipe->start;
  recipe->start += n;
  recipe->position += n;
  return n;
}

static void exactly(struct recipe *recipe, void *to, size_t size) {
  for (unsigned char *at = to; size > 0;) {
    const unsigned char *from;
    size_t n = recipe_some(recipe, &from, size);
    memcpy(at, from, n);
    at += n;
    size -= n;
  }
}

static uint64_t fixed(struct recipe *recipe) {
  unsigned char bytes[8];
  exactly(recipe, bytes, sizeof bytes);
  uint64_t value = 0;
  for (int i = 7; i >= 0; i--) value = value << 8 | bytes[i];
  return value;
}

// Seven bits a byte, the lowest first; below 2^63, as lengths of files are.
static uint64_t number(struct recipe *recipe) {
  uint64_t value = 0;
  for (unsigned int shift = 0; shift < 63; shift += 7) {
    unsigned char byte;
    exactly(recipe, &byte, 1);
    value |= (uint64_t)(byte & 0x7f) << shift;
    if (byte < 0x80) return value;
  }
  damaged(recipe);
}

static void read_header(struct recipe *recipe) {
  for (size_t at = 0; at < BLOCK;) {
    uint64_t same = number(recipe), other = number(recipe);
    if (same > BLOCK - at || other > BLOCK - at - same || same + other == 0) damaged(recipe);
    at += (size_t)same;
    exactly(recipe, recipe->block + at, (size_t)other);
    at += (size_t)other;
  }
}

static void read_file(struct recipe *recipe, struct recipe_record *record) {
  record->inode = fixed(recipe);
  record->size = number(recipe);
  uint64_t length = number(recipe);
  if (length >= PATH_LIMIT) damaged(recipe);
  exactly(recipe, record->path, (size_t)length);
  record->path[length] = 0;
  if (strlen(record->path) != length) damaged(recipe);
}

void open_recipe(struct recipe *recipe, int fd, const char *what) {
  char magic[sizeof recipe_magic - 1];
  recipe->fd = fd;
  recipe->what = what;
  recipe->position = 0;
  recipe->start = recipe->end = 0;
  memset(recipe->block, 0, BLOCK);
  exactly(recipe, magic, sizeof magic);
  if (memcmp(magic, recipe_magic, sizeof magic) != 0) fail(EXIT_BAD_ARCHIVE, "%s is of another version", what);
}

void next_record(struct recipe *recipe, struct recipe_record *record) {
  unsigned char kind;
  record->at = recipe->position;
  exactly(recipe, &kind, 1);
  record->kind = kind;
  switch (kind) {
    case RECIPE_LITERAL: case RECIPE_ZEROS: record->length = number(recipe); break;
    case RECIPE_HEADER: read_header(recipe); break;
    case RECIPE_FILE: case RECIPE_ASIDE: read_file(recipe, record); break;
    case RECIPE_DATA:
      record->offset = number(recipe);
      record->length = number(recipe);
      break;
    case RECIPE_END: record->length = fixed(recipe); break;
    default: damaged(recipe);
  }
}

void aside_name(uint64_t inode, char to[ASIDE_NAME]) { snprintf(to, ASIDE_NAME, "%llx", (unsigned long long)inode); }
