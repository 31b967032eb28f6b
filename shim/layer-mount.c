// How a tree is looked at: through a mount of its own, read-only and without devices, attached to nothing, so that nobody
// sees it and it vanishes with its descriptor. Only the old ways of mounting need a place, in a mount namespace of their own.
// Sources: open_tree(2), mount_setattr(2) (Linux 5.12), fsopen(2), Documentation/filesystems/overlayfs.rst
// (lowerdir+, Linux 6.5; index=off allows the upper directory of a running container).

#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "layer.h"

// sys/mount.h and linux/mount.h cannot be included together.
int mount(const char *, const char *, const char *, unsigned long, const void *);
enum { READ_ONLY = 1, NO_SUID = 2, NO_DEVICES = 4, NO_EXEC = 8, REMOUNT = 32, BIND = 4096, RECURSIVE = 16384, PRIVATE = 1 << 18 };
#define QUIET_ATTRIBUTES (MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC | MOUNT_ATTR_NOATIME)

static int open_root(int mounted, const char *what) {
  int root = openat(mounted, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (root < 0) fail_errno("open", what);
  return root;
}

// The old ways leave no detached trees.
static bool is_attached;

void enter_namespace(void) {
  if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, PRIVATE | RECURSIVE, NULL) < 0)
    fail(EXIT_SYSTEM, "mount namespace: %s", strerror(errno));
}

