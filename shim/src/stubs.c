// The places to mount upon that a step's root lacks. They are made in a layer of their own, below the step's writable one: what the
// step leaves has none of them, and nothing needs to be removed afterwards. Directories that are there already are repeated in
// it with all that can be seen of them, because the top-most layer's count.

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "shim.h"

enum { LINKS_MAX = 40, XATTR_BYTES = 65536 };

struct trees {
  int base;  // what the parent layers show
  int stubs; // the layer that is being made
};

static void copy_xattrs(const char *from, const char *to) {
  char *memory = malloc(2 * XATTR_BYTES);
  ssize_t size = memory == NULL ? -1 : listxattr(from, memory, XATTR_BYTES);
  for (ssize_t at = 0; at < size; at += (ssize_t)strlen(memory + at) + 1) {
    const char *name = memory + at;
    if (strncmp(name, "trusted.overlay.", 16) == 0)
      continue;
    ssize_t n = getxattr(from, name, memory + XATTR_BYTES, XATTR_BYTES);
    if (n >= 0)
      setxattr(to, name, memory + XATTR_BYTES, (size_t)n, 0);
  }
  free(memory);
}

static bool set_times(int stubs, const char *path, const struct stat *st) {
  const struct timespec times[2] = {st->st_atim, st->st_mtim};
  return utimensat(stubs, path, times, AT_SYMLINK_NOFOLLOW) == 0;
}

// Repeats a directory of the base, whose path has no links in it. All calls are on a layer that nobody else sees.
static bool repeat(const struct trees *t, const char *path) {
  char from[64], to[64];
  struct stat st;
  int source = confine_entry(t->base, path);
  if (source < 0 || fstat(source, &st) != 0 || mkdirat(t->stubs, path, 0700) != 0) {
    int error = errno;
    if (source >= 0)
      close(source);
    errno = error;
    return errno == EEXIST;
  }
  int made = confine_entry(t->stubs, path);
  snprintf(from, sizeof from, "/proc/self/fd/%d", source);
  snprintf(to, sizeof to, "/proc/self/fd/%d", made);
  copy_xattrs(from, to);
  bool ok = made >= 0 && fchownat(t->stubs, path, st.st_uid, st.st_gid, AT_SYMLINK_NOFOLLOW) == 0 &&
            chmod(to, st.st_mode & 07777) == 0 && set_times(t->stubs, path, &st);
  close(source);
  close(made);
  return ok;
}

// After something was made in them, repeated directories have the times again that they had.
static void restore_times(const struct trees *t, const char *path) {
  char prefix[PATH_SIZE];
  struct stat st;
  snprintf(prefix, sizeof prefix, "%s", path);
  for (char *slash; (slash = strrchr(prefix, '/')) != NULL;) {
    *slash = '\0';
    int fd = confine_entry(t->base, prefix);
    if (fd >= 0 && fstat(fd, &st) == 0 && S_ISDIR(st.st_mode))
      set_times(t->stubs, prefix, &st);
    if (fd >= 0)
      close(fd);
  }
}

