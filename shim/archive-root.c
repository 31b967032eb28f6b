// The tree: a running container's as its process sees it, a stopped one's, or a directory. Confinement is the kernel's own:
// openat2(2) with RESOLVE_IN_ROOT and without magic links (Linux 5.6); mounts in the tree are part of it.

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "archive.h"

// linux/magic.h lacks it.
enum { MQUEUE_MAGIC = 0x19800202 };

// A running container's /dev: devices that the runtime made, no files of anybody.
static bool has_devices;
static struct stat devices;

int open_in(int root, const char *path, int flags) {
  struct open_how how = {.flags = (uint64_t)(flags | O_CLOEXEC), .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS};
  long fd;
  do fd = syscall(SYS_openat2, root, *path == 0 ? "." : path, &how, sizeof how);
  while (fd < 0 && (errno == EINTR || errno == EAGAIN));
  return (int)fd;
}

// Field 22; the process' name, in parentheses, may hold anything.
static bool has_started_at(const char *pid, const char *start) {
  char path[64], text[1024];
  snprintf(path, sizeof path, "/proc/%s/stat", pid);
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return false;
  ssize_t n = read(fd, text, sizeof text - 1);
  close(fd);
  if (n <= 0) return false;
  text[n] = 0;
  char *at = strrchr(text, ')');
  for (int field = 2; at != NULL && field < 22; field++) at = strchr(at + 1, ' ');
  if (at == NULL) return false;
  size_t length = strcspn(at + 1, " \n");
  return length == strlen(start) && memcmp(at + 1, start, length) == 0;
}

// Of a process; -1 when it has ended. proc(5) says EACCES for one that ends at this moment.
static int open_of(const char *pid, const char *start, const char *what, int flags) {
  char path[64];
  snprintf(path, sizeof path, "/proc/%s/%s", pid, what);
  int fd = open(path, flags | O_CLOEXEC);
  if (fd < 0 && errno != ENOENT && errno != ESRCH && (errno != EACCES || has_started_at(pid, start))) fail_errno("open", path);
  return fd;
}

// Opened first and identified afterwards: a pid that was given out again in between is not the one whose start is asked for. The mount
// namespace is held until the end of this program: with its last process it would lose its mounts, and what is under a volume would be
// taken for what is in it.
static int open_live(void) {
  const char *pid = next_word(), *start = next_word();
  if (strspn(pid, "0123456789") != strlen(pid) || strlen(pid) > 10) fail(EXIT_SYSTEM, "%s is no process", pid);
  int mounts = open_of(pid, start, "ns/mnt", O_RDONLY);
  int root = mounts < 0 ? -1 : open_of(pid, start, "root", O_PATH | O_DIRECTORY);
  if (root < 0 || !has_started_at(pid, start)) fail(EXIT_GONE, "the container's process has ended");
  struct stat st;
  struct statfs fs;
  int fd = open_in(root, "dev", O_PATH | O_DIRECTORY | O_NOFOLLOW);
  has_devices = fd >= 0 && fstat(root, &st) == 0 && fstat(fd, &devices) == 0 && st.st_dev != devices.st_dev && fstatfs(fd, &fs) == 0 &&
                fs.f_type == TMPFS_MAGIC;
  if (fd >= 0) close(fd);
  return root;
}

static int open_directory(void) {
  const char *path = next_word();
  return mount_tree(path, strcmp(next_word(), "rw") == 0);
}

int open_tree_root(void) {
  const char *kind = next_word();
  if (strcmp(kind, "live") == 0) return open_live();
  if (strcmp(kind, "stopped") == 0) return mount_stopped();
  if (strcmp(kind, "directory") == 0) return open_directory();
  fail(EXIT_SYSTEM, "there is no kind of tree called %s", kind);
}

bool is_made_up(int directory, const struct stat *st) {
  static dev_t last;
  static bool last_is_made_up, known;
  if (has_devices && st->st_dev == devices.st_dev && st->st_ino == devices.st_ino) return true;
  if (known && st->st_dev == last) return last_is_made_up;
  struct statfs fs;
  if (fstatfs(directory, &fs) < 0) fail(EXIT_SYSTEM, "find the file system of a directory: %s", strerror(errno));
  switch ((unsigned long)fs.f_type) {
    case PROC_SUPER_MAGIC: case SYSFS_MAGIC: case CGROUP_SUPER_MAGIC: case CGROUP2_SUPER_MAGIC: case DEVPTS_SUPER_MAGIC: case DEBUGFS_MAGIC:
    case TRACEFS_MAGIC: case SECURITYFS_MAGIC: case BPF_FS_MAGIC: case MQUEUE_MAGIC: last_is_made_up = true; break;
    default: last_is_made_up = false;
  }
  known = true;
  last = st->st_dev;
  return last_is_made_up;
}

// Nothing in a file system that is shown empty is there, but its root.
static bool is_shown(int fd, const struct stat *st) {
  struct statx more;
  if (S_ISDIR(st->st_mode) && syscall(SYS_statx, fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS, &more) == 0 &&
      (more.stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0)
    return true;
  return has_devices && st->st_dev == devices.st_dev ? true : !is_made_up(fd, st);
}

int open_asked(int root, const char *path, struct stat *st) {
  int fd = open_in(root, path, O_PATH | O_NOFOLLOW);
  if (fd < 0 && errno == ENOENT) fail(EXIT_NOT_FOUND, "nothing is at %s", path);
  // With the words of Go's os package, as dockerd has it.
  if (fd < 0 || fstat(fd, st) < 0) {
    int error = errno;
    char text[128];
    snprintf(text, sizeof text, "%s", strerror(error));
    if (*text >= 'A' && *text <= 'Z') *text += 'a' - 'A';
    fail(error == ENOTDIR ? EXIT_NOT_A_DIRECTORY : EXIT_SYSTEM, "lstat %s: %s", path, text);
  }
  if (!is_shown(fd, st)) fail(EXIT_NOT_FOUND, "nothing is at %s", path);
  return fd;
}
