// Confinement. Every directory is opened by the kernel's own resolver, which cannot leave `root_fd` (openat2 with
// RESOLVE_IN_ROOT: "..", absolute links and magic links end inside); the last component is never followed. The program has
// also changed its root to the same directory. Source: openat2(2), Linux 5.6.

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "unpack.h"

int root_fd = -1;

// Members come in directory order: the last directory is nearly always the next one's.
static char cached_path[PATH_LIMIT];
static int cached_fd = -1;
static bool cached = false;
// Of cached_fd, once somebody asked.
static char real_directory[PATH_LIMIT];
static enum { UNKNOWN, KNOWN, TOO_LONG } real_state;

static int open_beneath(int from, const char *path, int flags, uint64_t resolve) {
  struct open_how how = {.flags = (uint64_t)(flags | O_CLOEXEC), .resolve = resolve | RESOLVE_NO_MAGICLINKS};
  if (!crosses_mounts) how.resolve |= RESOLVE_NO_XDEV;
  long fd;
  do fd = syscall(SYS_openat2, from, *path == 0 ? "." : path, &how, sizeof how);
  while (fd < 0 && (errno == EINTR || errno == EAGAIN));
  return (int)fd;
}

int open_in_root(const char *path, int flags) { return open_beneath(root_fd, path, flags, RESOLVE_IN_ROOT); }

int open_real(const char *path, int flags) { return open_beneath(root_fd, path, flags, RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS); }

// getcwd, because /proc is out of reach: the layer is the root.
static void find_real_directory(int fd) {
  if (fchdir(fd) < 0) fail_errno("change to the directory", cached_path);
  real_state = syscall(SYS_getcwd, real_directory, sizeof real_directory) < 0 ? TOO_LONG : KNOWN;
  if (real_state == TOO_LONG && errno != ERANGE && errno != ENAMETOOLONG) fail_errno("find the path of", cached_path);
  if (fchdir(root_fd) < 0) fail_errno("change to", "/");
}

bool real_path(int parent, const char *name, char to[PATH_LIMIT]) {
  if (real_state == UNKNOWN) find_real_directory(parent);
  if (real_state == TOO_LONG) return false;
  const char *directory = real_directory + 1; // without the first slash
  int n = snprintf(to, PATH_LIMIT, "%s%s%s", directory, *directory == 0 ? "" : "/", name);
  return n >= 0 && n < PATH_LIMIT;
}

void clean_path(const char *name, const char *what, size_t depth_limit, char to[PATH_LIMIT]) {
  size_t length = 0, depth = 0;
  if (*name == 0) fail(EXIT_BAD_ARCHIVE, "a member without a %s", what);
  while (*name != 0) {
    size_t n = strcspn(name, "/");
    if (n == 2 && memcmp(name, "..", 2) == 0) fail(EXIT_BAD_ARCHIVE, "%s of a member contains \"..\"", what);
    if (n > 255) fail(EXIT_BAD_ARCHIVE, "a component of a %s is longer than 255 bytes", what);
    if (n > 0 && !(n == 1 && *name == '.')) {
      if (length + n + 2 > PATH_LIMIT) fail(EXIT_LIMIT, "a %s is longer than %d bytes", what, PATH_LIMIT - 1);
      if (++depth > depth_limit) fail(EXIT_LIMIT, "a %s has more than %zu components", what, depth_limit);
      if (length > 0) to[length++] = '/';
      memcpy(to + length, name, n);
      length += n;
    }
    name += n;
    if (*name == '/') name++;
  }
  to[length] = 0;
}

// The descriptor stays open: the caller may be using it.
void forget_parents(void) { cached = false; }

bool is_whiteout(int parent, const char *name) {
  struct stat st;
  return fstatat(parent, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISCHR(st.st_mode) && st.st_rdev == makedev(0, 0);
}

void set_opaque(int parent, const char *name, const char *path) {
  int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0) fail_errno("open", path);
  if (fsetxattr(fd, "trusted.overlay.opaque", "y", 1, 0) < 0) fail_errno("make opaque", path);
  close(fd);
}

// Makes and opens the one directory `name` for a member that lies in it but came without it.
static int make_directory(int parent, const char *name, const char *path) {
  bool hides = whiteouts != WHITEOUTS_ORDINARY && is_whiteout(parent, name);
  if (hides && unlinkat(parent, name, 0) < 0) fail_errno("remove the whiteout", path);
  if (mkdirat(parent, name, 0755) < 0 && errno != EEXIST) fail_errno("make the directory", path);
  int fd = open_beneath(parent, name, O_RDONLY | O_DIRECTORY, RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS);
  if (fd < 0) return -1;
  if (fchmod(fd, 0755) < 0) fail_errno("chmod", path);
  if (hides) set_opaque(parent, name, path);
  return fd;
}

