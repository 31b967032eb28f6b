// Files of an input that become a layer's without a copy: further names of the same inode. Neither side is ever written to in place:
// kept directories replace their files, and overlayfs copies a layer's up. Both trees are seen through one mount, because
// link(2) does not lead from one mount to another.

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "copy.h"

static bool sharing;

bool mount_sharing(const char *upper, const char *input, int *upper_root, int *input_root) {
  char above[PATH_LIMIT];
  size_t same = 0, length = 0;
  for (; upper[same] != 0 && upper[same] == input[same]; same++)
    if (upper[same] == '/') length = same;
  if (length == 0 || length >= sizeof above) return false;
  memcpy(above, upper, length);
  above[length] = 0;
  int root = mount_tree(above, true);
  const int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
  *upper_root = openat(root, upper + length + 1, flags);
  *input_root = openat(root, input + length + 1, flags);
  close(root);
  // What is mounted below the directory is not in the clone: there is nothing, or another file system.
  struct stat one, other;
  sharing = *upper_root >= 0 && *input_root >= 0 && fstat(*upper_root, &one) == 0 && fstat(*input_root, &other) == 0 && one.st_dev == other.st_dev;
  if (sharing) return true;
  if (*upper_root >= 0) close(*upper_root);
  if (*input_root >= 0) close(*input_root);
  return false;
}

// A file that is copied twice becomes two files: those that were given away are remembered by inode number.
static bool is_given(const struct stat *st) {
  static ino_t *given;
  static size_t capacity, filled;
  if (2 * (filled + 1) > capacity) {
    size_t size = capacity == 0 ? 1 << 12 : 2 * capacity;
    ino_t *grown = calloc(size, sizeof *grown);
    if (grown == NULL) fail(EXIT_SYSTEM, "out of memory");
    for (size_t i = 0; i < capacity; i++) {
      size_t at = (size_t)given[i] & (size - 1);
      while (given[i] != 0 && grown[at] != 0) at = (at + 1) & (size - 1);
      if (given[i] != 0) grown[at] = given[i];
    }
    free(given);
    given = grown;
    capacity = size;
  }
  size_t at = (size_t)st->st_ino & (capacity - 1);
  while (given[at] != 0 && given[at] != st->st_ino) at = (at + 1) & (capacity - 1);
  if (given[at] != 0) return true;
  given[at] = st->st_ino;
  filled++;
  return false;
}

bool share_file(int from_parent, const char *from, int parent, const char *name, const struct stat *st) {
  // A file may have too many names already, or be immutable.
  return sharing && !is_given(st) && linkat(from_parent, from, parent, name, 0) == 0;
}
