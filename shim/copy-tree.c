// Copies what a source selects, as BuildKit does: of a directory its content; files into a directory that is there or is meant by a
// slash at the end. A directory that was there keeps owner and mode at the top, and gets the source's below it.

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "copy.h"

enum { XATTRS_SIZE = 1 << 16, DEEPEST = 1900 };

static int destination_root;
static const struct ownership *ownership;
static const struct patterns *exclude;
static char target[PATH_LIMIT]; // of the entry in the destination
static char below[PATH_LIMIT];  // of the entry in what is copied, for patterns

static bool is_copied(const char *name) {
  if (strncmp(name, "user.", 5) == 0) return strncmp(name, "user.overlay.", 13) != 0;
  return strcmp(name, "security.capability") == 0 || strncmp(name, "system.posix_acl_", 17) == 0;
}

void copy_xattrs(int from, int to, bool (*is_wanted)(const char *name), const char *path) {
  static char names[XATTRS_SIZE], value[XATTRS_SIZE];
  ssize_t size = flistxattr(from, names, sizeof names);
  if (size < 0 && errno == EOPNOTSUPP) return;
  if (size < 0) fail_path("list the attributes of", path);
  for (char *name = names; name < names + size; name += strlen(name) + 1) {
    if (!is_wanted(name)) continue;
    ssize_t length = fgetxattr(from, name, value, sizeof value);
    if (length < 0 && errno == ENODATA) continue;
    if (length < 0) fail_path("read an attribute of", path);
    if (fsetxattr(to, name, value, (size_t)length, 0) == 0) continue;
    if (errno != EOPNOTSUPP || strcmp(name, "security.capability") == 0) fail_path("set an attribute of", path);
  }
}

static uid_t owner_of(const struct stat *st) { return ownership->chown ? ownership->uid : st->st_uid; }
static gid_t group_of(const struct stat *st) { return ownership->chown ? ownership->gid : st->st_gid; }
static mode_t mode_of(const struct stat *st) { return apply_chmod(ownership->chmod, st->st_mode) & 07777; }

static void set_metadata(int from, int to, const struct stat *st) {
  // In this order: chown takes setuid bits and capabilities away.
  if (fchown(to, owner_of(st), group_of(st)) < 0) fail_path("chown", target);
  if (fchmod(to, mode_of(st)) < 0) fail_path("chmod", target);
  copy_xattrs(from, to, is_copied, target);
}

static void set_time(int to, const struct stat *st) {
  const struct timespec times[2] = {st->st_atim, st->st_mtim};
  if (futimens(to, times) < 0) fail_path("set the times of", target);
}

