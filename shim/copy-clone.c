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
  // Who can write to the copy cannot put a link on the way.
  int fd = open_resolved(destination_root, first, O_PATH);
  if (fd >= 0 && linkat(fd, "", parent, name, AT_EMPTY_PATH) == 0) {
    close(fd);
    return true;
  }
  // The first one was left out.
  if (errno != ENOENT) fail_path("link", path);
  if (fd >= 0) close(fd);
  return false;
}

// Attributes of what cannot be opened; `copy` holds it without effects.
static void copy_node_xattrs(int from_parent, const char *name, const char *copy) {
  static char names[1 << 16], value[1 << 16];
  char from[320];
  snprintf(from, sizeof from, "/proc/self/fd/%d/%s", from_parent, name);
  ssize_t size = llistxattr(from, names, sizeof names);
  for (char *at = names; size > 0 && at < names + size; at += strlen(at) + 1) {
    ssize_t length = is_wanted(at) ? lgetxattr(from, at, value, sizeof value) : -1;
    if (length >= 0 && setxattr(copy, at, value, (size_t)length, 0) < 0 && errno != EOPNOTSUPP && errno != EPERM)
      fail_path("set an attribute of", path);
  }
}

static void make_node(int from_parent, int parent, const char *name, const struct stat *st, const char *link) {
  if (link != NULL && symlinkat(link, parent, name) < 0) fail_path("make the symbolic link", path);
  if (link == NULL && mknodat(parent, name, (st->st_mode & S_IFMT) | 0600, st->st_rdev) < 0) fail_path("make the node", path);
  // From here on the inode is meant, not its name: who can write to the copy may have put a link to anywhere in its place.
  const struct timespec times[2] = {st->st_atim, st->st_mtim};
  struct stat made_st;
  char copy[64];
  int fd = openat(parent, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0 || fstat(fd, &made_st) < 0) fail_path("open", path);
  if ((made_st.st_mode & S_IFMT) != (st->st_mode & S_IFMT)) fail(EXIT_SYSTEM, "/%s: somebody has put something else in its place", path);
  snprintf(copy, sizeof copy, "/proc/self/fd/%d", fd);
  if (fchownat(fd, "", st->st_uid, st->st_gid, AT_EMPTY_PATH) < 0) fail_path("chown", path);
  if (link == NULL && chmod(copy, st->st_mode & 07777) < 0) fail_path("chmod", path);
  copy_node_xattrs(from_parent, name, copy);
  if (utimensat(AT_FDCWD, copy, times, 0) < 0) fail_path("set the times of", path);
  close(fd);
}

// False: it is something else by now.
static bool clone_node(int from_parent, int parent, const char *name, const struct stat *st) {
  static char link[PATH_LIMIT];
  if (!S_ISLNK(st->st_mode)) {
    make_node(from_parent, parent, name, st, NULL);
    return true;
  }
  ssize_t length = readlinkat(from_parent, name, link, sizeof link - 1);
  if (length < 0 && (errno == ENOENT || errno == EINVAL)) return false;
  if (length < 0) fail_path("read the link", path);
  link[length] = 0;
  make_node(from_parent, parent, name, st, link);
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
