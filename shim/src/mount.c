// The shim's own mount namespace: the root on a private mount, the network namespace's file, the hidden cgroup2 hierarchy.
// Nothing mounted here shows on the host, and yet the host's mounts keep their peer groups, so that rshared and rslave
// binds of a container work. Sources: mount_namespaces(7), move_mount(2) (MOVE_MOUNT_SET_GROUP, Linux 5.15).

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

static bool mount_overlay(const struct overlay *o, const char *target, char reason[REASON_SIZE]) {
  if (overlay_mount(o, target))
    return true;
  fail(reason, "mount overlay (upper %s) at %s: %s", o->upper == NULL ? "none" : o->upper, target, strerror(errno));
  return false;
}

// What the parent layers of a step show, as a descriptor; −1: `reason`.
static int open_base(struct shim *s, const struct overlay *o, char reason[REASON_SIZE]) {
  char point[PATH_SIZE];
  struct overlay parents = *o;
  parents.upper = parents.work = NULL;
  parents.readonly = true;
  run_path(s, "rootfs", point);
  if (o->count > 1 && !mount_overlay(&parents, point, reason))
    return -1;
  int fd = open(o->count > 1 ? point : o->lower[0], O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0)
    fail(reason, "open %s: %s", o->count > 1 ? point : o->lower[0], strerror(errno));
  // The descriptor keeps it.
  if (o->count > 1)
    umount2(point, DETACH);
  return fd;
}

// The root of a build's step: places to mount upon are in a layer of their own, views are put in their places.
static bool mount_step(struct shim *s, struct overlay *o, const char *target, char reason[REASON_SIZE]) {
  struct seen seen[VIEWS_MAX];
  int count = 0, base = -1, stubs = -1, root = -1, cwd = -1;
  bool ok = views_open(s, seen, &count, reason) && (base = open_base(s, o, reason)) >= 0;
  if (ok && (stubs = open(s->options.stubs, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)) < 0) {
    fail(reason, "open %s: %s", s->options.stubs, strerror(errno));
    ok = false;
  }
  ok = ok && stubs_make(base, stubs, seen, count, reason);
  if (ok) {
    memmove(o->lower + 1, o->lower, (size_t)o->count * sizeof *o->lower);
    o->lower[0] = s->options.stubs;
    o->count++;
    ok = mount_overlay(o, target, reason);
  }
  if (ok && (root = open(target, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)) < 0) {
    fail(reason, "open %s: %s", target, strerror(errno));
    ok = false;
  }
  ok = ok && views_place(root, seen, count, reason);
  if (ok && s->options.cwd != NULL && (cwd = confine_make(root, s->options.cwd, true, true)) < 0) {
    fail(reason, "make the working directory %s: %s", s->options.cwd, strerror(errno));
    ok = false;
  }
  views_close(seen, count);
  const int opened[] = {base, stubs, root, cwd};
  for (size_t i = 0; i < sizeof opened / sizeof *opened; i++)
    if (opened[i] >= 0)
      close(opened[i]);
  return ok;
}

bool mount_root(struct shim *s, char reason[REASON_SIZE]) {
  char target[PATH_SIZE];
  struct overlay o = {.upper = s->options.upper, .work = s->options.work, .readonly = s->options.readonly};
  run_path(s, "rootfs", target);
  if (mkdir(target, 0700) != 0 && errno != EEXIST) {
    fail(reason, "mkdir %s: %s", target, strerror(errno));
    return false;
  }
  overlay_layers(&o, &s->options.request, "lower");
  if (s->options.stubs != NULL)
    return mount_step(s, &o, target, reason);
  struct seen seen[VIEWS_MAX];
  int count = 0;
  bool ok = views_open(s, seen, &count, reason);
  views_close(seen, count); // they are in their places
  return ok && mount_overlay(&o, target, reason) && (s->options.readonly || make_points(target, reason));
}

void mount_leave(struct shim *s) {
  if (s->own_mounts && setns(s->host_mounts, CLONE_NEWNS) == 0)
    s->own_mounts = false;
  if (s->host_mounts >= 0)
    close(s->host_mounts);
  s->host_mounts = -1;
}
