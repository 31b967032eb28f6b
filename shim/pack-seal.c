// A writable layer becomes a layer where it lies: what its tar lacks is taken out of the tree, attributes that only an upper
// directory has are taken off, times are bounded, and the tar's hash and recipe are made while the tree is walked. No content
// is copied. The caller sees to it that nobody uses the tree.

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "pack.h"

// A layer of so many members is made durable file by file: others, who write at the same time, are not waited for.
enum { SYNC_SINGLY = 64 };

static bool sealing, clamping;
static int64_t latest;
static struct sha256 hash;
static uint64_t content_bytes, members;

bool is_sealing(void) { return sealing; }

static void seal_bytes(const void *bytes, size_t size) {
  sha256_add(&hash, bytes, size);
  record_bytes(bytes, size);
}

static void seal_block(const unsigned char block[BLOCK]) {
  sha256_add(&hash, block, BLOCK);
  record_header(block);
}

static uint64_t seal_file(int fd, uint64_t offset, uint64_t length, const char *path) {
  static unsigned char buffer[256 << 10];
  for (uint64_t done = 0; done < length;) {
    ssize_t n = pread(fd, buffer, length - done < sizeof buffer ? (size_t)(length - done) : sizeof buffer, (off_t)(offset + done));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) fail(EXIT_SYSTEM, "read %s: %s", path, strerror(errno));
    if (n == 0) fail(EXIT_SYSTEM, "%s became shorter while it was read", path);
    sha256_add(&hash, buffer, (size_t)n);
    done += (uint64_t)n;
  }
  if (length > 0) record_data(offset, length);
  return length;
}

static const struct sink seal_sink = {seal_bytes, seal_block, seal_file};

void seal_member(const struct member *member) {
  members++;
  if (member->type == '0') content_bytes += member->size;
  if (member->type == '2') content_bytes += strlen(member->link);
  if (member->type == '0' && member->size > 0) record_content(member->st.st_ino, member->size, member->path);
}

void seal_time(struct stat *st) {
  if (clamping && st->st_mtim.tv_sec >= latest) st->st_mtim = (struct timespec){.tv_sec = latest};
}

static void drop_children(int fd, const char *path) {
  DIR *dir = fdopendir(fd);
  if (dir == NULL) fail_errno("read the directory", path);
  for (struct dirent *child; (child = readdir(dir)) != NULL;)
    if (strcmp(child->d_name, ".") != 0 && strcmp(child->d_name, "..") != 0) seal_drop(dirfd(dir), child->d_name, path);
  closedir(dir);
}

void seal_drop(int parent, const char *name, const char *path) {
  if (unlinkat(parent, name, 0) == 0) return;
  int fd = errno == EISDIR ? openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC) : -1;
  if (fd < 0) fail_errno("take out", path);
  drop_children(fd, path);
  if (unlinkat(parent, name, AT_REMOVEDIR) < 0) fail_errno("take out", path);
}

void seal_whiteout(int parent, const char *name, const char *path) {
  if (unlinkat(parent, name, 0) < 0 || mknodat(parent, name, S_IFCHR, makedev(0, 0)) < 0) fail_errno("make the whiteout", path);
}

static bool is_uppers_own(const char *name) {
  if (strncmp(name, "user.overlay.", 13) == 0) return true;
  return strncmp(name, "trusted.overlay.", 16) == 0 && strcmp(name + 16, "opaque") != 0;
}

static void strip_xattrs(int fd, int parent, const char *name, const char *path) {
  static char names[XATTR_SIZE];
  if (fd < 0 && fchdir(parent) < 0) fail_errno("change to the directory of", path);
  ssize_t size = fd >= 0 ? flistxattr(fd, names, sizeof names) : llistxattr(name, names, sizeof names);
  if (size < 0 && errno == EOPNOTSUPP) return;
  if (size < 0) fail_errno("list the attributes of", path);
  for (char *at = names; at < names + size; at += strlen(at) + 1) {
    if (!is_uppers_own(at)) continue;
    if ((fd >= 0 ? fremovexattr(fd, at) : lremovexattr(name, at)) < 0 && errno != ENODATA) fail_errno("take an attribute off", path);
  }
}

