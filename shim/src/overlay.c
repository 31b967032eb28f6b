// An overlay by the way that the kernel knows: lowerdir+ (Linux 6.5), or mount(2) with paths that fit into one page.
// Sources: fsopen(2), Documentation/filesystems/overlayfs.rst.

#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "shim.h"

// sys/mount.h and linux/mount.h cannot be included together.
int mount(const char *, const char *, const char *, unsigned long, const void *);

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
static int overlay_new(const struct overlay *o, const char *target) {
  int fs = (int)syscall(SYS_fsopen, "overlay", FSOPEN_CLOEXEC);
  if (fs < 0)
    return errno == ENOSYS ? 1 : -1;
  int result = -1, mounted = -1;
  for (int i = 0; i < o->count; i++)
    if (!set_path(fs, "lowerdir+", o->lower[i])) {
      result = i == 0 && errno == EINVAL ? 1 : -1;
      goto out;
    }
  if (o->upper != NULL && (!set_path(fs, "upperdir", o->upper) || !set_path(fs, "workdir", o->work)))
    goto out;
  // What the last two leave in an upper directory is no layer's; a kernel may have them on by itself. One without them is as good.
  static const char *const unwanted[] = {"index", "redirect_dir", "metacopy"};
  for (size_t i = 0; i < (o->upper == NULL ? 1 : sizeof unwanted / sizeof *unwanted); i++)
    syscall(SYS_fsconfig, fs, FSCONFIG_SET_STRING, unwanted[i], "off", 0);
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
static int overlay_old(const struct overlay *o, const char *target) {
  char data[4096];
  const char *first = o->lower[0];
  size_t shared = strlen(first), at;
  for (int l = 0; l < o->count; l++) {
    size_t i = 0;
    while (i < shared && o->lower[l][i] == first[i])
      i++;
    shared = i;
    if (strpbrk(o->lower[l], "\\:,") != NULL) {
      errno = EINVAL;
      return -1;
    }
  }
  while (shared > 1 && first[shared - 1] != '/')
    shared--;
  snprintf(data, sizeof data, "%.*s", (int)shared, first);
  if (chdir(data) != 0)
    return -1;
  at = o->upper == NULL
           ? (size_t)snprintf(data, sizeof data, "index=off,lowerdir=")
           : (size_t)snprintf(data, sizeof data, "index=off,redirect_dir=off,metacopy=off,upperdir=%s,workdir=%s,lowerdir=",
                              o->upper, o->work);
  for (int l = 0; l < o->count && at < sizeof data; l++)
    at += (size_t)snprintf(data + at, sizeof data - at, "%s:", o->lower[l][shared] == '\0' ? "." : o->lower[l] + shared);
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

bool overlay_mount(const struct overlay *o, const char *target) {
  int result = overlay_new(o, target);
  if (result > 0)
    result = overlay_old(o, target);
  return result == 0;
}

bool overlay_layers(struct overlay *o, const struct fields *f, const char *key) {
  const char *lower;
  size_t cursor = 0;
  while ((lower = field_next(f, key, &cursor)) != NULL) {
    if (o->count == LOWER_MAX) {
      errno = E2BIG;
      return false;
    }
    o->lower[o->count++] = lower;
  }
  return true;
}
