// What a writable layer changes, as dockerd tells it: it compares what is seen with and without the layer, by type, mode, owner, device,
// capabilities and, of all but directories, size and time. Only the layer itself is walked: whatever it does not hold is as below.
// A directory in which something was changed is modified. What the engine made to mount on is none (pack-made.c).
// Sources: Documentation/filesystems/overlayfs.rst; Engine API 1.51, GET /containers/{id}/changes.

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "archive.h"
#include "pack.h"

enum { DIRECTORIES_LIMIT = 512, DEEPEST = 2040 };

static char path[PATH_LIMIT]; // with a slash in front
static size_t printed;

static void print_change(char kind, const char *of) {
  emit(&kind, 1);
  emit(of, strlen(of) + 1);
  printed++;
}

static size_t append(const char *name) {
  size_t length = strlen(path);
  int n = snprintf(path + length, sizeof path - length, "/%s", name);
  if (length + (size_t)n >= sizeof path) fail(EXIT_LIMIT, "%.60s…: a path is longer than %d bytes", path, PATH_LIMIT - 1);
  return length;
}

// A time without nanoseconds may have lost them.
static bool same_time(const struct timespec *a, const struct timespec *b) {
  return a->tv_sec == b->tv_sec && (a->tv_nsec == b->tv_nsec || a->tv_nsec == 0 || b->tv_nsec == 0);
}

static bool same_capability(int a, int b, const char *name) {
  char first[256], second[256];
  const struct target here = {-1, a, name}, below = {-1, b, name};
  ssize_t n = get_xattr(&here, "security.capability", first, sizeof first), m = get_xattr(&below, "security.capability", second, sizeof second);
  return n == m && (n <= 0 || memcmp(first, second, (size_t)n) == 0);
}

static bool is_changed(int upper, const struct stat *now, int lower, const struct stat *before, const char *name) {
  if (now->st_mode != before->st_mode || now->st_uid != before->st_uid || now->st_gid != before->st_gid || now->st_rdev != before->st_rdev) return true;
  if (!S_ISDIR(now->st_mode) && (now->st_size != before->st_size || !same_time(&now->st_mtim, &before->st_mtim))) return true;
  return (S_ISREG(now->st_mode) || S_ISDIR(now->st_mode)) && !same_capability(upper, lower, name);
}

static bool is_whiteout(int parent, const char *name, const struct stat *st) {
  char value[1];
  const struct target target = {-1, parent, name};
  if (S_ISCHR(st->st_mode)) return st->st_rdev == makedev(0, 0);
  return S_ISREG(st->st_mode) && st->st_size == 0 && get_xattr(&target, "trusted.overlay.whiteout", value, sizeof value) >= 0;
}

// What our mounts never use would make the answer wrong.
static void refuse_redirect(int fd) {
  char value[2];
  const struct target target = {.fd = fd};
  if (get_xattr(&target, "trusted.overlay.redirect", value, 0) >= 0) fail(EXIT_SYSTEM, "%s was renamed with redirect_dir", path);
}

static bool is_opaque(int fd) {
  char value[2];
  const struct target target = {.fd = fd};
  return get_xattr(&target, "trusted.overlay.opaque", value, sizeof value) == 1 && value[0] == 'y';
}

// dockerd has these in a layer of its own under each container's: what became of them is a change of something.
static char change_of_made(const struct stat *st) {
  static const char *const files[] = {"/.dockerenv", "/etc/hosts", "/etc/hostname", "/etc/resolv.conf", "/etc/mtab"};
  static const char *const directories[] = {"/dev", "/proc", "/sys", "/etc"};
  for (size_t i = 0; i < sizeof files / sizeof *files; i++)
    if (strcmp(path, files[i]) == 0) return 'C';
  for (size_t i = 0; i < sizeof directories / sizeof *directories; i++)
    if (strcmp(path, directories[i]) == 0) return st->st_mode == (S_IFDIR | 0755) && st->st_uid == 0 && st->st_gid == 0 ? 0 : 'C';
  return 'A';
}

