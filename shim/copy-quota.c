// Limits of trees by project quotas: a directory gets a project id of its own, which everything made in it inherits, and the file system
// keeps count. Ids are taken at random from a range of our own, where nothing is counted and nothing limited: no list of them is kept.
// Sources: quotactl(2), quotactl_fd(2) (Linux 5.14), ioctl_xfs_fsgetxattr(2), Documentation/filesystems/ext4, xfs.

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/dqblk_xfs.h>
#include <linux/fs.h>
#include <linux/quota.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "copy.h"

#ifndef SYS_quotactl_fd
#define SYS_quotactl_fd 443
#endif

// Far from the small numbers of /etc/projid, and from those that others count up from.
enum { FIRST_ID = 0x40000000, IDS = 0x40000000, TRIES = 64, UNIT = 512 };

static long control(int directory, unsigned command, uint32_t id, void *argument) {
  long result = syscall(SYS_quotactl_fd, directory, QCMD(command, PRJQUOTA), id, argument);
  if (result == 0 || errno != ENOSYS) return result;
  // An older kernel wants the block device, or has no quotas at all.
  char device[64];
  struct stat st;
  if (fstat(directory, &st) < 0) return -1;
  snprintf(device, sizeof device, "/dev/block/%u:%u", major(st.st_dev), minor(st.st_dev));
  return syscall(SYS_quotactl, QCMD(command, PRJQUOTA), device, id, argument);
}

static int open_directory(const char *path) {
  int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0) fail_errno("open", path);
  return fd;
}

static bool is_ours(const struct fsxattr *x) {
  return (x->fsx_xflags & FS_XFLAG_PROJINHERIT) != 0 && x->fsx_projid >= FIRST_ID && x->fsx_projid - FIRST_ID < IDS;
}

// Prints what there is: "ok", "attributes" (the file system has no project ids), "project N" (the directory is in one already),
// "off" (nothing is limited).
static void print_state(const char *path) {
  struct fs_quota_stat state = {0};
  struct fsxattr x;
  int directory = open_directory(path);
  if (ioctl(directory, FS_IOC_FSGETXATTR, &x) < 0) {
    if (errno != ENOTTY && errno != EOPNOTSUPP && errno != EINVAL) fail_errno("look at", path);
    puts("attributes");
  } else if ((x.fsx_xflags & FS_XFLAG_PROJINHERIT) != 0 && !is_ours(&x)) {
    printf("project %" PRIu32 "\n", x.fsx_projid);
  } else {
    bool works = control(directory, Q_XGETQSTAT, 0, &state) == 0 && (state.qs_flags & FS_QUOTA_PDQ_ENFD) != 0;
    puts(works ? "ok" : "off");
  }
}

static bool is_free(int directory, uint32_t id, const char *path) {
  struct fs_disk_quota q = {0};
  if (control(directory, Q_XGETQUOTA, id, &q) < 0) {
    if (errno == ENOENT) return true;
    fail_errno("ask for the quotas of", path);
  }
  return q.d_blk_hardlimit == 0 && q.d_blk_softlimit == 0 && q.d_ino_hardlimit == 0 && q.d_ino_softlimit == 0 && q.d_bcount == 0 &&
         q.d_icount == 0;
}

static uint32_t choose_id(int directory, const char *path) {
  for (int i = 0; i < TRIES; i++) {
    uint32_t random;
    if (getrandom(&random, sizeof random, 0) != sizeof random) fail_errno("choose a project for", path);
    uint32_t id = FIRST_ID + random % IDS;
    if (is_free(directory, id, path)) return id;
  }
  fail(EXIT_SYSTEM, "choose a project for %s: none is free", path);
}

static bool set_limit(int directory, uint32_t id, uint64_t units) {
  struct fs_disk_quota q = {
      .d_version = FS_DQUOT_VERSION,
      .d_flags = FS_PROJ_QUOTA,
      .d_fieldmask = FS_DQ_BHARD | FS_DQ_BSOFT,
      .d_id = id,
      .d_blk_hardlimit = units,
  };
  return control(directory, Q_XSETQLIM, id, &q) == 0;
}

static void set_project(int directory, struct fsxattr *x, uint32_t id, const char *path) {
  x->fsx_projid = id;
  if (id == 0) x->fsx_xflags &= ~(uint32_t)FS_XFLAG_PROJINHERIT;
  else x->fsx_xflags |= FS_XFLAG_PROJINHERIT;
  if (ioctl(directory, FS_IOC_FSSETXATTR, x) < 0) fail_errno("set the project of", path);
}

// What is there already would not count.
static void require_empty(const char *path) {
  struct dirent *entry;
  DIR *list = opendir(path);
  if (list == NULL) fail_errno("open", path);
  while ((entry = readdir(list)) != NULL)
    if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) fail(EXIT_SYSTEM, "limit %s: it is not empty", path);
  closedir(list);
}

static void limit(const char *path, uint64_t bytes) {
  struct fsxattr x;
  int directory = open_directory(path);
  // No limit is written as 0.
  uint64_t units = bytes / UNIT + (bytes % UNIT != 0);
  if (units == 0) fail(EXIT_SYSTEM, "limit %s: to nothing", path);
  if (ioctl(directory, FS_IOC_FSGETXATTR, &x) < 0) fail_errno("look at", path);
  bool had = is_ours(&x);
  uint32_t id = had ? x.fsx_projid : choose_id(directory, path);
  // The directory first: whoever finds it half done finds the number as well.
  if (!had) {
    require_empty(path);
    set_project(directory, &x, id, path);
  }
  if (!set_limit(directory, id, units)) {
    int error = errno;
    if (!had) set_project(directory, &x, 0, path);
    errno = error;
    fail_errno("limit", path);
  }
}

// Files can be moved only between directories of one project.
static void share(const char *path, const char *like) {
  struct fsxattr x, other;
  int directory = open_directory(path), owner = open_directory(like);
  if (ioctl(owner, FS_IOC_FSGETXATTR, &other) < 0 || !is_ours(&other)) return;
  if (ioctl(directory, FS_IOC_FSGETXATTR, &x) < 0) fail_errno("look at", path);
  if (is_ours(&x) && x.fsx_projid == other.fsx_projid) return;
  require_empty(path);
  set_project(directory, &x, other.fsx_projid, path);
}

static void release(const char *path) {
  struct fsxattr x;
  int directory = open_directory(path);
  if (ioctl(directory, FS_IOC_FSGETXATTR, &x) < 0 || !is_ours(&x)) return;
  if (!set_limit(directory, x.fsx_projid, 0)) fail_errno("forget the limit of", path);
}

void quota(void) {
  const char *action = next_word(), *path = next_word();
  if (strcmp(action, "state") == 0) print_state(path);
  else if (strcmp(action, "limit") == 0) limit(path, next_number());
  else if (strcmp(action, "share") == 0) share(path, next_word());
  else if (strcmp(action, "release") == 0) release(path);
  else fail(EXIT_SYSTEM, "there is no action %s", action);
}
