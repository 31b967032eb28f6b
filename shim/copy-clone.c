// Whole trees as they are: owners, modes, times, every extended attribute, hard links, holes, FIFOs, sockets' names and device nodes. The
// source may be in use: what vanishes while it is copied is left out, what is being written is copied as it is at that moment.
// Marks that chattr(1) sets are not copied.

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "copy.h"

// A name that is another file each time it is looked at is left out. Trees of few files are synced file by file: syncfs waits for
// all that anybody has written to the file system.
enum { DEEPEST = 1900, ATTEMPTS = 16, SYNCED_EACH = 256 };

static int destination_root;
static bool is_layer;
static char path[PATH_LIMIT]; // of the entry, in both trees
static uint64_t bytes;
static bool some_shared, some_copied;
static bool is_synced;
static unsigned int made; // files and directories

// The kernel makes these two itself, and of a layer those that are overlayfs' own or the host's policy.
static bool is_wanted(const char *name) {
  if (strcmp(name, "security.ima") == 0 || strcmp(name, "security.evm") == 0) return false;
  return !is_layer || (strcmp(name, "security.selinux") != 0 && strncmp(name, "trusted.overlay.", 16) != 0);
}

void put_attributes(int from, int to, const struct stat *st, const char *what) {
  const struct timespec times[2] = {st->st_atim, st->st_mtim};
  // In this order: chown takes setuid bits and capabilities away, and setting attributes changes no times.
  if (fchown(to, st->st_uid, st->st_gid) < 0) fail_path("chown", what);
  if (fchmod(to, st->st_mode & 07777) < 0) fail_path("chmod", what);
  copy_xattrs(from, to, is_wanted, what);
  if (futimens(to, times) < 0) fail_path("set the times of", what);
}

static void clone_children(int from, int to, unsigned int depth);

// Inode numbers are used again while a tree is in use: a file is told by when it was made as well.
static bool link_to_first(int from_parent, int parent, const char *name, const struct stat *st) {
  struct stat key = *st;
  struct statx born;
  if (st->st_nlink < 2) return false;
  if (statx(from_parent, name, AT_SYMLINK_NOFOLLOW, STATX_BTIME | STATX_INO, &born) < 0 || born.stx_ino != st->st_ino) return false;
  if ((born.stx_mask & STATX_BTIME) != 0)
    key.st_dev ^= ((dev_t)born.stx_btime.tv_sec * 1000000000u + born.stx_btime.tv_nsec) * UINT64_C(0x9e3779b97f4a7c15);
  const char *first = first_name(&key, path);
  if (first == NULL || strcmp(first, path) == 0) return false;
  if (linkat(destination_root, first, parent, name, 0) == 0) return true;
  // The first one was left out.
  if (errno != ENOENT) fail_path("link", path);
  return false;
}

// Attributes of what cannot be opened.
static void copy_node_xattrs(int from_parent, int parent, const char *name) {
  static char names[1 << 16], value[1 << 16];
  char from[PATH_LIMIT], to[PATH_LIMIT];
  snprintf(from, sizeof from, "/proc/self/fd/%d/%s", from_parent, name);
  ssize_t size = llistxattr(from, names, sizeof names);
  snprintf(to, sizeof to, "/proc/self/fd/%d/%s", parent, name);
  for (char *at = names; size > 0 && at < names + size; at += strlen(at) + 1) {
    ssize_t length = is_wanted(at) ? lgetxattr(from, at, value, sizeof value) : -1;
    if (length >= 0 && lsetxattr(to, at, value, (size_t)length, 0) < 0 && errno != EOPNOTSUPP && errno != EPERM)
      fail_path("set an attribute of", path);
  }
}

// False: it is something else by now.
static bool clone_node(int from_parent, int parent, const char *name, const struct stat *st) {
  const struct timespec times[2] = {st->st_atim, st->st_mtim};
  if (S_ISLNK(st->st_mode)) {
    char link[PATH_LIMIT];
    ssize_t length = readlinkat(from_parent, name, link, sizeof link - 1);
    if (length < 0 && (errno == ENOENT || errno == EINVAL)) return false;
    if (length < 0) fail_path("read the link", path);
    link[length] = 0;
    if (symlinkat(link, parent, name) < 0) fail_path("make the symbolic link", path);
  } else if (mknodat(parent, name, (st->st_mode & S_IFMT) | 0600, st->st_rdev) < 0) {
    fail_path("make the node", path);
  }
  if (fchownat(parent, name, st->st_uid, st->st_gid, AT_SYMLINK_NOFOLLOW) < 0) fail_path("chown", path);
  if (!S_ISLNK(st->st_mode) && fchmodat(parent, name, st->st_mode & 07777, 0) < 0) fail_path("chmod", path);
  copy_node_xattrs(from_parent, parent, name);
  if (utimensat(parent, name, times, AT_SYMLINK_NOFOLLOW) < 0) fail_path("set the times of", path);
  return true;
}

