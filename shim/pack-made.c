// What the engine itself puts into a container's root, so that there is something to mount on (src/mount-points.c): no change of
// the container's, and not in its layer. dockerd keeps the same files in a layer of its own that it leaves out.

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "pack.h"

static char *const *lower_directories;
static size_t lower_count;

void set_lower(char *const *directories, size_t count) {
  lower_directories = directories;
  lower_count = count;
}

static bool is_among(const char *path, const char *const *paths) {
  while (*paths != NULL && strcmp(path, *paths) != 0) paths++;
  return *paths != NULL;
}

static bool is_roots(const struct stat *st) { return (st->st_mode & 07777) == 0755 && st->st_uid == 0 && st->st_gid == 0; }

// Every child is one of the engine's; none is needed.
static bool holds_only_made(int fd, const char *path) {
  int copy = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR *dir = copy < 0 ? NULL : fdopendir(copy);
  if (dir == NULL) return false;
  bool only = true;
  for (struct dirent *child; only && (child = readdir(dir)) != NULL;) {
    if (strcmp(child->d_name, ".") == 0 || strcmp(child->d_name, "..") == 0) continue;
    char below[512];
    struct stat st;
    int n = snprintf(below, sizeof below, "%s%s%s", path, *path == 0 ? "" : "/", child->d_name);
    only = n < (int)sizeof below && fstatat(copy, child->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && is_made(copy, child->d_name, below, &st);
  }
  closedir(dir);
  return only;
}

// As what it covers; where it covers nothing, as the engine makes it.
static bool is_unchanged(const char *path, const struct stat *st) {
  for (size_t i = 0; i < lower_count; i++) {
    struct stat under;
    int fd = open(lower_directories[i], O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) fail_errno("open", lower_directories[i]);
    bool found = fstatat(fd, path, &under, AT_SYMLINK_NOFOLLOW) == 0;
    close(fd);
    if (found && S_ISDIR(under.st_mode)) return under.st_mode == st->st_mode && under.st_uid == st->st_uid && under.st_gid == st->st_gid;
    if (found) break;
  }
  return is_roots(st);
}

bool is_made(int parent, const char *name, const char *path, const struct stat *st) {
  static const char *const files[] = {".dockerenv", "etc/hosts", "etc/hostname", "etc/resolv.conf", NULL};
  static const char *const directories[] = {"dev", "proc", "sys", "etc", NULL};
  if (S_ISREG(st->st_mode)) return st->st_size == 0 && st->st_nlink == 1 && st->st_uid == 0 && is_among(path, files);
  if (S_ISLNK(st->st_mode)) {
    char link[16];
    return strcmp(path, "etc/mtab") == 0 && readlinkat(parent, name, link, sizeof link) == 12 && memcmp(link, "/proc/mounts", 12) == 0;
  }
  if (!S_ISDIR(st->st_mode) || !is_among(path, directories) || !is_unchanged(path, st)) return false;
  int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  bool only = fd >= 0 && holds_only_made(fd, path);
  if (fd >= 0) close(fd);
  return only;
}

bool is_empty_root(int root, const struct stat *st) { return is_unchanged(".", st) && holds_only_made(root, ""); }