// The destination's directory of a level; what is missing is made as its source is, but for its time.
static int open_level(struct level *level) {
  if (level->dst >= 0) return level->dst;
  struct stat st;
  int parent = open_level(level->up);
  bool made = mkdirat(parent, level->name, 0700) == 0;
  if (!made && errno != EEXIST) fail_path("make the directory", target);
  level->dst = openat(parent, level->name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (level->dst < 0 && (errno == ENOTDIR || errno == ELOOP)) fail(EXIT_BAD_ARCHIVE, "cannot copy to non-directory: /%s", target);
  if (level->dst < 0) fail_path("open the directory", target);
  if (made) {
    if (fstat(level->src, &st) < 0) fail_path("look at", target);
    set_metadata(level->src, level->dst, &st);
  }
  return level->dst;
}

static bool link_to_first(int parent, const char *name, const struct stat *st) {
  const char *first = first_name(st, target);
  if (first == NULL) return false;
  int fd = open_resolved(destination_root, first, O_PATH);
  if (fd < 0 || linkat(fd, "", parent, name, AT_EMPTY_PATH) < 0) fail_path("link", target);
  close(fd);
  return true;
}

static void copy_file(int from, int parent, const char *name, const struct stat *st) {
  int to = openat(parent, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (to < 0) fail_path("create", target);
  copy_data(from, to, st, target);
  set_metadata(from, to, st);
  set_time(to, st);
  if (close(to) < 0) fail_path("close", target);
}

static void copy_node(int from_parent, const char *from, int parent, const char *name, const struct stat *st) {
  const struct timespec times[2] = {st->st_atim, st->st_mtim};
  if (S_ISLNK(st->st_mode)) {
    char link[PATH_LIMIT];
    ssize_t length = readlinkat(from_parent, from, link, sizeof link - 1);
    if (length < 0) fail_path("read the link", target);
    link[length] = 0;
    if (symlinkat(link, parent, name) < 0) fail_path("make the symbolic link", target);
  } else if (mknodat(parent, name, (st->st_mode & S_IFMT) | 0600, st->st_rdev) < 0) {
    fail_path("make the node", target);
  }
  if (fchownat(parent, name, owner_of(st), group_of(st), AT_SYMLINK_NOFOLLOW) < 0) fail_path("chown", target);
  if (!S_ISLNK(st->st_mode) && fchmodat(parent, name, mode_of(st), 0) < 0) fail_path("chmod", target);
  if (utimensat(parent, name, times, AT_SYMLINK_NOFOLLOW) < 0) fail_path("set the times of", target);
}

static void copy_children(struct level *level, unsigned int depth);

static void copy_directory(int parent_src, const char *from, struct level *up, const char *name, const struct stat *st, bool excluded, unsigned int depth) {
  struct level level = {.up = up, .src = openat(parent_src, from, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC), .dst = -1, .name = name};
  if (level.src < 0) fail_path("open", target);
  if (depth > DEEPEST) fail(EXIT_LIMIT, "/%s: directories nested too deeply", target);
  if (!excluded) set_metadata(level.src, open_level(&level), st);
  copy_children(&level, depth + 1);
  if (!excluded) set_time(level.dst, st);
  if (level.dst >= 0) close(level.dst);
  close(level.src);
}

// One entry, `from` in the directory `parent_src`, as `name` below `up`.
static void copy_entry(int parent_src, const char *from, struct level *up, const char *name, bool excluded, unsigned int depth) {
  struct stat st;
  if (fstatat(parent_src, from, &st, AT_SYMLINK_NOFOLLOW) < 0) fail_path("look at the source of", target);
  if (S_ISDIR(st.st_mode)) {
    if (!excluded || exclude->has_negation) copy_directory(parent_src, from, up, name, &st, excluded, depth);
    return;
  }
  if (excluded || S_ISSOCK(st.st_mode) || (S_ISCHR(st.st_mode) && st.st_rdev == 0)) return;
  int parent = open_level(up);
  clear_for_file(parent, name, target);
  if (link_to_first(parent, name, &st)) return;
  if (!S_ISREG(st.st_mode)) {
    copy_node(parent_src, from, parent, name, &st);
    return;
  }
  int fd = openat(parent_src, from, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
  if (fd < 0) fail_path("open the source of", target);
  bool same = owner_of(&st) == st.st_uid && group_of(&st) == st.st_gid && mode_of(&st) == (st.st_mode & 07777);
  if (!same || !share_file(parent_src, from, parent, name, &st)) copy_file(fd, parent, name, &st);
  close(fd);
}

static void copy_children(struct level *level, unsigned int depth) {
  size_t count, to_length = strlen(target), below_length = strlen(below);
  char **names = list_names(level->src, &count, target);
  for (size_t i = 0; i < count; i++) {
    append_name(target, names[i]);
    append_name(below, names[i]);
    copy_entry(level->src, names[i], level, names[i], exclude->count > 0 && is_excluded(exclude, below), depth);
    target[to_length] = 0;
    below[below_length] = 0;
    free(names[i]);
  }
  free(names);
}

// A directory's content into the directory `target`.
static void copy_content(int root, const struct match *match, bool new) {
  struct stat st;
  struct level level = {.src = open_resolved(root, match->path, O_RDONLY | O_DIRECTORY), .dst = -1};
  if (level.src < 0 || fstat(level.src, &st) < 0) fail_path("open", match->path);
  level.dst = make_directories(destination_root, target, 0755, ownership);
  *below = 0;
  copy_children(&level, 0);
  if (new && fchmod(level.dst, apply_chmod(ownership->chmod, S_IFDIR | 0755) & 07777) < 0) fail_path("chmod", target);
  // The root of a context has no time that means anything.
  if (*match->path != 0) set_time(level.dst, &st);
  close(level.dst);
  close(level.src);
}

static void copy_single(int root, const struct match *match, const char *to) {
  const char *from, *name;
  int source = open_parent_of(root, match->path, &from);
  if (source < 0) fail_path("open the directory of", match->path);
  strcpy(target, to);
  char directory[PATH_LIMIT];
  strcpy(directory, target);
  char *slash = strrchr(directory, '/');
  *(slash == NULL ? directory : slash) = 0;
  name = slash == NULL ? target : target + (slash - directory) + 1;
  struct level level = {.src = source, .dst = make_directories(destination_root, directory, 0755, ownership)};
  copy_entry(source, from, &level, name, false, 0);
  close(level.dst);
  close(source);
}

struct order {
  const char *to;
  bool parents;
};

// --parents: the directories between the pivot and what is copied are made as their sources are.
static void copy_with_parents(int root, const struct match *match, const char *to) {
  char base[PATH_LIMIT], done[PATH_LIMIT] = "";
  struct level *level = calloc(1, sizeof *level);
  if (level == NULL) fail(EXIT_SYSTEM, "out of memory");
  resolve_path(destination_root, to, true, target);
  size_t length = strlen(match->path) - strlen(match->under);
  memcpy(base, match->path, length);
  base[length > 0 && base[length - 1] == '/' ? length - 1 : length] = 0;
  level->dst = make_directories(destination_root, target, 0755, ownership);
  level->src = open_resolved(root, base, O_RDONLY | O_DIRECTORY);
  if (level->src < 0) fail_path("open", base);
  const char *at = match->under;
  *below = 0;
  for (const char *slash; (slash = strchr(at, '/')) != NULL; at = slash + 1) {
    struct level *next = calloc(1, sizeof *next);
    if (next == NULL) fail(EXIT_SYSTEM, "out of memory");
    char *name = strndup(at, (size_t)(slash - at));
    append_name(done, name);
    append_name(target, name);
    append_name(below, name);
    *next = (struct level){.up = level, .src = openat(level->src, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC), .dst = -1, .name = name};
    if (next->src < 0) fail_path("open", done);
    level = next;
  }
  append_name(target, at);
  append_name(below, at);
  copy_entry(level->src, at, level, at, exclude->count > 0 && is_excluded(exclude, below), 0);
  while (level != NULL) {
    struct level *up = level->up;
    if (level->dst >= 0) close(level->dst);
    close(level->src);
    free((char *)level->name);
    free(level);
    level = up;
  }
}

static void copy_match(int root, const struct match *match, void *context) {
  const struct order *order = context;
  struct stat st, there;
  char to[PATH_LIMIT];
  forget_names();
  if (order->parents && *match->under != 0) {
    copy_with_parents(root, match, order->to);
    return;
  }
  size_t length = strlen(order->to);
  bool is_directory = length == 0 || order->to[length - 1] == '/' || (length > 1 && strcmp(order->to + length - 2, "/.") == 0);
  resolve_path(destination_root, order->to, true, to);
  bool new = stat_resolved(destination_root, to, &there) < 0;
  if (is_directory) close(make_directories(destination_root, to, 0755, ownership));
  if (stat_resolved(root, match->path, &st) < 0) fail_path("look at", match->path);
  if (S_ISDIR(st.st_mode)) {
    if (!new && !S_ISDIR(there.st_mode)) fail(EXIT_BAD_ARCHIVE, "cannot copy to non-directory: /%s", to);
    strcpy(target, to);
    copy_content(root, match, new);
    return;
  }
  if (stat_resolved(destination_root, to, &there) == 0 && S_ISDIR(there.st_mode)) append_name(to, match->name);
  copy_single(root, match, to);
}

void copy_source(int destination, int root, const struct source *source, const char *to, const struct ownership *owners) {
  struct order order = {.to = to, .parents = source->parents};
  destination_root = destination;
  ownership = owners;
  exclude = &source->exclude;
  select_sources(root, source, copy_match, &order);
}
