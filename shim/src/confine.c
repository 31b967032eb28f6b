// Paths inside of a tree that somebody else may have filled, or is changing at this moment: resolved by the kernel as if the tree's
// root were "/", and held by a descriptor. Source: openat2(2), Linux 5.6.

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "shim.h"

enum { CONFINE_TRIES = 100 };

static int resolve(int root, const char *path, uint64_t flags, uint64_t how_to) {
  struct open_how how = {.flags = O_PATH | O_CLOEXEC | flags, .resolve = how_to};
  int fd = -1;
  // EAGAIN: something was renamed while a ".." was resolved.
  for (int i = 0; i < CONFINE_TRIES; i++) {
    fd = (int)syscall(SYS_openat2, root, path, &how, sizeof how);
    if (fd >= 0 || errno != EAGAIN)
      break;
  }
  return fd;
}

int confine_open(int root, const char *path) {
  return resolve(root, path, 0, RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS);
}

int confine_entry(int root, const char *path) {
  return resolve(root, path, O_NOFOLLOW, RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV);
}

static bool make_last(int parent, const char *name, bool directory) {
  if (directory)
    return mkdirat(parent, name, 0755) == 0 || errno == EEXIST;
  int fd = openat(parent, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
  if (fd < 0)
    return errno == EEXIST;
  close(fd);
  return true;
}

int confine_make(int root, const char *path, bool directory, bool on_root) {
  char prefix[PATH_SIZE];
  struct stat top, st;
  int fd = confine_open(root, path), parent;
  if (fd >= 0 || errno != ENOENT || strlen(path) >= sizeof prefix || fstat(root, &top) != 0)
    return fd;
  if ((parent = confine_open(root, ".")) < 0)
    return -1;
  for (const char *at = path; *at != '\0';) {
    at += strspn(at, "/");
    size_t size = strcspn(at, "/"), end = (size_t)(at - path) + size;
    bool last = at[size + strspn(at + size, "/")] == '\0';
    if (size == 0)
      break;
    memcpy(prefix, path, end);
    prefix[end] = '\0';
    fd = confine_open(root, prefix);
    if (fd < 0 && errno == ENOENT) {
      errno = ENOENT;
      if (fstat(parent, &st) != 0 || (!on_root && st.st_dev == top.st_dev) ||
          !make_last(parent, prefix + (at - path), !last || directory))
        break;
      fd = confine_open(root, prefix);
    }
    if (fd < 0)
      break;
    close(parent);
    parent = fd;
    at += size;
    if (last)
      return parent;
  }
  int error = errno;
  close(parent);
  errno = error;
  return -1;
}
