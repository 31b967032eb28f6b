// The digest of what sources select: names below the selection, types, modes, owners, links, attributes and contents, no times.
// Digests of contents that the caller knows already (a client's directory) are not computed again.

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "copy.h"

static struct sha256 total;
static const struct patterns *exclude;

// Known contents: path → hexadecimal digest, sorted by path.
static struct known {
  const char *path, *hex;
} *known;
static size_t known_count;

static int by_path(const void *a, const void *b) { return strcmp(((const struct known *)a)->path, ((const struct known *)b)->path); }

static void read_known(void) {
  known_count = (size_t)next_number();
  if (known_count > 1 << 26 || (known = calloc(known_count + 1, sizeof *known)) == NULL) fail(EXIT_LIMIT, "too many files");
  for (size_t i = 0; i < known_count; i++) known[i] = (struct known){next_word(), next_word()};
  qsort(known, known_count, sizeof *known, by_path);
}

static void add_text(const char *text) { sha256_add(&total, text, strlen(text) + 1); }

static void add_number(uint64_t value) {
  char text[24];
  snprintf(text, sizeof text, "%llu", (unsigned long long)value);
  add_text(text);
}

static void add_xattrs(int fd, const char *path) {
  static char names[1 << 16], value[1 << 16];
  static const char *sorted[1 << 15];
  ssize_t size = flistxattr(fd, names, sizeof names);
  size_t count = 0;
  if (size < 0 && errno != EOPNOTSUPP) fail_path("list the attributes of", path);
  for (char *name = names; size > 0 && name < names + size; name += strlen(name) + 1)
    if (strncmp(name, "user.overlay.", 13) != 0 && (strncmp(name, "user.", 5) == 0 || strcmp(name, "security.capability") == 0 || strncmp(name, "system.posix_acl_", 17) == 0)) {
      size_t at = count++;
      for (; at > 0 && strcmp(sorted[at - 1], name) > 0; at--) sorted[at] = sorted[at - 1];
      sorted[at] = name;
    }
  add_number(count);
  for (size_t i = 0; i < count; i++) {
    ssize_t length = fgetxattr(fd, sorted[i], value, sizeof value);
    if (length < 0) fail_path("read an attribute of", path);
    add_text(sorted[i]);
    add_number((uint64_t)length);
    sha256_add(&total, value, (size_t)length);
  }
}

static void add_content(int fd, const char *path) {
  const struct known wanted = {path, NULL};
  const struct known *there = bsearch(&wanted, known, known_count, sizeof *known, by_path);
  if (there != NULL) {
    add_text(there->hex);
    return;
  }
  static unsigned char buffer[1 << 18];
  struct sha256 content;
  char hex[65];
  sha256_begin(&content);
  for (ssize_t n; (n = read(fd, buffer, sizeof buffer)) != 0;) {
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) fail_path("read", path);
    sha256_add(&content, buffer, (size_t)n);
  }
  sha256_end(&content, hex);
  add_text(hex);
}

// `path` in the tree, `below` in what is selected.
static void add_entry(int parent, const char *name, char path[PATH_LIMIT], char below[PATH_LIMIT], bool excluded, unsigned int depth) {
  struct stat st;
  if (fstatat(parent, name, &st, AT_SYMLINK_NOFOLLOW) < 0) fail_path("look at", path);
  if (S_ISSOCK(st.st_mode) || (S_ISCHR(st.st_mode) && st.st_rdev == 0)) return;
  if (excluded && !(S_ISDIR(st.st_mode) && exclude->has_negation)) return;
  if (depth > 1900) fail(EXIT_LIMIT, "/%s: directories nested too deeply", path);
  int fd = -1;
  if (S_ISDIR(st.st_mode) || S_ISREG(st.st_mode)) {
    fd = openat(parent, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (fd < 0) fail_path("open", path);
  }
  if (!excluded) {
    add_text(below);
    // The root of a tree is there whatever is copied.
    bool is_root = *path == 0;
    add_number(is_root ? S_IFDIR : st.st_mode);
    add_number(is_root ? 0 : st.st_uid);
    add_number(is_root ? 0 : st.st_gid);
    if (S_ISLNK(st.st_mode)) {
      char link[PATH_LIMIT];
      ssize_t length = readlinkat(parent, name, link, sizeof link - 1);
      if (length < 0) fail_path("read the link", path);
      link[length] = 0;
      add_text(link);
    }
    if (S_ISCHR(st.st_mode) || S_ISBLK(st.st_mode)) add_number(st.st_rdev);
    if (fd >= 0) add_xattrs(fd, path);
    if (S_ISREG(st.st_mode)) add_content(fd, path);
  }
  if (S_ISDIR(st.st_mode)) {
    size_t count, path_length = strlen(path), below_length = strlen(below);
    char **names = list_names(fd, &count, path);
    for (size_t i = 0; i < count; i++) {
      append_name(path, names[i]);
      append_name(below, names[i]);
      add_entry(fd, names[i], path, below, exclude->count > 0 && is_excluded(exclude, below), depth + 1);
      path[path_length] = 0;
      below[below_length] = 0;
      free(names[i]);
    }
    free(names);
  }
  if (fd >= 0) close(fd);
}

static void add_match(int root, const struct match *match, void *context) {
  static char path[PATH_LIMIT], below[PATH_LIMIT];
  const char *name;
  (void)context;
  int parent = open_parent_of(root, match->path, &name);
  if (parent < 0) fail_path("open the directory of", match->path);
  add_text("match");
  add_text(*match->under == 0 ? match->name : match->under);
  strcpy(path, match->path);
  strcpy(below, match->under);
  // Directories that --parents makes are copied with their metadata.
  for (const char *slash = strchr(match->under, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
    char directory[PATH_LIMIT];
    struct stat st;
    size_t length = strlen(match->path) - strlen(slash);
    memcpy(directory, match->path, length);
    directory[length] = 0;
    if (stat_resolved(root, directory, &st) < 0) fail_path("look at", directory);
    add_number(st.st_mode);
    add_number(st.st_uid);
    add_number(st.st_gid);
  }
  add_entry(parent, name, path, below, *match->under != 0 && exclude->count > 0 && is_excluded(exclude, below), 0);
  close(parent);
}

void digest_sources(void) {
  char hex[65];
  int root = next_tree(false);
  read_known();
  sha256_begin(&total);
  while (has_word()) {
    struct source source;
    next_source(&source);
    source.required = false;
    exclude = &source.exclude;
    add_text("source");
    add_number(select_sources(root, &source, add_match, NULL));
  }
  sha256_end(&total, hex);
  printf("%s\n", hex);
  if (fflush(stdout) != 0) fail(EXIT_SYSTEM, "write the answer: %s", strerror(errno));
}