void seal_inode(int fd, int parent, const char *name, const struct stat *st, bool opaque, const char *path) {
  struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, st->st_mtim};
  strip_xattrs(fd, parent, name, path);
  if (opaque && fsetxattr(fd, "trusted.overlay.opaque", "y", 1, 0) < 0) fail_errno("make opaque", path);
  // What was taken out of a directory changed its time.
  if (!S_ISDIR(st->st_mode) && !clamping) return;
  if ((fd >= 0 ? futimens(fd, times) : utimensat(parent, name, times, AT_SYMLINK_NOFOLLOW)) < 0) fail_errno("set the time of", path);
}

// Closes `fd`.
static void sync_tree(int fd, const char *layer) {
  DIR *dir = fdopendir(fd);
  if (dir == NULL) fail_errno("read a directory in", layer);
  for (struct dirent *child; (child = readdir(dir)) != NULL;) {
    struct stat st;
    if (strcmp(child->d_name, ".") == 0 || strcmp(child->d_name, "..") == 0) continue;
    if (fstatat(fd, child->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0) fail_errno("stat a name in", layer);
    if (!S_ISDIR(st.st_mode) && !S_ISREG(st.st_mode)) continue;
    int below = openat(fd, child->d_name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (below < 0) fail_errno("open a name in", layer);
    if (S_ISDIR(st.st_mode)) {
      sync_tree(below, layer);
      continue;
    }
    if (fsync(below) < 0) fail_errno("sync", layer);
    close(below);
  }
  if (fsync(fd) < 0) fail_errno("sync", layer);
  closedir(dir);
}

// The caller may be moving the directory by now: everything was opened before.
static void make_durable(int layer, int fs, int recipe, const char *path) {
  if (members > SYNC_SINGLY) {
    if (syncfs(layer) < 0) fail_errno("sync", path);
    return;
  }
  sync_tree(fs, path);
  if (fsync(recipe) < 0 || fsync(layer) < 0) fail_errno("sync", path);
}

static int64_t parse_seconds(const char *text) {
  uint64_t value = 0;
  for (const char *at = text; *at != 0; at++) {
    if (*at < '0' || *at > '9' || value > INT64_MAX / 10 - 9) fail(EXIT_SYSTEM, "%s is no number of seconds", text);
    value = 10 * value + (uint64_t)(*at - '0');
  }
  return (int64_t)value;
}

void seal_layer(const char *directory, const char *clamp) {
  char fs[PATH_LIMIT], hex[65];
  int layer = open(directory, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (layer < 0) fail_errno("open", directory);
  if (snprintf(fs, sizeof fs, "%s/fs", directory) >= (int)sizeof fs) fail(EXIT_SYSTEM, "%s: too long a path", directory);
  int recipe = openat(layer, "recipe", O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (recipe < 0) fail_errno("create the recipe in", directory);
  sealing = true;
  set_sink(&seal_sink);
  clamping = strcmp(clamp, "-") != 0;
  if (clamping) latest = parse_seconds(clamp);
  sha256_begin(&hash);
  begin_record(recipe);
  pack_tree(mount_tree(fs, true), TREE_LAYER);
  recipe = end_record();
  sha256_end(&hash, hex);
  int tree = openat(layer, "fs", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (tree < 0) fail_errno("open fs in", directory);
  printf("%s %llu %llu %llu\n", hex, (unsigned long long)content_bytes, (unsigned long long)out_total, (unsigned long long)members);
  if (fflush(stdout) != 0) fail(EXIT_SYSTEM, "write the answer: %s", strerror(errno));
  if (members > 0) make_durable(layer, tree, recipe, directory);
}