static bool make(const struct trees *t, const char *path, bool directory) {
  char prefix[PATH_SIZE];
  for (const char *slash = strchr(path, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
    struct stat st;
    snprintf(prefix, sizeof prefix, "%.*s", (int)(slash - path), path);
    if (fstatat(t->stubs, prefix, &st, AT_SYMLINK_NOFOLLOW) == 0)
      continue;
    int base = confine_entry(t->base, prefix);
    bool known = base >= 0 && fstat(base, &st) == 0 && S_ISDIR(st.st_mode);
    if (base >= 0)
      close(base);
    if (!(known ? repeat(t, prefix) : mkdirat(t->stubs, prefix, 0755) == 0))
      return false;
  }
  bool ok = directory ? mkdirat(t->stubs, path, 0755) == 0 : mknodat(t->stubs, path, S_IFREG | 0644, 0) == 0;
  ok = ok || errno == EEXIST;
  int error = errno;
  restore_times(t, path);
  errno = error;
  return ok;
}

// An entry as the step will see it, by a path without links; −1 and ENOENT where there is none.
static int look(const struct trees *t, const char *path) {
  int fd = confine_entry(t->stubs, path);
  if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
    fd = confine_entry(t->base, path);
  if (fd < 0 && errno == ELOOP)
    errno = ENOENT; // below a directory of the stubs, which hides a link
  return fd;
}

static void cut_last(char *path) {
  char *slash = strrchr(path, '/');
  *(slash == NULL ? path : slash) = '\0';
}

// Walks `target` as the kernel would with the tree's root as "/", and makes what is missing. errno says why not.
static bool make_target(const struct trees *t, const char *target, bool directory) {
  char rest[2 * PATH_SIZE], link[PATH_SIZE], real[PATH_SIZE] = "";
  int links = 0;
  bool missing = false, is_directory = true;
  snprintf(rest, sizeof rest, "%s", target);
  while (rest[0] != '\0') {
    size_t skip = strspn(rest, "/"), size = strcspn(rest + skip, "/"), length = strlen(real);
    char name[256] = "";
    if (size < sizeof name)
      memcpy(name, rest + skip, size);
    memmove(rest, rest + skip + size, strlen(rest + skip + size) + 1);
    if (size == 0 || strcmp(name, ".") == 0)
      continue;
    if (!is_directory) {
      errno = ENOTDIR;
      return false;
    }
    if (strcmp(name, "..") == 0) {
      if (missing) {
        errno = ENOENT;
        return false;
      }
      cut_last(real);
      continue;
    }
    if (size >= sizeof name || length + size + 2 > sizeof real) {
      errno = ENAMETOOLONG;
      return false;
    }
    if (length > 0)
      real[length++] = '/';
    memcpy(real + length, name, size + 1);
    length -= length > 0;
    struct stat st;
    int fd = missing ? -1 : look(t, real);
    if (fd < 0) {
      if (!missing && errno != ENOENT)
        return false;
      missing = true;
      continue;
    }
    bool ok = fstat(fd, &st) == 0;
    ssize_t n = ok && S_ISLNK(st.st_mode) ? readlinkat(fd, "", link, sizeof link - 1) : 0;
    close(fd);
    if (!ok || n < 0)
      return false;
    is_directory = !S_ISREG(st.st_mode) && (S_ISDIR(st.st_mode) || S_ISLNK(st.st_mode));
    if (!S_ISLNK(st.st_mode))
      continue;
    link[n] = '\0';
    size_t left = strlen(rest);
    if (++links > LINKS_MAX || (size_t)n + left + 2 > sizeof rest) {
      errno = ELOOP;
      return false;
    }
    memmove(rest + n + 1, rest, left + 1);
    memcpy(rest, link, (size_t)n);
    rest[n] = '/';
    real[link[0] == '/' ? 0 : length] = '\0';
  }
  if (real[0] == '\0') {
    errno = EINVAL;
    return false;
  }
  if (missing)
    return make(t, real, directory);
  errno = directory ? ENOTDIR : EISDIR;
  return is_directory == directory;
}

// Runtimes resolve some of these by name (see mount-points.c): whatever has another type is hidden by one that has the right one.
static bool make_fixed(const struct trees *t, char reason[REASON_SIZE]) {
  static const char *const names[] = {"dev", "proc", "sys", "etc", "etc/hosts", "etc/hostname", "etc/resolv.conf"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    bool directory = strchr(names[i], '/') == NULL;
    struct stat st;
    int fd = look(t, names[i]);
    bool there = fd >= 0 && fstat(fd, &st) == 0 && (directory ? S_ISDIR(st.st_mode) : S_ISREG(st.st_mode) || S_ISDIR(st.st_mode));
    if (fd >= 0)
      close(fd);
    if (there || make(t, names[i], directory))
      continue;
    fail(reason, "make /%s in the step's root: %s", names[i], strerror(errno));
    return false;
  }
  return true;
}

static bool is_below(const char *path, const char *parent) {
  size_t size = strlen(parent);
  return strncmp(path, parent, size) == 0 && path[size] == '/';
}

bool stubs_make(int base, int stubs, const struct seen *seen, int count, char reason[REASON_SIZE]) {
  const struct trees t = {.base = base, .stubs = stubs};
  if (!make_fixed(&t, reason))
    return false;
  for (int i = 0; i < count; i++) {
    bool inside = seen[i].target == NULL;
    // It is in another view: made there, when that is in its place.
    for (int j = 0; j < i && !inside; j++)
      inside = seen[j].target != NULL && is_below(seen[i].target, seen[j].target);
    if (inside || make_target(&t, seen[i].target, seen[i].directory))
      continue;
    fail(reason, "mount at %s: %s", seen[i].target, strerror(errno));
    return false;
  }
  return true;
}
