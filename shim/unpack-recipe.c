// The recipe while the archive passes (layer-record.c): where files are at the end. Files that lose their name on the way are kept
// in aside/. The last pass looks each reference up again, so that a recipe which does not give the same bytes never exists.

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "unpack.h"

static int keep_fd = -1, aside_fd = -1;

void create_recipe(const char *layer) {
  keep_fd = open(layer, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (keep_fd < 0) fail_errno("open", layer);
  int fd = openat(keep_fd, "recipe", O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (fd < 0) fail_errno("create the recipe in", layer);
  begin_record(fd);
}

static int open_aside(void) {
  if (aside_fd >= 0) return aside_fd;
  if (mkdirat(keep_fd, "aside", 0700) < 0) fail_errno("make the directory", "aside");
  aside_fd = openat(keep_fd, "aside", O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (aside_fd < 0) fail_errno("open the directory", "aside");
  return aside_fd;
}

// 0 or 1: names of the file in aside/.
static nlink_t names_aside(const struct stat *st) {
  struct stat kept;
  char name[ASIDE_NAME];
  aside_name(st->st_ino, name);
  return aside_fd >= 0 && fstatat(aside_fd, name, &kept, AT_SYMLINK_NOFOLLOW) == 0;
}

nlink_t names_in_layer(const struct stat *st) { return st->st_nlink - names_aside(st); }

bool keep_aside(int parent, const char *name, const struct stat *st) {
  if (!is_recording() || !S_ISREG(st->st_mode) || st->st_size == 0 || names_aside(st) > 0) return false;
  char kept[ASIDE_NAME];
  aside_name(st->st_ino, kept);
  if (renameat(parent, name, open_aside(), kept) < 0) fail_errno("keep aside", name);
  return true;
}

void record_file(int fd, int parent, const char *name, uint64_t size) {
  if (!is_recording()) return;
  char path[PATH_LIMIT];
  struct stat st;
  if (fstat(fd, &st) < 0) fail_errno("stat", name);
  if (!real_path(parent, name, path)) {
    // Too deep for one call: found by its inode.
    aside_name(st.st_ino, path);
    if (linkat(parent, name, open_aside(), path, 0) < 0) fail_errno("keep aside", name);
    *path = 0;
  }
  record_content(st.st_ino, size, path);
}

static bool is_file(int parent, const char *name, const struct recipe_record *record) {
  struct stat st;
  return fstatat(parent, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode) && st.st_ino == record->inode &&
         (uint64_t)st.st_size == record->size;
}

// Whether fs/<path> is the file, no symbolic link on the way. Files come in directory order.
static bool is_in_place(const struct recipe_record *record) {
  static char directory[PATH_LIMIT];
  static int fd = -1;
  if (*record->path == 0) return false;
  const char *slash = strrchr(record->path, '/');
  size_t length = slash == NULL ? 0 : (size_t)(slash - record->path);
  if (fd < 0 || strncmp(directory, record->path, length) != 0 || directory[length] != 0) {
    if (fd >= 0) close(fd);
    memcpy(directory, record->path, length);
    directory[length] = 0;
    fd = open_real(directory, O_PATH | O_DIRECTORY);
  }
  return fd >= 0 && is_file(fd, slash == NULL ? record->path : slash + 1, record);
}

static void verify(int recipe_fd) {
  static struct recipe recipe;
  static struct recipe_record record;
  open_recipe(&recipe, recipe_fd, "the recipe");
  for (;;) {
    next_record(&recipe, &record);
    if (record.kind == RECIPE_END) return;
    for (uint64_t left = record.kind == RECIPE_LITERAL ? record.length : 0; left > 0;) {
      const unsigned char *bytes;
      left -= recipe_some(&recipe, &bytes, left);
    }
    if (record.kind != RECIPE_FILE || is_in_place(&record)) continue;
    char name[ASIDE_NAME];
    aside_name(record.inode, name);
    if (aside_fd < 0 || !is_file(aside_fd, name, &record)) fail(EXIT_SYSTEM, "the content of %s was lost while unpacking", record.path);
    const unsigned char kind = RECIPE_ASIDE;
    if (pwrite(recipe_fd, &kind, 1, (off_t)record.at) != 1) fail_errno("write", "the recipe");
  }
}

void finish_recipe(void) {
  if (!is_recording()) return;
  int fd = end_record();
  verify(fd);
  close(fd);
}
