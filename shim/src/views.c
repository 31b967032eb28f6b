// What a build's step sees beside its own root: trees of other steps, directories, cache mounts, secrets, an agent's socket. And what
// a container does: parts of volumes, images. Each is found inside of its tree by openat2, cloned as a mount of its own by
// descriptor, and put upon a place that was found inside of the step's root by openat2, or at `<runDir>/views`: no name is
// resolved twice, and none outside. Sources: open_tree(2), move_mount(2), mount_setattr(2).

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

static bool is_step(const struct shim *s) { return s->options.stubs != NULL; }

static bool make_directory(const char *path, char reason[REASON_SIZE]) {
  if (mkdir(path, 0700) == 0 || errno == EEXIST)
    return true;
  fail(reason, "mkdir %s: %s", path, strerror(errno));
  return false;
}

// The kernel makes no overlay of one directory alone: it lies on an empty one, so that a single layer looks as among others.
static bool mount_layers(struct shim *s, const struct view *v, const char *point, char reason[REASON_SIZE]) {
  struct overlay o = {.upper = v->upper, .work = v->work, .readonly = v->upper == NULL};
  char nothing[PATH_SIZE];
  if (!overlay_layers(&o, &v->group, "view.lower"))
    return false;
  if (o.count == 1 && o.upper == NULL) {
    run_path(s, "views/none", nothing);
    if (!make_directory(nothing, reason))
      return false;
    o.lower[o.count++] = nothing;
  }
  return overlay_mount(&o, point);
}

// The tree that the view is of; `mounted` when it is mounted at `point`.
static int open_tree_of(struct shim *s, const struct view *v, const char *point, bool *mounted, char reason[REASON_SIZE]) {
  if (v->layers > 0) {
    *mounted = mount_layers(s, v, point, reason);
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
  // A step's trees are the engine's own directories. Where a driver keeps a volume is that driver's affair.
  int fd = open(v->path == NULL ? point : v->path, O_PATH | O_CLOEXEC | (is_step(s) ? O_NOFOLLOW : 0));
  if (fd < 0)
    fail(reason, "open %s: %s", v->path == NULL ? point : v->path, strerror(errno));
  return fd;
}

// What a container sees of a volume has the attributes of the volume's own mount, as a bind of all of it has.
static bool set_attributes(int tree, bool readonly, bool nodev) {
  struct mount_attr attributes = {
      .attr_set = (nodev ? MOUNT_ATTR_NODEV : 0) | (readonly ? MOUNT_ATTR_RDONLY : 0),
      .propagation = MS_PRIVATE,
  };
  return syscall(SYS_mount_setattr, tree, "", AT_EMPTY_PATH, &attributes, sizeof attributes) == 0;
}

// A container's view whose part is not there, in dockerd's words; errno says why.
static void say_why_not(struct shim *s, const char *tree, const char *source, char reason[REASON_SIZE]) {
  const char *slash = source[0] == '/' ? "" : "/";
  int error = errno;
  if (error == ENOENT) {
    s->setup_missing = true;
    fail(reason, "cannot access path %s%s%s: lstat %s%s%s: no such file or directory", tree, slash, source, tree, slash, source);
  } else if (error == ELOOP || error == ENOTDIR) {
    fail(reason, "error while resolving symlinks in combined path \"%s%s%s\": %s", tree, slash, source,
         error == ELOOP ? "too many links" : "not a directory");
  } else {
    fail(reason, "cannot access path %s%s%s: %s", tree, slash, source, strerror(error));
  }
}

// Whoever may use all of a volume may use every kind of file in it.
static bool can_show(const struct shim *s, const struct view *v, mode_t mode) {
  return !is_step(s) || S_ISDIR(mode) || S_ISREG(mode) || (v->socket && S_ISSOCK(mode));
}

// What the view shows of `root`, which is the tree of `path`, as a mount that is nowhere yet; −1: `reason`.
static int clone_source(struct shim *s, const struct view *v, int root, const char *path, struct stat *st,
                        char reason[REASON_SIZE]) {
  const char *shown = v->source == NULL ? "/" : v->source;
  int fd = v->source == NULL ? root : confine_open(root, v->source), tree = -1;
  if (fd < 0) {
    if (is_step(s))
      fail(reason, errno == ENOENT ? "\"%s\": not found" : "\"%s\": %s", shown, strerror(errno));
    else
      say_why_not(s, path, shown, reason);
    return -1;
  }
  if (fstat(fd, st) != 0)
    fail(reason, "\"%s\": %s", shown, strerror(errno));
  else if (!can_show(s, v, st->st_mode))
    fail(reason, "\"%s\": neither a file nor a directory", shown);
  else if ((tree = (int)syscall(SYS_open_tree, fd, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH)) < 0)
    fail(reason, "bind \"%s\": %s", shown, strerror(errno));
  else if (!set_attributes(tree, v->readonly, is_step(s) || v->tmpfs)) {
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
  int root = open_tree_of(s, v, point, &mounted, reason);
  int tree = root < 0 ? -1 : clone_source(s, v, root, v->path == NULL ? point : v->path, &st, reason);
  if (root >= 0)
    close(root);
  if (mounted)
    umount2(point, DETACH);
  if (tree < 0)
    return false;
  *out = (struct seen){.tree = tree, .directory = S_ISDIR(st.st_mode), .target = v->target};
  if (v->target != NULL || put_at_point(tree, point, out->directory, reason))
    return true;
  close(tree);
  return false;
}

bool views_open(struct shim *s, struct seen *seen, int *count, char reason[REASON_SIZE]) {
  char directory[PATH_SIZE];
  struct view view;
  size_t cursor = 0;
  *count = 0;
  if (!view_next(&s->options.request, &cursor, &view))
    return true;
  cursor = 0;
  run_path(s, "views", directory);
  if (!make_directory(directory, reason))
    return false;
  for (; *count < VIEWS_MAX && view_next(&s->options.request, &cursor, &view); ++*count)
    if (!open_view(s, &view, &seen[*count], reason))
      return false;
  return true;
}

void views_remove(struct shim *s) {
  char name[16];
  struct view view;
  size_t cursor = 0;
  while (view_next(&s->options.request, &cursor, &view)) {
    snprintf(name, sizeof name, "views/%s", view.name);
    if (unlinkat(s->run_fd, name, AT_REMOVEDIR) != 0 && errno == ENOTDIR)
      unlinkat(s->run_fd, name, 0);
  }
  unlinkat(s->run_fd, "views/none", AT_REMOVEDIR);
  unlinkat(s->run_fd, "views", AT_REMOVEDIR);
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
