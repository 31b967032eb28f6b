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
  char base[PATH_LIMIT]; // resolved
};

static void found(struct search *search, const char *below) {
  static struct match match;
  struct stat st;
  strcpy(match.path, search->base);
  if (*below != 0) append_name(match.path, below);
  const char *slash = strrchr(match.path, '/');
  static char name[PATH_LIMIT];
  strcpy(name, slash == NULL ? match.path : slash + 1);
  match.name = name;
  strcpy(match.under, search->source->parents ? below : "");
  if (search->source->follow && !search->source->parents && stat_resolved(search->root, match.path, &st) == 0 && S_ISLNK(st.st_mode)) {
    char path[PATH_LIMIT];
    resolve_path(search->root, match.path, true, path);
    if (stat_resolved(search->root, path, &st) < 0) fail(EXIT_NOT_FOUND, "\"/%s\": not found", match.path);
    strcpy(match.path, path);
  }
  search->found++;
  search->call(search->root, &match, search->context);
}

static bool is_directory(struct search *search, const char *below) {
  char path[PATH_LIMIT];
  struct stat st;
  strcpy(path, search->base);
  if (*below != 0) append_name(path, below);
  return stat_resolved(search->root, path, &st) == 0 && S_ISDIR(st.st_mode);
}

// `pattern`: the components that are left, below the directory `below` of the base.
static void search_below(struct search *search, const char *pattern, const char *below) {
  char component[PATH_LIMIT], path[PATH_LIMIT], here[PATH_LIMIT];
  while (*pattern == '/') pattern++;
  size_t n = strcspn(pattern, "/");
  memcpy(component, pattern, n);
  component[n] = 0;
  const char *rest = pattern + n + strspn(pattern + n, "/");
  bool any_depth = search->source->parents && strcmp(component, "**") == 0;
  if (any_depth && *rest != 0) search_below(search, rest, below);
  strcpy(here, search->base);
  if (*below != 0) append_name(here, below);
  int directory = open_resolved(search->root, here, O_RDONLY | O_DIRECTORY);
  if (directory < 0) {
    if (errno == ENOTDIR || errno == ENOENT || errno == ELOOP) return;
    fail_path("open", here);
  }
  size_t count;
  char **names = list_names(directory, &count, here);
  close(directory);
  for (size_t i = 0; i < count; i++) {
    strcpy(path, below);
    append_name(path, names[i]);
    free(names[i]);
    const char *slash = strrchr(path, '/'), *name = slash == NULL ? path : slash + 1;
    if (any_depth && *rest != 0) {
      if (is_directory(search, path)) search_below(search, pattern, path);
    } else if (any_depth || match_component(component, name)) {
      if (*rest == 0) found(search, path);
      else if (is_directory(search, path)) search_below(search, rest, path);
    }
  }
  free(names);
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
      if (is_directory(&search, "")) found(&search, "");
    } else {
      search_below(&search, pattern, "");
    }
  }
  if (search.found == 0 && source->required) not_found(source);
  return search.found;
}
