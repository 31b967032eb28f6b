// A directory tree as a tar: depth first, names in order of their bytes. The tree may change meanwhile: what vanishes is left
// out, a file that became shorter is filled up with zeros, so that the archive is always whole. Links are never followed.
// Sources: kernel, Documentation/filesystems/overlayfs.rst; OCI image-spec 1.1, layer.md, "Whiteouts".

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "pack.h"

static enum tree_kind tree_kind;
static char path[PATH_LIMIT]; // of the member, relative to the root
static unsigned char records[PAX_LIMIT];

static bool has_prefix(const char *text, const char *prefix) { return strncmp(text, prefix, strlen(prefix)) == 0; }

static bool vanished(void) { return errno == ENOENT || errno == ESTALE; }

static int by_name(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

// What our mounts never use would make this tar wrong: another kernel's defaults may.
static void refuse_foreign(const char *name) {
  static const char *const foreign[] = {"overlay.redirect", "overlay.metacopy"};
  const char *dot = strchr(name, '.');
  if (tree_kind != TREE_LAYER || dot == NULL) return;
  for (size_t i = 0; i < sizeof foreign / sizeof *foreign; i++)
    if (strcmp(dot + 1, foreign[i]) == 0) fail(EXIT_SYSTEM, "%s has the attribute %s: the container was mounted with redirect_dir or metacopy", path, name);
}

static size_t records_of(const struct target *target) { return read_xattrs(target, path, refuse_foreign, records); }

static bool xattr_is_y(const struct target *target, const char *name) {
  char value[2];
  return get_xattr(target, name, value, sizeof value) == 1 && value[0] == 'y';
}

// As our mounts have it (no userxattr): user.overlay.opaque is any program's to set, and hides nothing.
static bool is_opaque(int fd) {
  const struct target target = {.fd = fd};
  return xattr_is_y(&target, "trusted.overlay.opaque");
}

static bool is_whiteout(const struct target *target, const struct stat *st) {
  if (S_ISCHR(st->st_mode) && st->st_rdev == makedev(0, 0)) return true;
  char value[1];
  return S_ISREG(st->st_mode) && st->st_size == 0 && get_xattr(target, "trusted.overlay.whiteout", value, sizeof value) >= 0;
}

static void emit_member(char type, const struct stat *st, uint64_t size, const char *link, size_t records_size) {
  const struct member member = {
      .path = path, .link = link, .type = type, .st = *st, .size = size, .records = records, .records_size = records_size};
  emit_header(&member);
  if (is_sealing()) seal_member(&member);
}

// An empty file called `.wh.` and what it hides; in the directory that `path` names, or of the name that `path` ends with.
static void emit_whiteout(const struct stat *of, const char *name) {
  const struct stat st = {.st_mode = S_IFREG | 0600, .st_mtim = {.tv_sec = of->st_mtim.tv_sec}};
  size_t length = strlen(path), start = strcmp(name, ".wh..opq") == 0 ? length : length - strlen(name);
  char kept[PATH_LIMIT];
  strcpy(kept, path);
  int n = snprintf(path + start, sizeof path - start, "%s.wh.%s", start == length && length > 0 ? "/" : "", name);
  if (start + (size_t)n >= sizeof path || strlen(name) > 251) fail(EXIT_LIMIT, "%s: too long a name for a whiteout", kept);
  emit_member('0', &st, 0, NULL, 0);
  strcpy(path, kept);
}

static void pack_file(int fd, const struct stat *st, size_t records_size) {
  const char *first = first_name(st, path);
  if (first != NULL) {
    emit_member('1', st, 0, first, 0);
    return;
  }
  uint64_t size = (uint64_t)st->st_size;
  emit_member('0', st, size, NULL, records_size);
  uint64_t sent = emit_file(fd, 0, size, path);
  emit_zeros(size - sent + (BLOCK - size % BLOCK) % BLOCK);
}

// What has no content: links, nodes, FIFOs.
static void pack_node(const struct target *target, const struct stat *st) {
  char link[PATH_LIMIT];
  char type = S_ISLNK(st->st_mode) ? '2' : S_ISCHR(st->st_mode) ? '3' : S_ISBLK(st->st_mode) ? '4' : '6';
  if (type == '2') {
    ssize_t length = readlinkat(target->parent, target->name, link, sizeof link);
    if (length < 0 && (vanished() || errno == EINVAL)) return;
    if (length < 0) fail(EXIT_SYSTEM, "read the link %s: %s", path, strerror(errno));
    if (length == sizeof link) fail(EXIT_LIMIT, "%s: the link's target is longer than %d bytes", path, PATH_LIMIT - 1);
    link[length] = 0;
  }
  size_t records_size = records_of(target);
  const char *first = first_name(st, path);
  if (first != NULL) emit_member('1', st, 0, first, 0);
  else emit_member(type, st, 0, type == '2' ? link : NULL, records_size);
}

static void pack_children(int fd, const struct stat *st, bool opaque);

// Closes `fd`.
static void pack_directory(int fd, int parent, const char *name, const struct stat *st) {
  const struct target target = {.fd = fd};
  bool opaque = tree_kind == TREE_LAYER && is_opaque(fd);
  size_t records_size = records_of(&target);
  if (tree_kind == TREE_LAYER && !opaque && records_size == 0 && is_made(parent, name, path, st)) {
    close(fd);
    if (is_sealing()) seal_drop(parent, name, path);
    return;
  }
  emit_member('5', st, 0, NULL, records_size);
  if (opaque) emit_whiteout(st, ".wh..opq");
  pack_children(fd, st, opaque);
}

static void pack_child(int parent, const char *name) {
  struct target target = {.fd = -1, .parent = parent, .name = name};
  struct stat st;
  if (fstatat(parent, name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
    if (vanished()) return;
    fail(EXIT_SYSTEM, "stat %s: %s", path, strerror(errno));
  }
  if (S_ISREG(st.st_mode) || S_ISDIR(st.st_mode)) {
    // The mount lets no device be opened, whatever came in the place of the file.
    const int flags = S_ISDIR(st.st_mode) ? O_RDONLY | O_DIRECTORY : O_RDONLY | O_NONBLOCK | O_NOCTTY;
    target.fd = openat(parent, name, flags | O_NOFOLLOW | O_CLOEXEC);
    if (target.fd < 0) {
      if (vanished() || errno == ENOTDIR || errno == ELOOP || errno == ENXIO || errno == EACCES) return;
      fail(EXIT_SYSTEM, "open %s: %s", path, strerror(errno));
    }
    if (fstat(target.fd, &st) < 0) fail(EXIT_SYSTEM, "stat %s: %s", path, strerror(errno));
  }
  bool left_out = false;
  if (is_sealing()) seal_time(&st);
  if (is_whiteout(&target, &st)) {
    if (tree_kind == TREE_LAYER) emit_whiteout(&st, name);
    if (is_sealing() && S_ISREG(st.st_mode)) {
      seal_whiteout(parent, name, path);
      close(target.fd);
      target.fd = -1;
    }
  } else if (S_ISDIR(st.st_mode)) {
    pack_directory(target.fd, parent, name, &st);
    return;
  } else if (tree_kind == TREE_LAYER && is_made(parent, name, path, &st)) {
    left_out = true; // not the container's
  } else if (S_ISREG(st.st_mode) && target.fd >= 0) {
    pack_file(target.fd, &st, records_of(&target));
  } else if (!S_ISSOCK(st.st_mode) && target.fd < 0) {
    pack_node(&target, &st);
  } else {
    left_out = true;
  }
  if (is_sealing() && left_out) seal_drop(parent, name, path);
  else if (is_sealing()) seal_inode(target.fd, parent, name, &st, false, path);
  if (target.fd >= 0) close(target.fd);
}

// Closes `fd`.
static void pack_children(int fd, const struct stat *st, bool opaque) {
  char **names = NULL;
  size_t count = 0, room = 0, length = strlen(path);
  DIR *dir = fdopendir(fd);
  if (dir == NULL) fail(EXIT_SYSTEM, "read the directory %s: %s", path, strerror(errno));
  errno = 0;
  for (struct dirent *child; (child = readdir(dir)) != NULL; errno = 0) {
    if (strcmp(child->d_name, ".") == 0 || strcmp(child->d_name, "..") == 0) continue;
    if (count == room) {
      room = room == 0 ? 16 : 2 * room;
      names = realloc(names, room * sizeof *names);
      if (names == NULL) fail(EXIT_SYSTEM, "out of memory");
    }
    if ((names[count++] = strdup(child->d_name)) == NULL) fail(EXIT_SYSTEM, "out of memory");
  }
  if (errno != 0 && !vanished()) fail(EXIT_SYSTEM, "read the directory %s: %s", path, strerror(errno));
  if (count > 0) qsort(names, count, sizeof *names, by_name);
  for (size_t i = 0; i < count; i++) {
    int n = snprintf(path + length, sizeof path - length, "%s%s", length == 0 ? "" : "/", names[i]);
    if (length + (size_t)n + 1 >= sizeof path) fail(EXIT_LIMIT, "%.60s…: a path is longer than %d bytes", path, PATH_LIMIT - 2);
    if (tree_kind == TREE_LAYER && has_prefix(names[i], ".wh.")) fail(EXIT_LIMIT, "%s: a layer cannot hold a name that begins with .wh.", path);
    pack_child(dirfd(dir), names[i]);
    path[length] = 0;
    free(names[i]);
  }
  free(names);
  if (is_sealing()) seal_inode(dirfd(dir), -1, NULL, st, opaque, path);
  closedir(dir);
}

// The root is a member only if it is not as an unpacked layer's root is by itself; and if nothing at all has changed, it is none
// even then, so that no change makes an empty tar.
static void pack_root(int root, const struct stat *st) {
  const struct target target = {.fd = root};
  size_t records_size = records_of(&target);
  if ((st->st_mode & 07777) == 0755 && st->st_uid == 0 && st->st_gid == 0 && records_size == 0) return;
  if (records_size == 0 && is_empty_root(root, st)) return;
  strcpy(path, ".");
  emit_member('5', st, 0, NULL, records_size);
  *path = 0;
}

void pack_tree(int root, enum tree_kind kind) {
  tree_kind = kind;
  struct stat st;
  if (fstat(root, &st) < 0) fail(EXIT_SYSTEM, "stat the root: %s", strerror(errno));
  if (is_sealing()) seal_time(&st);
  if (kind == TREE_LAYER) pack_root(root, &st);
  pack_children(root, &st, false);
  emit_zeros(2 * BLOCK);
  flush_out();
}