static int open_mounted(const char *directory) {
  int mounted = open(directory, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (mounted < 0) fail_errno("open", directory);
  return mounted;
}

static int bind_old(const char *directory, bool writable) {
  enter_namespace();
  if (mount(directory, directory, NULL, BIND, NULL) < 0 ||
      mount(NULL, directory, NULL, BIND | REMOUNT | (writable ? 0 : READ_ONLY) | NO_SUID | NO_DEVICES | NO_EXEC, NULL) < 0)
    fail(EXIT_SYSTEM, "mount %s: %s", directory, strerror(errno));
  return open_mounted(directory);
}

int mount_tree(const char *directory, bool writable) {
  int source = open_mounted(directory);
  int tree = (int)syscall(SYS_open_tree, source, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH);
  if (tree < 0 && errno != ENOSYS) fail(EXIT_SYSTEM, "mount %s: %s", directory, strerror(errno));
  struct mount_attr attributes = {.attr_set = (writable ? 0 : MOUNT_ATTR_RDONLY) | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC};
  if (tree >= 0 && syscall(SYS_mount_setattr, tree, "", AT_EMPTY_PATH, &attributes, sizeof attributes) == 0) return open_root(tree, directory);
  if (errno != ENOSYS) fail(EXIT_SYSTEM, "mount %s read-only: %s", directory, strerror(errno));
  return open_root(bind_old(directory, writable), directory);
}

// fsconfig takes values of at most 255 bytes: a path goes through a descriptor.
static bool set_path(int fs, const char *key, const char *directory) {
  int fd = open(directory, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0) fail_errno("open", directory);
  char link[64];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  bool ok = syscall(SYS_fsconfig, fs, FSCONFIG_SET_STRING, key, link, 0) == 0;
  int error = errno;
  close(fd);
  errno = error;
  return ok;
}

// -1: this kernel does not know this way.
static int mount_new(char *const *directories, size_t count, const char *upper, const char *work) {
  int fs = (int)syscall(SYS_fsopen, "overlay", FSOPEN_CLOEXEC);
  if (fs < 0) return -1;
  for (size_t i = 0; i < count; i++) {
    if (set_path(fs, "lowerdir+", directories[i])) continue;
    if (i == 0 && errno == EINVAL) return -1;
    fail(EXIT_SYSTEM, "overlay of %s: %s", directories[i], strerror(errno));
  }
  if (upper != NULL && (!set_path(fs, "upperdir", upper) || !set_path(fs, "workdir", work)))
    fail(EXIT_SYSTEM, "overlay of %s: %s", upper, strerror(errno));
  // What these would put into an upper directory is no layer's.
  static const char *const unwanted[] = {"index", "redirect_dir", "metacopy"};
  for (size_t i = 0; i < (upper == NULL ? 1 : sizeof unwanted / sizeof *unwanted); i++)
    syscall(SYS_fsconfig, fs, FSCONFIG_SET_STRING, unwanted[i], "off", 0);
  if (syscall(SYS_fsconfig, fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0) {
    // Before Linux 6.5 overlay takes any key without a word and complains only now.
    if (errno == EINVAL) return -1;
    fail(EXIT_SYSTEM, "overlay of %s: %s", directories[0], strerror(errno));
  }
  int mounted = (int)syscall(SYS_fsmount, fs, FSMOUNT_CLOEXEC, QUIET_ATTRIBUTES | (upper == NULL ? MOUNT_ATTR_RDONLY : 0));
  if (mounted < 0) fail(EXIT_SYSTEM, "overlay of %s: %s", directories[0], strerror(errno));
  close(fs);
  return mounted;
}

// One page of options: paths are relative to the deepest directory that all of them share.
static int mount_old(char *const *directories, size_t count, const char *upper, const char *work) {
  char options[4096], shared_path[PATH_LIMIT];
  if (upper != NULL) snprintf(options, sizeof options, "index=off,redirect_dir=off,metacopy=off,upperdir=%s,workdir=%s,lowerdir=", upper, work);
  else strcpy(options, "index=off,lowerdir=");
  size_t shared = strlen(directories[0]), at = strlen(options);
  for (size_t i = 0; i < count; i++) {
    size_t same = 0;
    while (same < shared && directories[i][same] == directories[0][same]) same++;
    shared = same;
    if (strpbrk(directories[i], "\\:,") != NULL) fail(EXIT_SYSTEM, "overlay of %s: this kernel takes no such path", directories[i]);
  }
  while (shared > 1 && directories[0][shared - 1] != '/') shared--;
  if (shared >= sizeof shared_path) fail(EXIT_SYSTEM, "overlay: too long a path");
  memcpy(shared_path, directories[0], shared);
  shared_path[shared] = 0;
  for (size_t i = 0; i < count && at < sizeof options; i++)
    at += (size_t)snprintf(options + at, sizeof options - at, "%s%s", i == 0 ? "" : ":", directories[i] + shared);
  if (at >= sizeof options) fail(EXIT_SYSTEM, "overlay: the paths of the layers are too long for this kernel");
  enter_namespace();
  is_attached = true;
  if (chdir(shared_path) < 0) fail_errno("change to", shared_path);
  if (mount("overlay", directories[0], "overlay", (upper == NULL ? READ_ONLY : 0) | NO_SUID | NO_DEVICES | NO_EXEC, options) < 0)
    fail(EXIT_SYSTEM, "overlay of %s: %s", directories[0], strerror(errno));
  return open_mounted(directories[0]);
}

int mount_overlay(char *const *directories, size_t count, const char *upper, const char *work) {
  int mounted = mount_new(directories, count, upper, work);
  if (mounted < 0) mounted = mount_old(directories, count, upper, work);
  return open_root(mounted, directories[0]);
}

int mount_scratch_overlay(char *const *directories, size_t count, const char *place) {
  char upper[PATH_LIMIT], work[PATH_LIMIT];
  int n = snprintf(upper, sizeof upper, "%s/upper", place), m = snprintf(work, sizeof work, "%s/work", place);
  if (n >= (int)sizeof upper || m >= (int)sizeof work) fail(EXIT_SYSTEM, "%s: too long a path", place);
  if (mount("tmpfs", place, "tmpfs", NO_SUID | NO_DEVICES | NO_EXEC, "mode=700,size=16m") < 0 || mkdir(upper, 0755) < 0 || mkdir(work, 0700) < 0)
    fail(EXIT_SYSTEM, "mount a scratch directory: %s", strerror(errno));
  return mount_overlay(directories, count, upper, work);
}

void attach_tree(int root, const char *place) {
  if (!is_attached && syscall(SYS_move_mount, root, "", AT_FDCWD, place, MOVE_MOUNT_F_EMPTY_PATH) < 0)
    fail(EXIT_SYSTEM, "mount the tree: %s", strerror(errno));
}

void make_read_only(int root) {
  struct mount_attr attributes = {.attr_set = MOUNT_ATTR_RDONLY};
  if (syscall(SYS_mount_setattr, root, "", AT_EMPTY_PATH, &attributes, sizeof attributes) < 0)
    fail(EXIT_SYSTEM, "make the tree read-only: %s", strerror(errno));
}
