// The shim's own mount namespace: the overlay on a private mount, the network namespace's file, the hidden cgroup2 hierarchy.
// Nothing mounted here shows on the host, and yet the host's mounts keep their peer groups, so that rshared and rslave
// binds of a container work. Sources: mount_namespaces(7), move_mount(2) (MOVE_MOUNT_SET_GROUP, Linux 5.15),
// fsopen(2), Documentation/filesystems/overlayfs.rst (lowerdir+, Linux 6.5).

#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <linux/stat.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "shim.h"

// sys/mount.h and linux/mount.h cannot be included together.
int mount(const char *, const char *, const char *, unsigned long, const void *);
int umount2(const char *, int);

#ifndef MOVE_MOUNT_SET_GROUP
#define MOVE_MOUNT_SET_GROUP 0x00000100
#endif
enum { DETACH = 2 };

void run_path(const struct shim *s, const char *name, char out[PATH_SIZE]) {
  snprintf(out, PATH_SIZE, "%s/%s", s->options.run_dir, name);
}

// The root of the mount that holds `path`, by cutting components until the device or the mount changes.
static bool mount_point(const char *path, char out[PATH_SIZE]) {
  snprintf(out, PATH_SIZE, "%s", path);
  for (;;) {
    struct statx x;
    if (syscall(SYS_statx, AT_FDCWD, out, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT, 0, &x) != 0)
      return false;
    if (x.stx_attributes & STATX_ATTR_MOUNT_ROOT)
      return true;
    char *slash = strrchr(out, '/');
    if (slash == NULL)
      return false;
    slash[slash == out] = '\0';
  }
}

bool mount_private(struct shim *s, char reason[REASON_SIZE]) {
  char real[PATH_SIZE], point[PATH_SIZE], link[64];
  snprintf(link, sizeof link, "/proc/self/fd/%d", s->run_fd);
  ssize_t n = readlink(link, real, sizeof real - 1);
  if (n <= 0) {
    fail(reason, "resolve %s: %s", s->options.run_dir, strerror(errno));
    return false;
  }
  real[n] = '\0';
  if (!mount_point(real, point)) {
    fail(reason, "find the mount of %s: %s", real, strerror(errno));
    return false;
  }
  int before = open(point, O_PATH | O_CLOEXEC);
  s->host_mounts = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
  if (before < 0 || s->host_mounts < 0 || unshare(CLONE_NEWNS) != 0) {
    fail(reason, "make a mount namespace: %s", strerror(errno));
    close(before);
    return false;
  }
  s->own_mounts = true;
  bool ok = mount(NULL, point, NULL, MS_PRIVATE, NULL) == 0 && mount(real, real, NULL, MS_BIND, NULL) == 0 &&
            mount(NULL, real, NULL, MS_PRIVATE, NULL) == 0;
  if (!ok)
    fail(reason, "make a private mount at %s: %s", real, strerror(errno));
  // Our copy of the mount rejoins its peers; the bind on it does not. Where the kernel is too old it stays apart.
  int after = open(point, O_PATH | O_CLOEXEC);
  if (after >= 0)
    syscall(SYS_move_mount, before, "", after, "",
            MOVE_MOUNT_SET_GROUP | MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH);
  close(after);
  close(before);
  if (ok && s->options.hides_unified && !mount_hide_unified()) {
    fail(reason, "hide /sys/fs/cgroup/unified: %s", strerror(errno));
    ok = false;
  }
  return ok;
}

