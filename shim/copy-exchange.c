// The content of a directory is exchanged for another by renames of its entries, while processes may use it. The directory stays the one
// that they have mounted. It may be cut at any moment and be asked for again with the same words:
//   1. what is in it moves to ASIDE.part, which becomes ASIDE when all of it is there: that ASIDE is there tells that 1 is done;
//   2. what is in FRESH moves in; the directory takes on its owner, mode, attributes and, unless it was cut, times.
// What processes make in between stays, unless FRESH has its name: then it moves to ASIDE.late. Links are never followed.

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "copy.h"

enum { ATTEMPTS = 64 };

struct place {
  int parent;
  char name[256];
};

// `path` in the directory, when it begins with its path: then by the kernel's resolver, as others may write there. -1: not there.
static int open_relative(const char *path, const char *directory, int fd) {
  size_t length = strlen(directory);
  bool inside = strncmp(path, directory, length) == 0 && path[length] == '/';
  int opened = inside ? open_resolved(fd, path + length + 1, O_RDONLY | O_DIRECTORY) : open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (opened < 0 && errno != ENOENT) fail_path("open", path);
  return opened;
}

static struct place place_of(const char *path, const char *directory, int fd) {
  char above[PATH_LIMIT];
  struct place place;
  const char *slash = strrchr(path, '/');
  if (slash == NULL || slash == path || strlen(path) >= sizeof above || strlen(slash + 1) > sizeof place.name - 8) fail(EXIT_SYSTEM, "%s is no place to move things to", path);
  memcpy(above, path, (size_t)(slash - path));
  above[slash - path] = 0;
  strcpy(place.name, slash + 1);
  place.parent = strcmp(above, directory) == 0 ? dup(fd) : open_relative(above, directory, fd);
  if (place.parent < 0) fail_path("open", above);
  return place;
}

static int open_in(const struct place *place, const char *suffix, bool make) {
  char name[264];
  snprintf(name, sizeof name, "%s%s", place->name, suffix);
  if (make && mkdirat(place->parent, name, 0700) < 0 && errno != EEXIST) fail_path("make the directory", name);
  int fd = openat(place->parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0 && (make || errno != ENOENT)) fail_path("open", name);
  return fd;
}

static int move_without_replacing(int from, const char *name, int to, const char *as) {
  if (renameat2(from, name, to, as, RENAME_NOREPLACE) == 0) return 0;
  struct stat st;
  // A file system that does not know the flag.
  if (errno != EINVAL) return -1;
  if (fstatat(to, as, &st, AT_SYMLINK_NOFOLLOW) == 0) return errno = EEXIST, -1;
  return renameat(from, name, to, as);
}

// Frees a name that somebody made meanwhile.
static void make_way(int directory, const char *name, const struct place *aside) {
  int late = open_in(aside, ".late", true);
  for (unsigned int i = 0; i < 10000; i++) {
    char as[300];
    snprintf(as, sizeof as, "%u", i);
    if (move_without_replacing(directory, name, late, as) == 0 || errno == ENOENT) {
      close(late);
      return;
    }
    if (errno != EEXIST) fail_path("move away", name);
  }
  fail(EXIT_SYSTEM, "%s comes back again and again", name);
}

// Names in the directory that are the exchange's own: FRESH, and what begins as ASIDE does.
static char own_fresh[256], own_aside[256];

// The first component of `path` in the directory, "" when it lies elsewhere.
static void name_inside(const char *path, const char *directory, char to[256]) {
  size_t length = strlen(directory);
  *to = 0;
  if (strncmp(path, directory, length) == 0 && path[length] == '/')
    snprintf(to, 256, "%.*s", (int)strcspn(path + length + 1, "/"), path + length + 1);
}

static bool is_own(const char *name) {
  return strcmp(name, own_fresh) == 0 || (*own_aside != 0 && strncmp(name, own_aside, strlen(own_aside)) == 0);
}

