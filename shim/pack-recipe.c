// A layer's own tar, byte for byte, from its recipe and its files. Files are found below fs/ without following any link, and
// must have the size that they had; what is changed inside, the caller sees by the digest.

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "pack.h"

static int open_beneath(int from, const char *path, int flags) {
  struct open_how how = {
      .flags = (uint64_t)(flags | O_NOFOLLOW | O_CLOEXEC),
      .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV,
  };
  long fd;
  do fd = syscall(SYS_openat2, from, path, &how, sizeof how);
  while (fd < 0 && (errno == EINTR || errno == EAGAIN));
  return (int)fd;
}

// The descriptor stays the cache's own: files come in directory order.
static int open_directory_of(int fs, const char *path, const char **name) {
  static char directory[PATH_LIMIT];
  static int fd = -1;
  const char *slash = strrchr(path, '/');
  size_t length = slash == NULL ? 0 : (size_t)(slash - path);
  *name = slash == NULL ? path : slash + 1;
  if (fd >= 0 && strncmp(directory, path, length) == 0 && directory[length] == 0) return fd;
  if (fd >= 0) close(fd);
  memcpy(directory, path, length);
  directory[length] = 0;
  fd = open_beneath(fs, length == 0 ? "." : directory, O_PATH | O_DIRECTORY);
  if (fd < 0) fail(EXIT_SYSTEM, "the directory /%s of the layer: %s", directory, strerror(errno));
  return fd;
}

static int open_file(int layer, int fs, const struct recipe_record *record) {
  char aside[6 + ASIDE_NAME] = "aside/";
  const char *path = record->path, *name = aside;
  int from = layer;
  if (record->kind == RECIPE_ASIDE) {
    aside_name(record->inode, aside + 6);
    path = aside;
  } else {
    from = open_directory_of(fs, path, &name);
  }
  // Looked at before it is opened: opening a device can have effects.
  struct stat st;
  int seen = open_beneath(from, name, O_PATH);
  if (seen < 0 || fstat(seen, &st) < 0) fail(EXIT_SYSTEM, "the file /%s of the layer: %s", path, strerror(errno));
  if (!S_ISREG(st.st_mode) || (uint64_t)st.st_size != record->size) fail(EXIT_BAD_ARCHIVE, "the file /%s of the layer was changed", path);
  close(seen);
  int fd = open_beneath(from, name, O_RDONLY | O_NONBLOCK | O_NOCTTY);
  if (fd < 0) fail(EXIT_SYSTEM, "open the file /%s of the layer: %s", path, strerror(errno));
  return fd;
}

static void emit_data(int fd, const struct recipe_record *data, const struct recipe_record *file) {
  if (fd < 0 || data->offset > file->size || data->length > file->size - data->offset) fail(EXIT_BAD_ARCHIVE, "the recipe is damaged");
  if (emit_file(fd, data->offset, data->length, file->path) != data->length)
    fail(EXIT_BAD_ARCHIVE, "the file /%s of the layer was changed", file->path);
}

void pack_recipe(const char *directory) {
  static struct recipe recipe;
  static struct recipe_record record, file;
  int layer = open(directory, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (layer < 0) fail_errno("open", directory);
  int fs = open_beneath(layer, "fs", O_PATH | O_DIRECTORY);
  if (fs < 0) fail_errno("open fs in", directory);
  int fd = open_beneath(layer, "recipe", O_RDONLY);
  if (fd < 0) fail_errno("open the recipe in", directory);
  open_recipe(&recipe, fd, "the recipe");
  for (int content = -1;;) {
    next_record(&recipe, &record);
    switch (record.kind) {
      case RECIPE_LITERAL:
        while (record.length > 0) {
          const unsigned char *bytes;
          size_t n = recipe_some(&recipe, &bytes, record.length);
          emit(bytes, n);
          record.length -= n;
        }
        break;
      case RECIPE_ZEROS: emit_zeros(record.length); break;
      case RECIPE_HEADER: emit(recipe.block, BLOCK); break;
      case RECIPE_DATA: emit_data(content, &record, &file); break;
      case RECIPE_FILE: case RECIPE_ASIDE:
        if (content >= 0) close(content);
        file = record;
        content = open_file(layer, fs, &file);
        break;
      case RECIPE_END:
        flush_out();
        if (record.length != out_total) fail(EXIT_BAD_ARCHIVE, "the recipe is damaged");
        return;
    }
  }
}
