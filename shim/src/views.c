// What a build's step sees beside its own root: trees of other steps, directories, cache mounts, secrets, an agent's socket. Each is
// found inside of its tree by openat2, cloned as a mount of its own by descriptor, and put upon a place that was found inside of the
// step's root by openat2: no name is resolved twice, and none outside. Sources: open_tree(2), move_mount(2), mount_setattr(2).

#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "shim.h"

// sys/mount.h and linux/mount.h cannot be included together.
int mount(const char *, const char *, const char *, unsigned long, const void *);
int umount2(const char *, int);

enum { DETACH = 2 };

static bool make_directory(const char *path, char reason[REASON_SIZE]) {
  if (mkdir(path, 0700) == 0 || errno == EEXIST)
    return true;
  fail(reason, "mkdir %s: %s", path, strerror(errno));
  return false;
}

// The tree that the view is of; `mounted` when it is mounted at `point`.
static int open_tree_of(const struct view *v, const char *point, bool *mounted, char reason[REASON_SIZE]) {
  if (v->layers > 0) {
    struct overlay o = {.upper = v->upper, .work = v->work, .readonly = v->upper == NULL};
    *mounted = overlay_layers(&o, &v->group, "view.lower") && overlay_mount(&o, point);
    if (!*mounted)
      fail(reason, "mount overlay at %s: %s", point, strerror(errno));
  } else if (v->tmpfs) {
    char data[64];
    snprintf(data, sizeof data, v->tmpfs_bytes > 0 ? "mode=1777,size=%lld" : "mode=1777", (long long)v->tmpfs_bytes);
    *mounted = mount("tmpfs", point, "tmpfs", MS_NOSUID | MS_NODEV, data) == 0;
    if (!*mounted)
      fail(reason, "mount tmpfs at %s: %s", point, strerror(errno));
  }
  if (v->path == NULL && !*mounted)
    return -1;
  int fd = open(v->path == NULL ? point : v->path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0)
    fail(reason, "open %s: %s", v->path == NULL ? point : v->path, strerror(errno));
  return fd;
}

static bool set_attributes(int tree, bool readonly) {
  struct mount_attr attributes = {
      .attr_set = MOUNT_ATTR_NODEV | (readonly ? MOUNT_ATTR_RDONLY : 0),
      .propagation = MS_PRIVATE,
  };
  return syscall(SYS_mount_setattr, tree, "", AT_EMPTY_PATH, &attributes, sizeof attributes) == 0;
}

// What the view shows, as a mount that is nowhere yet; −1: `reason`.
static int clone_source(const struct view *v, int root, struct stat *st, char reason[REASON_SIZE]) {
  const char *shown = v->source == NULL ? "/" : v->source;
  int fd = v->source == NULL ? root : confine_open(root, v->source), tree = -1;
  if (fd < 0) {
    fail(reason, errno == ENOENT ? "\"%s\": not found" : "\"%s\": %s", shown, strerror(errno));
    return -1;
  }
  if (fstat(fd, st) != 0)
    fail(reason, "\"%s\": %s", shown, strerror(errno));
  else if (!S_ISDIR(st->st_mode) && !S_ISREG(st->st_mode) && !(v->socket && S_ISSOCK(st->st_mode)))
    fail(reason, "\"%s\": neither a file nor a directory", shown);
  else if ((tree = (int)syscall(SYS_open_tree, fd, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH)) < 0)
    fail(reason, "bind \"%s\": %s", shown, strerror(errno));
  else if (!set_attributes(tree, v->readonly)) {
    fail(reason, "bind \"%s\" with its attributes: %s", shown, strerror(errno));
    close(tree);
    tree = -1;
  }
  if (fd != root)
    close(fd);
  return tree;
}

// Of a view without a target: the runtime binds it from there, because what lies below /dev and /sys comes only with the runtime.
static bool put_at_point(int tree, const char *point, bool directory, char reason[REASON_SIZE]) {
  bool ok = directory;
  if (!directory && rmdir(point) == 0) {
    int fd = open(point, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    ok = fd >= 0;
    close(fd);
  }
  ok = ok && syscall(SYS_move_mount, tree, "", AT_FDCWD, point, MOVE_MOUNT_F_EMPTY_PATH) == 0;
  if (!ok)
    fail(reason, "bind at %s: %s", point, strerror(errno));
  return ok;
}

static bool open_view(struct shim *s, const struct view *v, struct seen *out, char reason[REASON_SIZE]) {
  char name[16], point[PATH_SIZE];
  struct stat st;
  bool mounted = false;
  snprintf(name, sizeof name, "views/%s", v->name);
  run_path(s, name, point);
  if (!make_directory(point, reason))
    return false;
  int root = open_tree_of(v, point, &mounted, reason);
  int tree = root < 0 ? -1 : clone_source(v, root, &st, reason);
  if (root >= 0)
    close(root);
  if (mounted)
    umount2(point, DETACH);
  if (tree < 0)
    return false;
  *out = (struct seen){.tree = tree, .directory = S_ISDIR(st.st_mode), .target = v->target};
  return v->target != NULL || put_at_point(tree, point, out->directory, reason);
}

bool views_open(struct shim *s, struct seen *seen, int *count, char reason[REASON_SIZE]) {
  char directory[PATH_SIZE];
  struct view view;
  size_t cursor = 0;
  run_path(s, "views", directory);
  if (!make_directory(directory, reason))
    return false;
  for (*count = 0; *count < VIEWS_MAX && view_next(&s->options.request, &cursor, &view); ++*count)
    if (!open_view(s, &view, &seen[*count], reason))
      return false;
  return true;
}

void views_close(struct seen *seen, int count) {
  for (int i = 0; i < count; i++)
    close(seen[i].tree);
}

static bool place(int root, const struct seen *v, char reason[REASON_SIZE]) {
  struct stat st, top;
  int fd = confine_make(root, v->target, v->directory, false);
  bool ok = fd >= 0 && fstat(fd, &st) == 0 && fstat(root, &top) == 0;
  if (ok && v->directory != S_ISDIR(st.st_mode)) {
    errno = v->directory ? ENOTDIR : EISDIR;
    ok = false;
  }
  if (ok && st.st_dev == top.st_dev && st.st_ino == top.st_ino) {
    errno = EINVAL; // the root itself
    ok = false;
  }
  ok = ok && syscall(SYS_move_mount, v->tree, "", fd, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) == 0;
  if (!ok)
    fail(reason, "mount at %s: %s", v->target, strerror(errno));
  if (fd >= 0)
    close(fd);
  return ok;
}

bool views_place(int root, const struct seen *seen, int count, char reason[REASON_SIZE]) {
  for (int i = 0; i < count; i++)
    if (seen[i].target != NULL && !place(root, &seen[i], reason))
      return false;
  return true;
}