// Opens `path`, making the components that are missing.
static int make_path(const char *path) {
  char prefix[PATH_LIMIT];
  int at = open_in_root("", O_PATH | O_DIRECTORY);
  if (at < 0) fail_errno("open", "/");
  for (const char *end = path; *end != 0;) {
    const char *name = *end == '/' ? end + 1 : end;
    end = name + strcspn(name, "/");
    size_t length = (size_t)(end - path);
    memcpy(prefix, path, length);
    prefix[length] = 0;
    int next = open_in_root(prefix, O_PATH | O_DIRECTORY);
    if (next < 0 && (errno == ENOENT || errno == ENOTDIR)) {
      const char *component = prefix + (name - path);
      struct stat st;
      bool missing = fstatat(at, component, &st, AT_SYMLINK_NOFOLLOW) < 0 && errno == ENOENT;
      if (!missing && (whiteouts == WHITEOUTS_ORDINARY || !is_whiteout(at, component))) fail(EXIT_BAD_ARCHIVE, "%s is not a directory, but a member lies in it", prefix);
      next = make_directory(at, component, prefix);
    }
    if (next < 0) fail_errno("open the directory", prefix);
    close(at);
    at = next;
  }
  return at;
}

int open_parent(const char *path, const char **name, bool make) {
  const char *slash = strrchr(path, '/');
  size_t length = slash == NULL ? 0 : (size_t)(slash - path);
  *name = slash == NULL ? path : slash + 1;
  if (cached && strncmp(cached_path, path, length) == 0 && cached_path[length] == 0) return cached_fd;

  if (cached_fd >= 0) close(cached_fd);
  cached = false;
  real_state = UNKNOWN;
  memcpy(cached_path, path, length);
  cached_path[length] = 0;
  cached_fd = open_in_root(cached_path, O_PATH | O_DIRECTORY);
  if (cached_fd < 0 && make && (errno == ENOENT || errno == ENOTDIR)) cached_fd = make_path(cached_path);
  if (cached_fd < 0 && !make && (errno == ENOENT || errno == ENOTDIR)) return -1;
  if (cached_fd < 0) fail_errno("open the directory", cached_path);
  cached = true;
  return cached_fd;
}

// From another mount namespace nothing stands in the way of removing what a container has mounted on.
static void refuse_mount(int parent, const char *name, const char *path) {
  struct statx st;
  if (!crosses_mounts || syscall(SYS_statx, parent, name, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT, STATX_TYPE, &st) < 0) return;
  if ((st.stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0) fail(EXIT_SYSTEM, "RemoveAll %s: device or resource busy", path + strlen(put_in_front));
}

// unlink for what is no directory; its bytes no longer count when this was the last name. False: it is a directory.
static bool remove_name(int parent, const char *name, const char *path) {
  struct stat st;
  if (fstatat(parent, name, &st, AT_SYMLINK_NOFOLLOW) < 0) fail_errno("replace", path);
  refuse_mount(parent, name, path);
  // Directories are found through these.
  if (!S_ISREG(st.st_mode)) forget_parents();
  if (S_ISDIR(st.st_mode)) return false;
  bool last = names_in_layer(&st) == 1;
  if (!keep_aside(parent, name, &st) && unlinkat(parent, name, 0) < 0) fail_errno("replace", path);
  if ((S_ISREG(st.st_mode) || S_ISLNK(st.st_mode)) && last) content_bytes -= (uint64_t)st.st_size;
  return true;
}

static void remove_children(int fd, const char *path, unsigned int depth) {
  // Deeper trees than this cannot come from this program: paths are limited.
  if (depth > PATH_LIMIT) fail(EXIT_LIMIT, "%s: directories nested too deeply", path);
  DIR *dir = fdopendir(fd);
  if (dir == NULL) fail_errno("read the directory", path);
  for (struct dirent *child; (child = readdir(dir)) != NULL;) {
    if (strcmp(child->d_name, ".") == 0 || strcmp(child->d_name, "..") == 0) continue;
    if (remove_name(dirfd(dir), child->d_name, path)) continue;
    int next = openat(dirfd(dir), child->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (next < 0) fail_errno("open a child of", path);
    remove_children(next, path, depth + 1);
    if (unlinkat(dirfd(dir), child->d_name, AT_REMOVEDIR) < 0) fail_errno("remove a child of", path);
  }
  closedir(dir);
}

void remove_tree(int parent, const char *name, const char *path) {
  if (remove_name(parent, name, path)) return;
  int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0) fail_errno("replace", path);
  remove_children(fd, path, 0);
  if (unlinkat(parent, name, AT_REMOVEDIR) < 0) fail_errno("replace", path);
}
