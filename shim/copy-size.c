// How many bytes are in a tree: sizes of everything but directories, files with several names once, as dockerd counts them.

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "copy.h"

// A descriptor for each level.
enum { DEEPEST = 8000 };

static uint64_t total;

static void add_directory(int fd, unsigned int depth) {
  size_t count, directories = 0;
  if (depth > DEEPEST) fail(EXIT_LIMIT, "directories nested too deeply");
  struct child *children = read_children(fd, &count, "the tree");
  for (size_t i = 0; i < count; i++) {
    struct stat st;
    bool there = fstatat(fd, children[i].name, &st, AT_SYMLINK_NOFOLLOW) == 0;
    if (there && S_ISDIR(st.st_mode)) {
      children[directories++] = children[i];
      continue;
    }
    if (there && st.st_size > 0 && first_name(&st, "") == NULL) total += (uint64_t)st.st_size;
    free(children[i].name);
  }
  for (size_t i = 0; i < directories; i++) {
    int child = openat(fd, children[i].name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    free(children[i].name);
    if (child < 0 && errno != ENOENT && errno != ENOTDIR && errno != ELOOP) fail_path("open a directory in", "the tree");
    if (child < 0) continue;
    add_directory(child, depth + 1);
    close(child);
  }
  free(children);
}

void print_size(void) {
  add_directory(mount_tree(next_word(), false), 0);
  printf("%llu\n", (unsigned long long)total);
}