static int open_directory(int parent, const char *name) {
  int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0 && errno != ENOENT && errno != ENOTDIR) fail(EXIT_SYSTEM, "open %s: %s", path, strerror(errno));
  return fd;
}

// Names below that an opaque directory hides.
static void print_hidden(int upper, int lower) {
  DIR *dir = fdopendir(dup(lower));
  if (dir == NULL) fail(EXIT_SYSTEM, "read the directory %s: %s", path, strerror(errno));
  rewinddir(dir);
  for (struct dirent *child; (child = readdir(dir)) != NULL;) {
    struct stat st;
    if (strcmp(child->d_name, ".") == 0 || strcmp(child->d_name, "..") == 0) continue;
    if (fstatat(upper, child->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0) continue;
    size_t length = append(child->d_name);
    print_change('D', path);
    path[length] = 0;
  }
  closedir(dir);
}

// `lower` is -1 where nothing lies below; `hidden`: a directory above hides it all. Closes both.
static void walk(int upper, int lower, bool hidden, unsigned int depth);

static void look_at(int upper, int lower, const char *name, bool hidden, unsigned int depth) {
  struct stat now, before;
  if (fstatat(upper, name, &now, AT_SYMLINK_NOFOLLOW) < 0) {
    if (errno == ENOENT) return;
    fail(EXIT_SYSTEM, "look at %s: %s", path, strerror(errno));
  }
  bool was = lower >= 0 && fstatat(lower, name, &before, AT_SYMLINK_NOFOLLOW) == 0;
  if (is_whiteout(upper, name, &now)) {
    if (was) print_change('D', path);
    return;
  }
  if (!was && is_made(upper, name, path + 1, &now)) return;
  char kind = 0;
  if (was) kind = is_changed(upper, &now, lower, &before, name) ? 'C' : 0;
  else kind = change_of_made(&now);
  if (kind != 0) print_change(kind, path);
  if (!S_ISDIR(now.st_mode)) return;
  size_t before_children = printed;
  int fd = open_directory(upper, name), below = was && S_ISDIR(before.st_mode) ? open_directory(lower, name) : -1;
  if (fd >= 0) walk(fd, below, hidden, depth + 1);
  else if (below >= 0) close(below);
  if (kind == 0 && printed > before_children) print_change('C', path);
}

static void walk(int upper, int lower, bool hidden, unsigned int depth) {
  if (depth > DEEPEST) fail(EXIT_LIMIT, "%.60s…: directories nested too deeply", path);
  refuse_redirect(upper);
  hidden = hidden || is_opaque(upper);
  DIR *dir = fdopendir(upper);
  if (dir == NULL) fail(EXIT_SYSTEM, "read the directory %s: %s", path, strerror(errno));
  for (struct dirent *child; (child = readdir(dir)) != NULL;) {
    if (strcmp(child->d_name, ".") == 0 || strcmp(child->d_name, "..") == 0) continue;
    size_t length = append(child->d_name);
    look_at(upper, lower, child->d_name, hidden, depth);
    path[length] = 0;
  }
  if (lower >= 0 && hidden) print_hidden(upper, lower);
  closedir(dir);
  if (lower >= 0) close(lower);
}

void print_changes(void) {
  static char *directories[DIRECTORIES_LIMIT];
  size_t count = 0;
  const char *upper = next_word();
  do {
    if (count == DIRECTORIES_LIMIT) fail(EXIT_LIMIT, "more than %d layers", DIRECTORIES_LIMIT);
    directories[count++] = (char *)next_word();
  } while (has_word());
  set_lower(directories, count);
  int lower = count == 1 ? mount_tree(directories[0], false) : mount_overlay(directories, count, NULL, NULL);
  walk(mount_tree(upper, false), lower, false, 0);
  flush_out();
}
