// Confinement. A path is walked here, link by link, below the root, as chroot would have it; what comes out has no link in it,
// and the kernel's resolver (openat2, Linux 5.6) is told to meet none. So nothing is ever followed out of a tree.

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "layer.h"

enum { LINKS_LIMIT = 255 };

bool crosses_mounts;

int open_resolved(int root, const char *path, int flags) {
  struct open_how how = {
      .flags = (uint64_t)(flags | O_NOFOLLOW | O_CLOEXEC),
      .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS | (crosses_mounts ? 0 : RESOLVE_NO_XDEV),
  };
  // With O_PATH and O_NOFOLLOW the last component may be a link.
  if ((flags & O_PATH) != 0) how.resolve &= ~(uint64_t)RESOLVE_NO_SYMLINKS;
  long fd;
  do fd = syscall(SYS_openat2, root, *path == 0 ? "." : path, &how, sizeof how);
  while (fd < 0 && (errno == EINTR || errno == EAGAIN));
  return (int)fd;
}

int stat_resolved(int root, const char *path, struct stat *st) {
  int fd = open_resolved(root, path, O_PATH);
  if (fd < 0) return -1;
  int result = fstat(fd, st);
  int error = errno;
  close(fd);
  errno = error;
  return result;
}

void append_name(char path[PATH_LIMIT], const char *name) {
  size_t length = strlen(path);
  int n = snprintf(path + length, PATH_LIMIT - length, "%s%s", length == 0 ? "" : "/", name);
  if (length + (size_t)n >= PATH_LIMIT) fail(EXIT_LIMIT, "%.60s…: a path is longer than %d bytes", path, PATH_LIMIT - 1);
}

// In the directory `path`, the link `name`'s target, in front of `rest`; false: it is no link, or not there.
static bool read_link(int root, const char *path, const char *name, char rest[2 * PATH_LIMIT]) {
  char target[PATH_LIMIT];
  int directory = open_resolved(root, path, O_PATH | O_DIRECTORY);
  if (directory < 0) return false;
  ssize_t length = readlinkat(directory, name, target, sizeof target - 1);
  close(directory);
  if (length < 0) return false;
  size_t after = strlen(rest);
  if (after >= PATH_LIMIT) fail(EXIT_LIMIT, "%.60s…: a path is longer than %d bytes", path, PATH_LIMIT - 1);
  memmove(rest + length + 1, rest, after + 1);
  memcpy(rest, target, (size_t)length);
  rest[length] = '/';
  return true;
}

void resolve_path(int root, const char *path, bool follow, char to[PATH_LIMIT]) {
  char rest[2 * PATH_LIMIT];
  unsigned int links = 0;
  if (snprintf(rest, sizeof rest, "%s", path) >= PATH_LIMIT) fail(EXIT_LIMIT, "%.60s…: a path is longer than %d bytes", path, PATH_LIMIT - 1);
  *to = 0;
  while (*rest != 0) {
    char name[256];
    size_t n = strcspn(rest, "/"), skip = n + strspn(rest + n, "/");
    if (n >= sizeof name) fail(EXIT_BAD_ARCHIVE, "%s: file name too long", path);
    memcpy(name, rest, n);
    name[n] = 0;
    bool last = rest[skip] == 0;
    memmove(rest, rest + skip, strlen(rest + skip) + 1);
    if (n == 0 || strcmp(name, ".") == 0) continue;
    if (strcmp(name, "..") == 0) {
      char *slash = strrchr(to, '/');
      *(slash == NULL ? to : slash) = 0;
      continue;
    }
    if ((follow || !last) && read_link(root, to, name, rest)) {
      if (++links > LINKS_LIMIT) fail(EXIT_BAD_ARCHIVE, "%s: too many levels of symbolic links", path);
      if (*rest == '/') *to = 0;
      continue;
    }
    append_name(to, name);
  }
}

int open_parent_of(int root, const char *path, const char **name) {
  char directory[PATH_LIMIT];
  const char *slash = strrchr(path, '/');
  size_t length = slash == NULL ? 0 : (size_t)(slash - path);
  *name = *path == 0 ? "." : slash == NULL ? path : slash + 1;
  memcpy(directory, path, length);
  directory[length] = 0;
  return open_resolved(root, directory, O_RDONLY | O_DIRECTORY);
}
