// Tar headers: v7, ustar, GNU and PAX; read_entry yields one member with all its extended headers applied.
// Sources: POSIX.1-2017 pax, "ustar Interchange Format"; GNU tar manual, "Basic Tar Format".

#include <stdlib.h>
#include <string.h>

#include "unpack.h"

// Field offsets of the ustar header.
enum {
  NAME = 0, MODE = 100, UID = 108, GID = 116, SIZE = 124, MTIME = 136, CHECKSUM = 148, TYPE = 156, LINK = 157,
  MAGIC = 257, DEV_MAJOR = 329, DEV_MINOR = 337, PREFIX = 345,
};
enum { NAME_SIZE = 100, PREFIX_SIZE = 155 };

// All extended headers of an archive together: their cost is bounded although each may be large.
static const uint64_t extension_total_limit = 256 << 20;

static char name_buffer[NAME_SIZE + PREFIX_SIZE + 2], link_buffer[NAME_SIZE + 1];
static char *pax_text, *long_name, *long_link;
static uint64_t extension_total;

uint64_t parse_number(const unsigned char *field, size_t width, const char *what) {
  if (field[0] & 0x80) {
    // Base-256, big-endian; bit 6 of the first byte is the sign.
    if (field[0] & 0x40) fail(EXIT_BAD_ARCHIVE, "negative %s in a header", what);
    uint64_t value = field[0] & 0x3f;
    for (size_t i = 1; i < width; i++) {
      if (value >> 55) fail(EXIT_BAD_ARCHIVE, "%s in a header is out of range", what);
      value = value << 8 | field[i];
    }
    return value;
  }
  size_t i = 0;
  while (i < width && field[i] == ' ') i++;
  uint64_t value = 0;
  for (; i < width && field[i] != ' ' && field[i] != 0; i++) {
    if (field[i] < '0' || field[i] > '7') fail(EXIT_BAD_ARCHIVE, "invalid tar header: bad %s", what);
    if (value >> 60) fail(EXIT_BAD_ARCHIVE, "%s in a header is out of range", what);
    value = value << 3 | (uint64_t)(field[i] - '0');
  }
  return value;
}

// Only times may be negative.
static int64_t parse_time(const unsigned char *field, size_t width) {
  if ((field[0] & 0xc0) != 0xc0) return (int64_t)parse_number(field, width, "mtime");
  uint64_t value = UINT64_MAX;
  for (size_t i = 0; i < width; i++) value = value << 8 | field[i];
  return (int64_t)value;
}

static bool checksum_matches(const unsigned char block[BLOCK]) {
  uint64_t sum = 0;
  int64_t signed_sum = 0;
  for (int i = 0; i < BLOCK; i++) {
    unsigned char c = i >= CHECKSUM && i < CHECKSUM + 8 ? ' ' : block[i];
    sum += c;
    signed_sum += (signed char)c;
  }
  uint64_t stated = parse_number(block + CHECKSUM, 8, "checksum");
  return stated == sum || (signed_sum >= 0 && stated == (uint64_t)signed_sum);
}

static bool is_zero(const unsigned char block[BLOCK]) {
  for (int i = 0; i < BLOCK; i++)
    if (block[i] != 0) return false;
  return true;
}

static void read_name(const unsigned char block[BLOCK]) {
  char *at = name_buffer;
  bool ustar = memcmp(block + MAGIC, "ustar\0", 6) == 0;
  if (ustar && block[PREFIX] != 0) {
    size_t n = strnlen((const char *)block + PREFIX, PREFIX_SIZE);
    memcpy(at, block + PREFIX, n);
    at += n;
    *at++ = '/';
  }
  size_t n = strnlen((const char *)block + NAME, NAME_SIZE);
  memcpy(at, block + NAME, n);
  at[n] = 0;
  n = strnlen((const char *)block + LINK, NAME_SIZE);
  memcpy(link_buffer, block + LINK, n);
  link_buffer[n] = 0;
}

// The data of an extension, NUL-terminated, in place of what *slot held.
static size_t read_extension(const unsigned char block[BLOCK], char **slot) {
  uint64_t size = parse_number(block + SIZE, 12, "size");
  if (size > PAX_LIMIT) fail(EXIT_LIMIT, "an extended header of %llu bytes", (unsigned long long)size);
  extension_total += size + 2 * BLOCK;
  if (extension_total > extension_total_limit) fail(EXIT_LIMIT, "too many bytes of extended headers");
  free(*slot);
  *slot = malloc(size + 1);
  if (*slot == NULL) fail(EXIT_SYSTEM, "out of memory");
  read_exact(*slot, size);
  (*slot)[size] = 0;
  skip_padding(size);
  return size;
}

static uint32_t check_id(uint64_t id, const char *what) {
  // (uid_t)-1 means "leave it" to chown.
  if (id >= UINT32_MAX) fail(EXIT_BAD_ARCHIVE, "%s %llu is out of range", what, (unsigned long long)id);
  return (uint32_t)id;
}