static void sync_if_few(int fd) {
  if (is_synced && made++ < SYNCED_EACH && fsync(fd) < 0) fail_path("sync", path);
}

static void clone_file(int from, int parent, const char *name, const struct stat *st) {
  int to = openat(parent, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (to < 0) fail_path("create", path);
  if (copy_data(from, to, st, path)) some_shared = some_shared || st->st_size > 0;
  else some_copied = true;
  put_attributes(from, to, st, path);
  sync_if_few(to);
  if (close(to) < 0) fail_path("close", path);
  bytes += (uint64_t)st->st_size;
}

static void clone_directory(int from, int parent, const char *name, const struct stat *st, unsigned int depth) {
  if (depth > DEEPEST) fail(EXIT_LIMIT, "/%s: directories nested too deeply", path);
  if (mkdirat(parent, name, 0700) < 0) fail_path("make the directory", path);
  int to = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (to < 0) fail_path("open the directory", path);
  clone_children(from, to, depth + 1);
  // After its children: a default ACL would become theirs, and their making changes its time.
  put_attributes(from, to, st, path);
  sync_if_few(to);
  close(to);
}

// False: it changed between two looks.
static bool try_entry(int from_parent, int parent, const char *name, unsigned int depth) {
  struct stat st, opened;
  if (fstatat(from_parent, name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
    if (errno == ENOENT || errno == ESTALE) return true;
    fail_path("look at", path);
  }
  // A layer that is looked at alone shows its whiteouts.
  if (is_layer && S_ISCHR(st.st_mode) && st.st_rdev == 0) return true;
  if (!S_ISDIR(st.st_mode) && link_to_first(from_parent, parent, name, &st)) return true;
  if (!S_ISDIR(st.st_mode) && !S_ISREG(st.st_mode)) return clone_node(from_parent, parent, name, &st);
  int fd = openat(from_parent, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
  if (fd < 0) {
    if (errno == ENOENT || errno == ELOOP || errno == ENXIO || errno == ESTALE) return false;
    // A device took the place of a file: the mount shows none.
    if (errno == EACCES && fstatat(from_parent, name, &opened, AT_SYMLINK_NOFOLLOW) == 0 && opened.st_ino != st.st_ino) return false;
    fail_path("open", path);
  }
  bool same = fstat(fd, &opened) == 0 && (opened.st_mode & S_IFMT) == (st.st_mode & S_IFMT);
  if (same && S_ISDIR(st.st_mode)) clone_directory(fd, parent, name, &opened, depth);
  else if (same) clone_file(fd, parent, name, &opened);
  close(fd);
  return same;
}

static void clone_children(int from, int to, unsigned int depth) {
  size_t count, length = strlen(path);
  struct child *children = read_children(from, &count, path);
  for (size_t i = 0; i < count; i++) {
    append_name(path, children[i].name);
    for (int attempt = 0; attempt < ATTEMPTS && !try_entry(from, to, children[i].name, depth); attempt++) continue;
    path[length] = 0;
    free(children[i].name);
  }
  free(children);
}

static void clone_root(int from, int to) {
  struct stat st;
  destination_root = to;
  clone_children(from, to, 0);
  if (fstat(from, &st) < 0) fail_path("look at", "the directory");
  put_attributes(from, to, &st, "the directory");
}

void clone_tree(void) {
  const char *source = next_word(), *base = next_word(), *below = next_word();
  int from = mount_tree(source, false), to = open_place(base, below);
  if (to < 0) fail_path("open", base);
  is_synced = true;
  clone_root(from, to);
  if ((made > SYNCED_EACH ? syncfs(to) : fsync(to)) < 0) fail_path("sync", base);
  printf("%llu %d\n", (unsigned long long)bytes, some_shared && !some_copied);
}

void fill_directory(void) {
  char resolved[PATH_LIMIT];
  int root = next_tree(false);
  const char *wanted = next_word(), *destination = next_word(), *below = next_word();
  is_layer = true;
  if (root >= 0) resolve_path(root, wanted, true, resolved);
  int from = root < 0 ? -1 : open_resolved(root, resolved, O_RDONLY | O_DIRECTORY);
  if (from < 0) {
    if (root >= 0 && errno != ENOENT && errno != ENOTDIR) fail_path("open", resolved);
    printf("nothing\n");
    return;
  }
  int to = open_place(destination, below);
  if (to < 0) fail_path("open", destination);
  clone_root(from, to);
  printf("filled\n");
}
