// Removes layers that are not needed any more. Freeing a file can wait for the disk (a mount with `discard` waits for each), so
// that several processes do it at once: each goes through the whole tree and takes the names that fall to it; of a directory,
// the last one out takes the name. Links are not followed, and what is mounted in the tree makes the removal fail.

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "unpack.h"

// Deeper trees (made by walking, in a container) are for a program that does not hold a descriptor for each level.
enum { WORKERS = 8, DEEPEST = 1024 };

static int open_child(int parent, const char *name) {
  struct open_how how = {
      .flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC,
      .resolve = RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV,
  };
  long fd;
  do fd = syscall(SYS_openat2, parent, name, &how, sizeof how);
  while (fd < 0 && (errno == EINTR || errno == EAGAIN));
  return (int)fd;
}

// The data root itself may be reached through mounts.
static int open_top(const char *path) { return open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC); }

static bool is_directory(int parent, const struct dirent *child) {
  struct stat st;
  if (child->d_type != DT_UNKNOWN) return child->d_type == DT_DIR;
  return fstatat(parent, child->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode);
}

// Takes what falls to `worker` in the directory, which it closes. What cannot be taken stays: the last pass says why.
static void take_share(int fd, unsigned int worker, unsigned int depth) {
  DIR *dir = fd < 0 || depth > DEEPEST ? NULL : fdopendir(fd);
  if (dir == NULL) {
    if (fd >= 0) close(fd);
    return;
  }
  for (struct dirent *child; (child = readdir(dir)) != NULL;) {
    if (strcmp(child->d_name, ".") == 0 || strcmp(child->d_name, "..") == 0) continue;
    if (is_directory(fd, child)) {
      take_share(open_child(fd, child->d_name), worker, depth + 1);
      unlinkat(fd, child->d_name, AT_REMOVEDIR);
    } else if (child->d_ino % WORKERS == worker) {
      unlinkat(fd, child->d_name, 0);
    }
  }
  closedir(dir);
}

static void take_rest(int fd, const char *path, unsigned int depth) {
  if (depth > DEEPEST) fail(EXIT_LIMIT, "%s: directories nested too deeply", path);
  DIR *dir = fdopendir(fd);
  if (dir == NULL) fail_errno("read a directory in", path);
  for (struct dirent *child; (child = readdir(dir)) != NULL;) {
    if (strcmp(child->d_name, ".") == 0 || strcmp(child->d_name, "..") == 0) continue;
    bool below = is_directory(fd, child);
    if (below) {
      int next = open_child(fd, child->d_name);
      if (next < 0) fail_errno("open a directory in", path);
      take_rest(next, path, depth + 1);
    }
    if (unlinkat(fd, child->d_name, below ? AT_REMOVEDIR : 0) < 0) fail_errno("remove a name in", path);
  }
  closedir(dir);
}

void remove_directories(char *const paths[], size_t count) {
  pid_t parent = getpid();
  for (unsigned int worker = 0; worker < WORKERS; worker++) {
    pid_t pid = fork();
    if (pid != 0) continue; // without a worker the rest is larger
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(EXIT_SYSTEM);
    for (size_t i = 0; i < count; i++) take_share(open_top(paths[i]), worker, 0);
    _exit(0);
  }
  while (wait(NULL) > 0 || errno == EINTR) continue;
  for (size_t i = 0; i < count; i++) {
    int fd = open_top(paths[i]);
    if (fd < 0 && errno == ENOENT) continue;
    if (fd < 0) fail_errno("open", paths[i]);
    take_rest(fd, paths[i], 0);
    if (rmdir(paths[i]) < 0) fail_errno("remove", paths[i]);
  }
}
