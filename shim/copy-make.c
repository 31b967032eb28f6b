// Directories and files that a build names itself: WORKDIR, and files whose content stands in the Dockerfile.

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "copy.h"

void clear_for_file(int parent, const char *name, const char *path) {
  struct stat st;
  if (fstatat(parent, name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
    if (errno == ENOENT) return;
    fail_path("look at", path);
  }
  if (S_ISDIR(st.st_mode)) fail(EXIT_BAD_ARCHIVE, "cannot replace to directory /%s with file", path);
  if (unlinkat(parent, name, 0) < 0) fail_path("replace", path);
}

int make_directories(int root, const char *resolved, mode_t mode, const struct ownership *ownership) {
  int at = open_resolved(root, resolved, O_RDONLY | O_DIRECTORY);
  if (at >= 0) return at;
  if (errno == ENOTDIR) fail(EXIT_BAD_ARCHIVE, "mkdir /%s: not a directory", resolved);
  if (errno != ENOENT) fail_path("open", resolved);
  if ((at = open_resolved(root, "", O_RDONLY | O_DIRECTORY)) < 0) fail_path("open", "/");
  for (const char *name = resolved; *name != 0;) {
    char component[256];
    size_t n = strcspn(name, "/");
    memcpy(component, name, n);
    component[n] = 0;
    name += n + strspn(name + n, "/");
    bool made = mkdirat(at, component, 0700) == 0;
    if (!made && errno != EEXIST) fail_path("make the directory", resolved);
    int next = openat(at, component, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (next < 0 && (errno == ENOTDIR || errno == ELOOP)) fail(EXIT_BAD_ARCHIVE, "mkdir /%s: not a directory", resolved);
    if (next < 0) fail_path("open the directory", resolved);
    if (made && ownership->chown && fchown(next, ownership->uid, ownership->gid) < 0) fail_path("chown", resolved);
    if (made && fchmod(next, *name == 0 ? mode : 0755) < 0) fail_path("chmod", resolved);
    close(at);
    at = next;
  }
  return at;
}

void make_directory(int root, const char *path, mode_t mode, const struct ownership *ownership) {
  char resolved[PATH_LIMIT];
  resolve_path(root, path, true, resolved);
  close(make_directories(root, resolved, apply_chmod(ownership->chmod, S_IFDIR | mode) & 07777, ownership));
}

void make_file(int root, const char *path, mode_t mode, const struct ownership *ownership, const char *content, uint64_t size) {
  char resolved[PATH_LIMIT], directory[PATH_LIMIT];
  resolve_path(root, path, true, resolved);
  if (*resolved == 0) fail(EXIT_BAD_ARCHIVE, "cannot replace to directory / with file");
  strcpy(directory, resolved);
  char *slash = strrchr(directory, '/');
  *(slash == NULL ? directory : slash) = 0;
  const char *name = slash == NULL ? resolved : resolved + (slash - directory) + 1;
  int parent = make_directories(root, directory, 0755, ownership);
  clear_for_file(parent, name, resolved);
  int fd = openat(parent, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (fd < 0) fail_path("create", resolved);
  for (uint64_t done = 0; done < size;) {
    ssize_t n = write(fd, content + done, (size_t)(size - done));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) fail_path("write", resolved);
    done += (uint64_t)n;
  }
  if (fchown(fd, ownership->chown ? ownership->uid : 0, ownership->chown ? ownership->gid : 0) < 0) fail_path("chown", resolved);
  if (fchmod(fd, apply_chmod(ownership->chmod, S_IFREG | mode) & 07777) < 0) fail_path("chmod", resolved);
  close(fd);
  close(parent);
}
