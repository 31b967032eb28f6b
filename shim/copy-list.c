// What copies of whole trees share: names in a directory, the place that is written to, and how a full disk is told.

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "copy.h"

void fail_path(const char *what, const char *path) {
  if (errno == ENOSPC || errno == EDQUOT) fail(EXIT_FULL, "%s %s: %s", what, path, strerror(errno));
  fail_errno(what, path);
}

int open_place(const char *base, const char *below) {
  int fd = open(base, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0 || *below == 0) return fd;
  int place = open_resolved(fd, below, O_RDONLY | O_DIRECTORY);
  int error = errno;
  close(fd);
  errno = error;
  return place;
}

// Of one directory: who fills it may have more room on the disk than there is memory.
enum { NAMES_LIMIT = 256 << 20 };

static int by_inode(const void *a, const void *b) {
  ino_t one = ((const struct child *)a)->ino, other = ((const struct child *)b)->ino;
  return one < other ? -1 : one > other;
}

struct child *read_children(int directory, size_t *count, const char *what) {
  int fd = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR *dir = fd < 0 ? NULL : fdopendir(fd);
  struct child *children = NULL;
  size_t room = 0, bytes = 0;
  *count = 0;
  if (dir == NULL) {
    // Removed while it is open.
    if (errno == ENOENT) return NULL;
    fail_path("read the directory", what);
  }
  errno = 0;
  for (struct dirent *entry; (entry = readdir(dir)) != NULL; errno = 0) {
    if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
    bytes += sizeof *children + strlen(entry->d_name) + 1;
    if (bytes > NAMES_LIMIT) fail(EXIT_LIMIT, "%s: a directory in it has too many entries", what);
    if (*count == room) {
      room = room == 0 ? 16 : 2 * room;
      if ((children = realloc(children, room * sizeof *children)) == NULL) fail(EXIT_SYSTEM, "out of memory");
    }
    children[*count] = (struct child){entry->d_ino, strdup(entry->d_name)};
    if (children[(*count)++].name == NULL) fail(EXIT_SYSTEM, "out of memory");
  }
  if (errno != 0 && errno != ENOENT) fail_path("read the directory", what);
  closedir(dir);
  if (*count > 1) qsort(children, *count, sizeof *children, by_inode);
  return children;
}