// Moves all but the exchange's own. A name that is there already stays where it is (`aside` is NULL) or takes the place of what is there. -1 and
// errno: it failed at `failed`.
static int move_all(int from, int to, const struct place *aside, char failed[256]) {
  size_t count;
  struct child *children = read_children(from, &count, "what is exchanged");
  int result = 0;
  for (size_t i = 0; i < count; i++) {
    const char *name = children[i].name;
    for (int attempt = 0; result == 0 && !is_own(name); attempt++) {
      if (move_without_replacing(from, name, to, name) == 0 || errno == ENOENT || (errno == EEXIST && aside == NULL)) break;
      if (errno == EEXIST && attempt < ATTEMPTS) {
        make_way(to, name, aside);
        continue;
      }
      result = errno;
      snprintf(failed, 256, "%s", name);
    }
    free(children[i].name);
  }
  free(children);
  errno = result;
  return result == 0 ? 0 : -1;
}

// Before anything is moved: what is mounted in the directory cannot be.
static void refuse_mounts(int directory) {
  size_t count;
  struct child *children = read_children(directory, &count, "what is exchanged");
  for (size_t i = 0; i < count; i++) {
    struct statx st;
    if (statx(directory, children[i].name, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT, STATX_TYPE, &st) == 0 && (st.stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0)
      fail(EXIT_BAD_ARCHIVE, "something is mounted on %s in it: that cannot be exchanged", children[i].name);
    free(children[i].name);
  }
  free(children);
}

// `st` is from before anything was moved, which changes its time.
static void take_attributes(int from, int to, const struct stat *st, const char *what) {
  static char names[1 << 16];
  ssize_t size = flistxattr(to, names, sizeof names);
  for (char *name = names; size > 0 && name < names + size; name += strlen(name) + 1)
    if (strncmp(name, "security.selinux", 16) != 0 && fgetxattr(from, name, NULL, 0) < 0 && errno == ENODATA) fremovexattr(to, name);
  put_attributes(from, to, st, what);
}

static void sync_all(int one, int other, const char *what) {
  if (fsync(one) < 0 || fsync(other) < 0) fail_path("sync", what);
}

static void put_aside(int directory, const struct place *aside, const char *path) {
  char part[264], failed[256];
  struct stat st;
  if (fstat(directory, &st) < 0) fail_path("look at", path);
  int to = open_in(aside, ".part", true);
  snprintf(part, sizeof part, "%s.part", aside->name);
  refuse_mounts(directory);
  if (move_all(directory, to, NULL, failed) < 0) {
    int error = errno;
    char ignored[256];
    // As it was.
    if (move_all(to, directory, NULL, ignored) == 0) unlinkat(aside->parent, part, AT_REMOVEDIR);
    errno = error;
    fail_path("move", failed);
  }
  take_attributes(directory, to, &st, path);
  sync_all(to, directory, path);
  if (move_without_replacing(aside->parent, part, aside->parent, aside->name) < 0) fail_path("rename", part);
  if (fsync(aside->parent) < 0) fail_path("sync", path);
  close(to);
}

void exchange(void) {
  const char *directory = next_word(), *fresh_path = next_word(), *aside_path = next_word();
  char failed[256];
  int fd = open_place(directory, "");
  if (fd < 0) fail_path("open", directory);
  // Both may lie in the directory itself, where another file system can move nothing to.
  name_inside(fresh_path, directory, own_fresh);
  name_inside(aside_path, directory, own_aside);
  struct place aside = place_of(aside_path, directory, fd);
  int fresh = open_relative(fresh_path, directory, fd), done = open_in(&aside, "", false);
  if (fresh < 0 && done < 0) fail(EXIT_NOT_FOUND, "%s: not found", fresh_path);
  if (done < 0) put_aside(fd, &aside, directory);
  if (fresh >= 0) {
    struct stat st;
    if (fstat(fresh, &st) < 0) fail_path("look at", fresh_path);
    if (move_all(fresh, fd, &aside, failed) < 0) fail_path("move", failed);
    take_attributes(fresh, fd, &st, directory);
    // For who asks again.
    const struct timespec times[2] = {st.st_atim, st.st_mtim};
    if (futimens(fresh, times) < 0) fail_path("set the times of", fresh_path);
    sync_all(fd, fresh, directory);
  }
}
