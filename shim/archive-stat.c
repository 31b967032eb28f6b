// What a path is, as X-Docker-Container-Path-Stat tells it.

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "archive.h"
#include "pack.h"

void base_name(const char *path, char to[PATH_LIMIT]) {
  size_t end = strlen(path), start;
  while (end > 0 && path[end - 1] == '/') end--;
  for (start = end; start > 0 && path[start - 1] != '/'; start--) continue;
  if (end - start >= PATH_LIMIT) fail(EXIT_LIMIT, "%.60s…: a name is longer than %d bytes", path, PATH_LIMIT - 1);
  memcpy(to, path + start, end - start);
  to[end - start] = 0;
  if (end == 0) strcpy(to, *path == 0 ? "." : "/");
}

void print_stat(int root, const char *path, const struct stat *st) {
  char text[96], name[PATH_LIMIT], target[PATH_LIMIT] = "";
  base_name(path, name);
  if (S_ISLNK(st->st_mode)) resolve_path(root, path, true, target);
  int64_t seconds = st->st_mtim.tv_sec;
  __int128 ns = (__int128)seconds * 1000000000 + st->st_mtim.tv_nsec;
  // Go's times are 64 bits of nanoseconds where they are compared; what is beyond is the same as the bound.
  if (ns > INT64_MAX) ns = INT64_MAX;
  if (ns < INT64_MIN) ns = INT64_MIN;
  int n = snprintf(text, sizeof text, "%lld%c%u%c%lld%c", (long long)st->st_size, 0, st->st_mode, 0, (long long)ns, 0);
  emit(text, (size_t)n);
  emit(name, strlen(name) + 1);
  if (S_ISLNK(st->st_mode)) emit("/", 1);
  emit(target, strlen(target) + 1);
  flush_out();
}
