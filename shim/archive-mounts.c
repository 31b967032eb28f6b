// A stopped container's tree: its overlay, and on it what it would have mounted, in a mount namespace of this program alone. Sources'
// subpaths and targets are resolved confined, and held by descriptors until they are mounted. A place that is missing is made
// as the runtime would make it: in the container's writable layer, or where nobody sees it when the view is only read.

#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "archive.h"

enum { DIRECTORIES_LIMIT = 512, MOUNTS_LIMIT = 4096 };

struct place {
  const char *target;
  int tree; // detached; -1: its source is gone
  bool is_directory;
};

static int clone_source(const char *source, const char *subpath, bool read_only, bool *is_directory) {
  struct stat st;
  int fd = open(source, O_PATH | O_CLOEXEC);
  if (fd >= 0 && *subpath != 0) {
    int below = open_in(fd, subpath, O_PATH);
    close(fd);
    fd = below;
  }
  if (fd < 0 && (errno == ENOENT || errno == ENOTDIR)) return -1;
  if (fd < 0 || fstat(fd, &st) < 0) fail(EXIT_SYSTEM, "open %s of %s: %s", subpath, source, strerror(errno));
  *is_directory = S_ISDIR(st.st_mode);
  int tree = (int)syscall(SYS_open_tree, fd, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH | AT_RECURSIVE);
  struct mount_attr attributes = {.attr_set = (read_only ? MOUNT_ATTR_RDONLY : 0) | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC};
  if (tree < 0 || syscall(SYS_mount_setattr, tree, "", AT_EMPTY_PATH | AT_RECURSIVE, &attributes, sizeof attributes) < 0)
    fail(EXIT_SYSTEM, "mount %s: %s", source, strerror(errno));
  close(fd);
  return tree;
}

// Makes what is missing of a target; -1: something else is in the way.
static int make_target(int root, const char *target, bool is_directory) {
  char resolved[PATH_LIMIT], part[PATH_LIMIT];
  resolve_path(root, target, true, resolved);
  for (char *end = resolved; *end != 0;) {
    end += *end == '/';
    end += strcspn(end, "/");
    size_t length = (size_t)(end - resolved);
    memcpy(part, resolved, length);
    part[length] = 0;
    struct stat st;
    if (stat_resolved(root, part, &st) == 0) continue;
    const char *name;
    int parent = open_parent_of(root, part, &name);
    if (parent < 0) return -1;
    int made = *end != 0 || is_directory ? mkdirat(parent, name, 0755) : mknodat(parent, name, S_IFREG | 0644, 0);
    if (made < 0 && errno == EROFS) fail(EXIT_READ_ONLY, "make %s: %s", target, strerror(errno));
    close(parent);
    if (made < 0 && errno != EEXIST) return -1;
  }
  return open_in(root, target, O_PATH);
}

static void attach(int root, const struct place *place) {
  struct stat st;
  int fd = open_in(root, place->target, O_PATH);
  if (fd < 0 && errno == ENOENT) fd = make_target(root, place->target, place->is_directory);
  if (fd < 0) return;
  if (fstat(fd, &st) == 0 && S_ISDIR(st.st_mode) == place->is_directory &&
      syscall(SYS_move_mount, place->tree, "", fd, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0)
    fail(EXIT_SYSTEM, "mount on %s: %s", place->target, strerror(errno));
  close(fd);
  close(place->tree);
}

static void read_places(struct place places[MOUNTS_LIMIT], size_t count) {
  for (size_t i = 0; i < count; i++) {
    const char *source = next_word(), *subpath = next_word();
    places[i].target = next_word();
    places[i].tree = clone_source(source, subpath, strcmp(next_word(), "ro") == 0, &places[i].is_directory);
  }
}

int mount_stopped(void) {
  static char *directories[DIRECTORIES_LIMIT];
  static struct place places[MOUNTS_LIMIT];
  bool read_only = strcmp(next_word(), "ro") == 0;
  directories[0] = (char *)next_word();
  const char *work = next_word();
  size_t lowers = (size_t)next_number();
  if (lowers + 1 > DIRECTORIES_LIMIT) fail(EXIT_LIMIT, "more than %d layers", DIRECTORIES_LIMIT - 1);
  for (size_t i = 1; i <= lowers; i++) directories[i] = (char *)next_word();
  size_t count = (size_t)next_number();
  if (count > MOUNTS_LIMIT) fail(EXIT_LIMIT, "more than %d mounts", MOUNTS_LIMIT);
  if (count > 0) enter_namespace();
  read_places(places, count);
  int root;
  if (!read_only) root = mount_overlay(directories + 1, lowers, directories[0], work);
  else if (count > 0) root = mount_scratch_overlay(directories, lowers + 1, work);
  else root = mount_overlay(directories, lowers + 1, NULL, NULL);
  if (count == 0) return root;
  attach_tree(root, directories[0]);
  for (size_t i = 0; i < count; i++)
    if (places[i].tree >= 0) attach(root, &places[i]);
  if (read_only) make_read_only(root);
  return root;
}