bool mount_hide_unified(void) {
  static const char unified[] = "/sys/fs/cgroup/unified";
  if (mount(NULL, "/sys/fs/cgroup", NULL, MS_PRIVATE, NULL) != 0)
    return errno == EINVAL || errno == ENOENT; // not a hybrid host after all
  // The new mount's parent is the hierarchy itself: shared, it would carry the mount to the host.
  if (mount(NULL, unified, NULL, MS_PRIVATE, NULL) != 0)
    return errno == EINVAL || errno == ENOENT;
  // Not a bind of something that is there: the runtime makes a directory in it for every container.
  return mount("gantry", unified, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=700,size=1m") == 0;
}

// fsconfig takes values of at most 255 bytes; a longer path goes through a descriptor.
static bool set_path(int fs, const char *key, const char *path) {
  char link[64];
  int fd = -1;
  if (strlen(path) > 255 || strpbrk(path, "\\:,") != NULL) {
    fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
      return false;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    path = link;
  }
  bool ok = syscall(SYS_fsconfig, fs, FSCONFIG_SET_STRING, key, path, 0) == 0;
  int error = errno;
  close(fd);
  errno = error;
  return ok;
}

// 0: mounted; −1: failed, errno; 1: the kernel does not know this way.
static int overlay_new(const struct options *o, const char *target) {
  const char *lower;
  size_t cursor = 0;
  int layers = 0;
  int fs = (int)syscall(SYS_fsopen, "overlay", FSOPEN_CLOEXEC);
  if (fs < 0)
    return errno == ENOSYS ? 1 : -1;
  int result = -1, mounted = -1;
  while ((lower = field_next(&o->request, "lower", &cursor)) != NULL) {
    if (!set_path(fs, "lowerdir+", lower)) {
      result = layers == 0 && errno == EINVAL ? 1 : -1;
      goto out;
    }
    layers++;
  }
  if (!set_path(fs, "upperdir", o->upper) || !set_path(fs, "workdir", o->work))
    goto out;
  syscall(SYS_fsconfig, fs, FSCONFIG_SET_STRING, "index", "off", 0);
  // The file system itself: a runtime's remount would undo a read-only mount.
  if (o->readonly && syscall(SYS_fsconfig, fs, FSCONFIG_SET_FLAG, "ro", NULL, 0) != 0)
    goto out;
  if (syscall(SYS_fsconfig, fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) != 0) {
    // Before Linux 6.5 overlay takes any key without a word and complains only now.
    result = errno == EINVAL ? 1 : -1;
    goto out;
  }
  mounted = (int)syscall(SYS_fsmount, fs, FSMOUNT_CLOEXEC, 0);
  if (mounted >= 0 && syscall(SYS_move_mount, mounted, "", AT_FDCWD, target, MOVE_MOUNT_F_EMPTY_PATH) == 0)
    result = 0;
out:;
  int error = errno;
  close(mounted);
  close(fs);
  errno = error;
  return result;
}

// mount(2) takes one page of options: paths are given relative to the deepest directory that all layers share.
static int overlay_old(const struct options *o, const char *target) {
  char data[4096];
  const char *lower, *first = field_get(&o->request, "lower");
  size_t cursor = 0, shared = strlen(first), at;
  while ((lower = field_next(&o->request, "lower", &cursor)) != NULL) {
    size_t i = 0;
    while (i < shared && lower[i] == first[i])
      i++;
    shared = i;
    if (strpbrk(lower, "\\:,") != NULL) {
      errno = EINVAL;
      return -1;
    }
  }
  while (shared > 1 && first[shared - 1] != '/')
    shared--;
  snprintf(data, sizeof data, "%.*s", (int)shared, first);
  if (chdir(data) != 0)
    return -1;
  at = (size_t)snprintf(data, sizeof data, "index=off,upperdir=%s,workdir=%s,lowerdir=", o->upper, o->work);
  cursor = 0;
  while ((lower = field_next(&o->request, "lower", &cursor)) != NULL && at < sizeof data)
    at += (size_t)snprintf(data + at, sizeof data - at, "%s:", lower[shared] == '\0' ? "." : lower + shared);
  int result = -1;
  if (at >= sizeof data) {
    errno = E2BIG;
  } else {
    data[at - 1] = '\0';
    result = mount("overlay", target, "overlay", o->readonly ? MS_RDONLY : 0, data);
  }
  int error = errno;
  if (chdir("/") != 0)
    return -1;
  errno = error;
  return result;
}

static bool make_points(const char *target, char reason[REASON_SIZE]) {
  int root = open(target, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (root < 0) {
    fail(reason, "open %s: %s", target, strerror(errno));
    return false;
  }
  bool ok = mount_points_make(root, reason);
  close(root);
  return ok;
}

bool mount_root(struct shim *s, char reason[REASON_SIZE]) {
  char target[PATH_SIZE];
  run_path(s, "rootfs", target);
  if (mkdir(target, 0700) != 0 && errno != EEXIST) {
    fail(reason, "mkdir %s: %s", target, strerror(errno));
    return false;
  }
  int result = overlay_new(&s->options, target);
  if (result > 0)
    result = overlay_old(&s->options, target);
  if (result != 0)
    fail(reason, "mount overlay (upper %s) at %s: %s", s->options.upper, target, strerror(errno));
  return result == 0 && (s->options.readonly || make_points(target, reason));
}

void mount_leave(struct shim *s) {
  if (s->own_mounts && setns(s->host_mounts, CLONE_NEWNS) == 0)
    s->own_mounts = false;
  if (s->host_mounts >= 0)
    close(s->host_mounts);
  s->host_mounts = -1;
}
