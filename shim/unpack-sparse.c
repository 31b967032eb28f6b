// Maps of sparse files: the old GNU header with its extension blocks, and the PAX formats 0.1 and 1.0.
// Source: GNU tar manual, "Storing Sparse Files".

#include <stdlib.h>
#include <string.h>

#include "unpack.h"

// Of the old GNU header and of its extension block.
enum { OLD_MAP = 386, OLD_EXTENDED = 482, OLD_REAL_SIZE = 483, OLD_IN_HEADER = 4, OLD_IN_BLOCK = 21, OLD_BLOCK_EXTENDED = 504 };

static size_t capacity;

static void add_region(struct entry *entry, uint64_t offset, uint64_t length) {
  if (entry->region_count == REGION_LIMIT) fail(EXIT_LIMIT, "%s: more than %d sparse regions", entry->path, REGION_LIMIT);
  if (entry->region_count == capacity) {
    capacity = capacity == 0 ? 64 : capacity * 2;
    struct region *grown = realloc(entry->regions, capacity * sizeof *grown);
    if (grown == NULL) fail(EXIT_SYSTEM, "out of memory");
    entry->regions = grown;
  }
  entry->regions[entry->region_count++] = (struct region){offset, length};
}

static void add_old_regions(const unsigned char *at, int count, struct entry *entry) {
  for (int i = 0; i < count; i++, at += 24) {
    if (at[0] == 0) return;
    add_region(entry, parse_number(at, 12, "sparse offset"), parse_number(at + 12, 12, "sparse length"));
  }
}

void read_old_sparse_map(const unsigned char header[BLOCK], struct entry *entry) {
  entry->sparse = true;
  entry->real_size = parse_number(header + OLD_REAL_SIZE, 12, "sparse size");
  add_old_regions(header + OLD_MAP, OLD_IN_HEADER, entry);
  bool more = header[OLD_EXTENDED] != 0;
  while (more) {
    unsigned char block[BLOCK];
    read_exact(block, BLOCK);
    size_t before = entry->region_count;
    add_old_regions(block, OLD_IN_BLOCK, entry);
    more = block[OLD_BLOCK_EXTENDED] != 0;
    if (more && entry->region_count == before) fail(EXIT_BAD_ARCHIVE, "%s: an empty block in the sparse map", entry->path);
  }
}

void parse_sparse_map(const char *map, struct entry *entry) {
  uint64_t numbers[2];
  int n = 0;
  while (*map != 0) {
    char digits[24];
    size_t length = strcspn(map, ",");
    if (length == 0 || length >= sizeof digits) fail(EXIT_BAD_ARCHIVE, "%s: bad sparse map", entry->path);
    memcpy(digits, map, length);
    digits[length] = 0;
    numbers[n++] = parse_decimal(digits, "sparse map");
    if (n == 2) {
      add_region(entry, numbers[0], numbers[1]);
      n = 0;
    }
    map += length;
    if (*map == ',') map++;
  }
  if (n != 0) fail(EXIT_BAD_ARCHIVE, "%s: odd number of values in the sparse map", entry->path);
}

// A line of digits from the map's blocks.
static uint64_t next_number(struct entry *entry, unsigned char block[BLOCK], size_t *at) {
  char digits[24];
  size_t n = 0;
  for (;;) {
    if (*at == BLOCK) {
      if (entry->size < BLOCK) fail(EXIT_BAD_ARCHIVE, "%s: the sparse map is longer than the member", entry->path);
      read_exact(block, BLOCK);
      entry->size -= BLOCK;
      *at = 0;
    }
    unsigned char c = block[(*at)++];
    if (c == '\n') break;
    if (n == sizeof digits - 1) fail(EXIT_BAD_ARCHIVE, "%s: bad sparse map", entry->path);
    digits[n++] = (char)c;
  }
  digits[n] = 0;
  return parse_decimal(digits, "sparse map");
}

void read_sparse_map(struct entry *entry) {
  unsigned char block[BLOCK];
  size_t at = BLOCK;
  uint64_t count = next_number(entry, block, &at);
  if (count > REGION_LIMIT) fail(EXIT_LIMIT, "%s: more than %d sparse regions", entry->path, REGION_LIMIT);
  for (uint64_t i = 0; i < count; i++) {
    uint64_t offset = next_number(entry, block, &at);
    add_region(entry, offset, next_number(entry, block, &at));
  }
}

void check_sparse_map(const struct entry *entry) {
  uint64_t at = 0, data = 0;
  for (size_t i = 0; i < entry->region_count; i++) {
    const struct region *region = &entry->regions[i];
    if (region->offset < at || region->offset > entry->real_size || region->length > entry->real_size - region->offset)
      fail(EXIT_BAD_ARCHIVE, "%s: the sparse map is out of order or beyond the file", entry->path);
    at = region->offset + region->length;
    data += region->length;
  }
  if (data != entry->size || entry->real_size > INT64_MAX)
    fail(EXIT_BAD_ARCHIVE, "%s: the sparse map does not match the member's size", entry->path);
}
