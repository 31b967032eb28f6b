// Which sources are meant. A path is followed inside its root, also where it ends with a link, if that is wanted; components behind the
// first pattern are compared with names as they are. With --parents the part behind "/./" is kept in the destination.

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "copy.h"

void next_source(struct source *source) {
  source->path = next_word();
  const char *flags = next_word();
  source->wildcard = strchr(flags, 'w') != NULL;
  source->follow = strchr(flags, 'f') != NULL;
  source->parents = strchr(flags, 'p') != NULL;
  source->required = strchr(flags, 'r') != NULL;
  source->exclude.count = next_number();
  if (source->exclude.count > (1 << 20)) fail(EXIT_LIMIT, "too many patterns");
  source->exclude.list = calloc(source->exclude.count + 1, sizeof *source->exclude.list);
  if (source->exclude.list == NULL) fail(EXIT_SYSTEM, "out of memory");
  source->exclude.has_negation = false;
  for (size_t i = 0; i < source->exclude.count; i++) {
    const char *pattern = next_word();
    if (*pattern == '!') source->exclude.has_negation = true;
    // Patterns are relative to what is copied, with or without a slash in front.
    source->exclude.list[i] = *pattern == '/' ? pattern + 1 : pattern;
    check_pattern(source->exclude.list[i]);
  }
}