static void apply(const struct overrides *over, struct entry *entry) {
  if (over->path != NULL) entry->path = over->path;
  if (over->link != NULL) entry->link = over->link;
  if (over->sparse_name != NULL) entry->path = over->sparse_name;
  if (over->has_size) entry->size = over->size;
  if (over->has_mtime) {
    entry->mtime_s = over->mtime_s;
    entry->mtime_ns = over->mtime_ns;
  }
  memcpy(entry->xattrs, over->xattrs, over->xattr_count * sizeof *over->xattrs);
  entry->xattr_count = over->xattr_count;
}

static void apply_sparse(const struct overrides *over, struct entry *entry) {
  if (!over->has_sparse_version && over->sparse_map == NULL) return;
  if (!over->has_real_size) fail(EXIT_BAD_ARCHIVE, "%s: a sparse file without its size", entry->path);
  entry->sparse = true;
  entry->real_size = over->real_size;
  if (over->sparse_major == 1 && over->sparse_minor == 0) read_sparse_map(entry);
  else if (over->sparse_major == 0 && over->sparse_map != NULL) parse_sparse_map(over->sparse_map, entry);
  else fail(EXIT_BAD_ARCHIVE, "%s: sparse format %u.%u is not supported", entry->path, over->sparse_major, over->sparse_minor);
}

static void read_member(const unsigned char block[BLOCK], const struct overrides *over, struct entry *entry) {
  struct region *regions = entry->regions;
  memset(entry, 0, sizeof *entry);
  entry->regions = regions;
  read_name(block);
  entry->path = name_buffer;
  entry->link = link_buffer;
  entry->mode = (mode_t)(parse_number(block + MODE, 8, "mode") & 07777);
  entry->size = parse_number(block + SIZE, 12, "size");
  entry->mtime_s = parse_time(block + MTIME, 12);
  entry->uid = check_id(over->has_uid ? over->uid : parse_number(block + UID, 8, "uid"), "uid");
  entry->gid = check_id(over->has_gid ? over->gid : parse_number(block + GID, 8, "gid"), "gid");
  apply(over, entry);
  if (entry->size > INT64_MAX) fail(EXIT_BAD_ARCHIVE, "%s: size out of range", entry->path);

  char type = (char)block[TYPE];
  size_t length = strlen(entry->path);
  if (type == 0 || type == '7') type = '0';
  if (type == '0' && length > 0 && entry->path[length - 1] == '/') {
    type = '5';
    skip(entry->size);
    skip_padding(entry->size);
  }
  if (type == 'S') {
    read_old_sparse_map(block, entry);
    type = '0';
  } else if (type == '0') {
    apply_sparse(over, entry);
  }
  if (type == '3' || type == '4') {
    entry->dev_major = (unsigned int)parse_number(block + DEV_MAJOR, 8, "device number");
    entry->dev_minor = (unsigned int)parse_number(block + DEV_MINOR, 8, "device number");
  }
  // Only files carry data; a size on other types is ignored, as Go's and GNU's readers do.
  if (type != '0') entry->size = 0;
  if (entry->sparse) check_sparse_map(entry);
  entry->type = type;
}

bool read_entry(struct entry *entry) {
  unsigned char block[BLOCK];
  struct overrides over = {0};
  bool pending = false, extended = false;
  for (;;) {
    if (!read_block(block)) {
      if (pending) fail(EXIT_BAD_ARCHIVE, "unexpected EOF: the archive ends after an extended header");
      return false;
    }
    if (is_zero(block)) {
      if (pending) fail(EXIT_BAD_ARCHIVE, "the archive ends after an extended header");
      return false;
    }
    if (!checksum_matches(block)) fail(EXIT_BAD_ARCHIVE, "invalid tar header: wrong checksum");
    pending = true;
    switch (block[TYPE]) {
      case 'x': {
        // The overrides point into the text, so that a second header would leave them dangling; no writer makes two.
        if (extended) fail(EXIT_BAD_ARCHIVE, "two extended headers for one member");
        extended = true;
        size_t size = read_extension(block, &pax_text);
        parse_pax(pax_text, size, &over);
        break;
      }
      case 'g': case 'V': {
        // Global headers and volume labels say nothing about a member.
        uint64_t size = parse_number(block + SIZE, 12, "size");
        extension_total += size + BLOCK;
        if (size > PAX_LIMIT || extension_total > extension_total_limit) fail(EXIT_LIMIT, "a global header of %llu bytes", (unsigned long long)size);
        skip(size);
        skip_padding(size);
        pending = false;
        break;
      }
      case 'L':
        read_extension(block, &long_name);
        over.path = long_name;
        break;
      case 'K':
        read_extension(block, &long_link);
        over.link = long_link;
        break;
      case 0: case '0': case '1': case '2': case '3': case '4': case '5': case '6': case '7': case 'S':
        read_member(block, &over, entry);
        return true;
      default:
        fail(EXIT_BAD_ARCHIVE, "unsupported tar member of type 0x%02x", block[TYPE]);
    }
  }
}
