// Headers: ustar, with a PAX extended header in front for what ustar cannot hold. The same member always has the same bytes:
// numeric owners only, no access or change time. Source: POSIX.1-2017 pax.

#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "pack.h"

enum { NAME_SIZE = 100, PREFIX_SIZE = 155 };

static unsigned char records[PAX_LIMIT];
static size_t records_size;

size_t pax_record(unsigned char *to, size_t room, const char *path, const char *key, const void *value, size_t size) {
  // "LENGTH KEY=VALUE\n", and LENGTH counts its own digits.
  size_t rest = 1 + strlen(key) + 1 + size + 1, length = rest + 1;
  char digits[24];
  while ((size_t)snprintf(digits, sizeof digits, "%zu", length) + rest != length) length = rest + strlen(digits);
  if (length > room) fail(EXIT_LIMIT, "%s: the extended attributes need more than %d bytes", path, PAX_LIMIT);
  size_t n = (size_t)snprintf((char *)to, room, "%s %s=", digits, key);
  memcpy(to + n, value, size);
  to[length - 1] = '\n';
  return length;
}

static void add(const struct member *member, const char *key, const char *value) {
  records_size += pax_record(records + records_size, sizeof records - records_size, member->path, key, value, strlen(value));
}

static void add_number(const struct member *member, const char *key, uint64_t value) {
  char text[24];
  snprintf(text, sizeof text, "%llu", (unsigned long long)value);
  add(member, key, text);
}

// Octal with a NUL; false when it does not fit.
static bool put_octal(char *field, size_t width, uint64_t value) {
  if (value >> 3 * (width - 1) != 0) return false;
  field[width - 1] = 0;
  for (size_t i = width - 1; i-- > 0; value >>= 3) field[i] = (char)('0' + (value & 7));
  return true;
}

static void put_time(char *field, const struct member *member) {
  int64_t seconds = member->st.st_mtim.tv_sec;
  long ns = member->st.st_mtim.tv_nsec;
  bool fits = seconds >= 0 && put_octal(field, 12, (uint64_t)seconds);
  if (!fits) put_octal(field, 12, 0);
  if (fits && ns == 0) return;
  // A negative time counts its fraction downwards.
  bool negative = seconds < 0;
  uint64_t whole = negative ? (uint64_t)-seconds : (uint64_t)seconds;
  if (negative && ns > 0) {
    whole--;
    ns = 1000000000 - ns;
  }
  char text[48];
  int n = snprintf(text, sizeof text, "%s%llu.%09ld", negative ? "-" : "", (unsigned long long)whole, ns);
  while (text[n - 1] == '0') n--;
  if (text[n - 1] == '.') n--;
  text[n] = 0;
  add(member, "mtime", text);
}

static void put_id(char *field, const struct member *member, const char *key, uint32_t id) {
  if (put_octal(field, 8, id)) return;
  put_octal(field, 8, 0);
  add_number(member, key, id);
}

// name, or prefix and name, or a record.
static void put_path(char block[BLOCK], const struct member *member, const char *path) {
  size_t length = strlen(path);
  if (length <= NAME_SIZE) {
    memcpy(block, path, length);
    return;
  }
  // The split is at a slash that is not the last character.
  const char *slash = length - 1 <= PREFIX_SIZE ? path + length - 2 : path + PREFIX_SIZE;
  while (slash > path && *slash != '/') slash--;
  size_t rest = length - (size_t)(slash - path) - 1;
  if (slash > path && rest > 0 && rest <= NAME_SIZE) {
    memcpy(block + 345, path, (size_t)(slash - path));
    memcpy(block, slash + 1, rest);
    return;
  }
  memcpy(block, path, NAME_SIZE);
  add(member, "path", path);
}

static void finish(char block[BLOCK]) {
  memcpy(block + 257, "ustar\00000", 8);
  memset(block + 148, ' ', 8);
  unsigned int sum = 0;
  for (int i = 0; i < BLOCK; i++) sum += (unsigned char)block[i];
  snprintf(block + 148, 7, "%06o", sum);
  emit_block(block);
}

static void emit_records(void) {
  char block[BLOCK] = "PaxHeaders/x";
  put_octal(block + 100, 8, 0644);
  put_octal(block + 108, 8, 0);
  put_octal(block + 116, 8, 0);
  put_octal(block + 124, 12, records_size);
  put_octal(block + 136, 12, 0);
  put_octal(block + 329, 8, 0);
  put_octal(block + 337, 8, 0);
  block[156] = 'x';
  finish(block);
  emit(records, records_size);
  emit_zeros((BLOCK - records_size % BLOCK) % BLOCK);
}

void emit_header(const struct member *member) {
  char block[BLOCK] = {0}, path[PATH_LIMIT + 1];
  records_size = 0;
  snprintf(path, sizeof path, "%s%s", member->path, member->type == '5' ? "/" : "");
  put_path(block, member, path);
  if (member->link != NULL) {
    size_t length = strlen(member->link);
    memcpy(block + 157, member->link, length < NAME_SIZE ? length : NAME_SIZE);
    if (length > NAME_SIZE) add(member, "linkpath", member->link);
  }
  put_octal(block + 100, 8, member->st.st_mode & 07777);
  put_id(block + 108, member, "uid", member->st.st_uid);
  put_id(block + 116, member, "gid", member->st.st_gid);
  if (!put_octal(block + 124, 12, member->size)) {
    put_octal(block + 124, 12, 0);
    add_number(member, "size", member->size);
  }
  put_time(block + 136, member);
  bool device = member->type == '3' || member->type == '4';
  put_octal(block + 329, 8, device ? major(member->st.st_rdev) : 0);
  put_octal(block + 337, 8, device ? minor(member->st.st_rdev) : 0);
  block[156] = member->type;
  if (member->records_size > sizeof records - records_size)
    fail(EXIT_LIMIT, "%s: the extended attributes need more than %d bytes", member->path, PAX_LIMIT);
  memcpy(records + records_size, member->records, member->records_size);
  records_size += member->records_size;
  if (records_size > 0) emit_records();
  finish(block);
}
