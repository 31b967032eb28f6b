// Extended attributes of a member, as records of its extended header.

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "pack.h"

static bool has_prefix(const char *text, const char *prefix) { return strncmp(text, prefix, strlen(prefix)) == 0; }

static bool vanished(void) { return errno == ENOENT || errno == ESTALE; }

// Those that gantry-unpack sets; what belongs to overlayfs, to this host's security module or to root's tools stays here.
static bool is_packed(const char *name) {
  if (has_prefix(name, "user.")) return !has_prefix(name, "user.overlay.");
  return strcmp(name, "security.capability") == 0 || strcmp(name, "system.posix_acl_access") == 0 ||
         strcmp(name, "system.posix_acl_default") == 0;
}

static int by_name(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

static ssize_t list_xattrs(const struct target *target, char *names, size_t size) {
  if (target->fd >= 0) return flistxattr(target->fd, names, size);
  if (fchdir(target->parent) < 0) return -1;
  return llistxattr(target->name, names, size);
}

ssize_t get_xattr(const struct target *target, const char *name, void *value, size_t size) {
  if (target->fd >= 0) return fgetxattr(target->fd, name, value, size);
  if (fchdir(target->parent) < 0) return -1;
  return lgetxattr(target->name, name, value, size);
}

size_t read_xattrs(const struct target *target, const char *path, void (*check)(const char *name), unsigned char to[PAX_LIMIT]) {
  static char names[XATTR_SIZE], value[XATTR_SIZE];
  static char *sorted[XATTR_SIZE / 2];
  ssize_t size = list_xattrs(target, names, sizeof names);
  if (size < 0 && (errno == EOPNOTSUPP || vanished())) return 0;
  if (size < 0) fail(EXIT_SYSTEM, "list the attributes of %s: %s", path, strerror(errno));
  size_t count = 0, used = 0;
  for (char *name = names; name < names + size; name += strlen(name) + 1) {
    if (check != NULL) check(name);
    if (is_packed(name)) sorted[count++] = name;
  }
  qsort(sorted, count, sizeof *sorted, by_name);
  for (size_t i = 0; i < count; i++) {
    ssize_t length = get_xattr(target, sorted[i], value, sizeof value);
    if (length < 0 && (errno == ENODATA || vanished())) continue;
    if (length < 0) fail(EXIT_SYSTEM, "read the attribute %s of %s: %s", sorted[i], path, strerror(errno));
    char key[300];
    snprintf(key, sizeof key, "SCHILY.xattr.%s", sorted[i]);
    used += pax_record(to + used, PAX_LIMIT - used, path, key, value, (size_t)length);
  }
  return used;
}