static int by_name(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

char **list_names(int directory, size_t *count, const char *what) {
  int fd = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR *dir = fd < 0 ? NULL : fdopendir(fd);
  char **names = NULL;
  size_t room = 0;
  if (dir == NULL) fail_path("read the directory", what);
  *count = 0;
  errno = 0;
  for (struct dirent *child; (child = readdir(dir)) != NULL; errno = 0) {
    struct stat st;
    if (strcmp(child->d_name, ".") == 0 || strcmp(child->d_name, "..") == 0) continue;
    // A layer that is looked at alone shows its whiteouts.
    if (child->d_type == DT_CHR && fstatat(fd, child->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && st.st_rdev == 0) continue;
    if (*count == room) {
      room = room == 0 ? 16 : 2 * room;
      if ((names = realloc(names, room * sizeof *names)) == NULL) fail(EXIT_SYSTEM, "out of memory");
    }
    if ((names[(*count)++] = strdup(child->d_name)) == NULL) fail(EXIT_SYSTEM, "out of memory");
  }
  if (errno != 0) fail_path("read the directory", what);
  closedir(dir);
  if (*count > 0) qsort(names, *count, sizeof *names, by_name);
  return names;
}

struct search {
  int root;
  const struct source *source;
  match_function call;
  void *context;
  size_t found;
  char base[PATH_LIMIT];  // resolved
  char below[PATH_LIMIT]; // where the search has come to, below the base
};

// Where the search is. Not inlined: the search itself goes as deep as a tree.
__attribute__((noinline)) static int open_here(struct search *search, int flags, const char **name) {
  static char here[PATH_LIMIT];
  strcpy(here, search->base);
  if (*search->below != 0) append_name(here, search->below);
  *name = here;
  return open_resolved(search->root, here, flags);
}

static bool is_directory(struct search *search) {
  const char *name;
  struct stat st;
  int fd = open_here(search, O_PATH, &name);
  if (fd < 0) return false;
  bool is = fstat(fd, &st) == 0 && S_ISDIR(st.st_mode);
  close(fd);
  return is;
}

__attribute__((noinline)) static void found(struct search *search) {
  static struct match match;
  struct stat st;
  strcpy(match.path, search->base);
  if (*search->below != 0) append_name(match.path, search->below);
  static char asked[PATH_LIMIT];
  strcpy(asked, match.path);
  const char *slash = strrchr(asked, '/');
  match.asked = asked;
  match.name = slash == NULL ? asked : slash + 1;
  strcpy(match.under, search->source->parents ? search->below : "");
  if (search->source->follow && !search->source->parents && stat_resolved(search->root, match.path, &st) == 0 && S_ISLNK(st.st_mode)) {
    char path[PATH_LIMIT];
    resolve_path(search->root, match.path, true, path);
    if (stat_resolved(search->root, path, &st) < 0) fail(EXIT_NOT_FOUND, "\"/%s\": not found", match.path);
    strcpy(match.path, path);
  }
  search->found++;
  search->call(search->root, &match, search->context);
}

// `pattern`: the components that are left, below where the search is.
static void search_below(struct search *search, const char *pattern) {
  while (*pattern == '/') pattern++;
  size_t n = strcspn(pattern, "/"), length = strlen(search->below);
  const char *rest = pattern + n + strspn(pattern + n, "/"), *here;
  char *component = strndup(pattern, n);
  if (component == NULL) fail(EXIT_SYSTEM, "out of memory");
  bool any_depth = search->source->parents && strcmp(component, "**") == 0;
  // Two of them say no more than one.
  while (any_depth && strncmp(rest, "**/", 3) == 0) rest += 3 + strspn(rest + 3, "/");
  if (any_depth && *rest != 0) search_below(search, rest);
  int directory = open_here(search, O_RDONLY | O_DIRECTORY, &here);
  if (directory < 0) {
    if (errno != ENOTDIR && errno != ENOENT && errno != ELOOP) fail_path("open", here);
    free(component);
    return;
  }
  size_t count;
  char **names = list_names(directory, &count, here);
  close(directory);
  for (size_t i = 0; i < count; i++) {
    append_name(search->below, names[i]);
    if (any_depth && *rest != 0) {
      if (is_directory(search)) search_below(search, pattern);
    } else if (any_depth || match_component(component, names[i])) {
      if (*rest == 0) found(search);
      else if (is_directory(search)) search_below(search, rest);
    }
    search->below[length] = 0;
    free(names[i]);
  }
  free(names);
  free(component);
}

// Splits at the first component with a pattern, or with --parents at the pivot.
static const char *split(const struct source *source, char base[PATH_LIMIT]) {
  const char *path = source->path;
  while (*path == '/') path++;
  const char *pivot = strncmp(path, "./", 2) == 0 ? path - 1 : strstr(path, "/./");
  if (strlen(path) >= PATH_LIMIT) fail(EXIT_LIMIT, "%.60s…: a path is longer than %d bytes", path, PATH_LIMIT - 1);
  strcpy(base, path);
  if (source->parents) {
    if (pivot == NULL) {
      *base = 0;
      return path;
    }
    base[pivot < path ? 0 : pivot - path] = 0;
    return pivot + 3;
  }
  if (!source->wildcard || !is_pattern(path)) return "";
  for (const char *at = path, *end = path;; at = *end == 0 ? end : end + 1) {
    char component[PATH_LIMIT];
    end = at + strcspn(at, "/");
    memcpy(component, at, (size_t)(end - at));
    component[end - at] = 0;
    if (!is_pattern(component)) continue;
    base[at - path] = 0;
    return at;
  }
}

static void not_found(const struct source *source) {
  const char *path = source->path;
  while (*path == '/') path++;
  fail(EXIT_NOT_FOUND, "\"/%s\": not found", path);
}

static void select_plain(struct search *search, const char *path) {
  static struct match match;
  static char name[PATH_LIMIT];
  struct stat st;
  resolve_path(search->root, path, search->source->follow, match.path);
  if (search->root < 0 || stat_resolved(search->root, match.path, &st) < 0) {
    if (search->root >= 0 && errno != ENOENT && errno != ENOTDIR) fail_path("look at", path);
    return;
  }
  size_t length = strlen(path);
  while (length > 0 && path[length - 1] == '/') length--;
  size_t start = length;
  while (start > 0 && path[start - 1] != '/') start--;
  memcpy(name, path + start, length - start);
  name[length - start] = 0;
  match.name = name;
  match.asked = path;
  *match.under = 0;
  search->found++;
  search->call(search->root, &match, search->context);
}

size_t select_sources(int root, const struct source *source, match_function call, void *context) {
  struct search search = {.root = root, .source = source, .call = call, .context = context};
  char base[PATH_LIMIT];
  const char *pattern = split(source, base);
  if (root < 0) {
    if (source->required) not_found(source);
    return 0;
  }
  if (*pattern == 0 && !source->parents) {
    select_plain(&search, base);
  } else {
    check_pattern(pattern);
    resolve_path(root, base, true, search.base);
    while (*pattern == '/') pattern++;
    if (*pattern == 0 || strcmp(pattern, ".") == 0) {
      if (is_directory(&search)) found(&search);
    } else {
      search_below(&search, pattern);
    }
  }
  if (search.found == 0 && source->required) not_found(source);
  return search.found;
}
