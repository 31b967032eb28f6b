// PAX extended headers: records "LENGTH KEY=VALUE\n". Unknown keys are ignored, as POSIX wants; extended attributes pass a
// short list of namespaces, so that an archive can never speak to overlayfs (trusted.overlay.*) or to a security module.
// Source: POSIX.1-2017 pax, "pax Extended Header"; GNU tar manual, "Storing Sparse Files".

#include <stdlib.h>
#include <string.h>

#include "unpack.h"

static const char xattr_prefix[] = "SCHILY.xattr.";

uint64_t parse_decimal(const char *text, const char *what) {
  uint64_t value = 0;
  if (*text == 0) fail(EXIT_BAD_ARCHIVE, "empty %s in an extended header", what);
  for (; *text != 0; text++) {
    if (*text < '0' || *text > '9') fail(EXIT_BAD_ARCHIVE, "bad %s in an extended header", what);
    if (value > (UINT64_MAX - 9) / 10) fail(EXIT_BAD_ARCHIVE, "%s in an extended header is out of range", what);
    value = value * 10 + (uint64_t)(*text - '0');
  }
  return value;
}

// "[-]seconds[.fraction]"; a negative time counts its fraction downwards.
static void parse_mtime(char *text, struct overrides *to) {
  bool negative = *text == '-';
  if (negative) text++;
  uint32_t ns = 0;
  char *dot = strchr(text, '.');
  if (dot != NULL) {
    *dot = 0;
    uint32_t scale = 100000000;
    for (const char *c = dot + 1; *c != 0; c++, scale /= 10) {
      if (*c < '0' || *c > '9') fail(EXIT_BAD_ARCHIVE, "bad mtime in an extended header");
      ns += (uint32_t)(*c - '0') * scale;
    }
  }
  uint64_t seconds = parse_decimal(text, "mtime");
  if (seconds > INT64_MAX / 2) fail(EXIT_BAD_ARCHIVE, "mtime in an extended header is out of range");
  to->mtime_s = negative ? -(int64_t)seconds : (int64_t)seconds;
  to->mtime_ns = ns;
  if (negative && ns > 0) {
    to->mtime_s--;
    to->mtime_ns = 1000000000 - ns;
  }
  to->has_mtime = true;
}

static bool xattr_allowed(const char *name) {
  if (strcmp(name, "security.capability") == 0) return true;
  if (strncmp(name, "user.overlay.", 13) == 0) return false;
  if (strncmp(name, "user.", 5) == 0) return true;
  return strcmp(name, "system.posix_acl_access") == 0 || strcmp(name, "system.posix_acl_default") == 0;
}

static void add_xattr(const char *name, const char *value, size_t size, struct overrides *to) {
  if (!xattr_allowed(name)) return;
  if (to->xattr_count == XATTR_LIMIT) fail(EXIT_LIMIT, "more than %d extended attributes on one member", XATTR_LIMIT);
  to->xattrs[to->xattr_count++] = (struct xattr){name, value, size};
}

static void apply_sparse_record(const char *key, char *value, struct overrides *to) {
  if (strcmp(key, "major") == 0) {
    to->sparse_major = (unsigned int)parse_decimal(value, "sparse format");
    to->has_sparse_version = true;
  } else if (strcmp(key, "minor") == 0) {
    to->sparse_minor = (unsigned int)parse_decimal(value, "sparse format");
    to->has_sparse_version = true;
  } else if (strcmp(key, "name") == 0) {
    to->sparse_name = value;
  } else if (strcmp(key, "realsize") == 0 || strcmp(key, "size") == 0) {
    to->real_size = parse_decimal(value, "sparse size");
    to->has_real_size = true;
  } else if (strcmp(key, "map") == 0) {
    to->sparse_map = value;
  } else if (strcmp(key, "offset") == 0) {
    fail(EXIT_BAD_ARCHIVE, "sparse format 0.0 is not supported");
  }
}

static void apply_record(char *key, char *value, size_t size, struct overrides *to) {
  bool is_xattr = strncmp(key, xattr_prefix, sizeof xattr_prefix - 1) == 0;
  if (is_xattr) {
    add_xattr(key + sizeof xattr_prefix - 1, value, size, to);
    return;
  }
  // A NUL would end the string early: what is checked must be what is used.
  if (memchr(value, 0, size) != NULL) fail(EXIT_BAD_ARCHIVE, "NUL byte in the extended header %.40s", key);
  if (strcmp(key, "path") == 0) to->path = size > 0 ? value : NULL;
  else if (strcmp(key, "linkpath") == 0) to->link = size > 0 ? value : NULL;
  else if (strncmp(key, "GNU.sparse.", 11) == 0) apply_sparse_record(key + 11, value, to);
  else if (size == 0) return; // an empty value takes an earlier one back; there is none
  else if (strcmp(key, "mtime") == 0) parse_mtime(value, to);
  else if (strcmp(key, "size") == 0) {
    to->size = parse_decimal(value, "size");
    to->has_size = true;
  } else if (strcmp(key, "uid") == 0) {
    to->uid = parse_decimal(value, "uid");
    to->has_uid = true;
  } else if (strcmp(key, "gid") == 0) {
    to->gid = parse_decimal(value, "gid");
    to->has_gid = true;
  }
}

void parse_pax(char *text, size_t size, struct overrides *to) {
  char *end = text + size;
  while (text < end && *text != 0) {
    size_t length = 0;
    char *at = text;
    while (at < end && *at >= '0' && *at <= '9' && length <= PAX_LIMIT) length = length * 10 + (size_t)(*at++ - '0');
    if (at == text || at == end || *at != ' ' || length > (size_t)(end - text) || length < (size_t)(at - text) + 2)
      fail(EXIT_BAD_ARCHIVE, "bad record length in an extended header");
    char *key = at + 1, *last = text + length - 1;
    if (*last != '\n') fail(EXIT_BAD_ARCHIVE, "a record of an extended header does not end its line");
    *last = 0;
    char *equals = memchr(key, '=', (size_t)(last - key));
    if (equals == NULL || equals == key) fail(EXIT_BAD_ARCHIVE, "a record of an extended header has no key");
    *equals = 0;
    if (strlen(key) != (size_t)(equals - key)) fail(EXIT_BAD_ARCHIVE, "NUL byte in a key of an extended header");
    apply_record(key, equals + 1, (size_t)(last - equals - 1), to);
    text += length;
  }
}
