// Writes the recipe while the archive passes: every byte that is no file's content, and for content the name that it has at
// the end. Files that lose their name on the way are kept in aside/. The last pass looks each reference up again, so that a
// recipe which does not give the same bytes never exists. Format: docs/layer-recipe.md.

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "unpack.h"

// Two million members need a quarter of it.
static const uint64_t recipe_limit = 1 << 30;
// Shorter runs of zeros cost less as bytes.
enum { ZEROS_WORTH_IT = 8, SAME_WORTH_IT = 3 };

static int keep_fd = -1, recipe_fd = -1, aside_fd = -1;
static unsigned char out[1 << 16];
static size_t out_size;
static uint64_t out_total, tar_total;

static unsigned char literal[1 << 14];
static size_t literal_size;
static uint64_t zeros;
static unsigned char last_header[BLOCK];

bool has_recipe(void) { return recipe_fd >= 0; }

static void flush_out(void) {
  for (size_t done = 0; done < out_size;) {
    ssize_t n = write(recipe_fd, out + done, out_size - done);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) fail_errno("write", "the recipe");
    done += (size_t)n;
  }
  out_size = 0;
}

static void put(const void *bytes, size_t size) {
  out_total += size;
  if (out_total > recipe_limit) fail(EXIT_LIMIT, "the layer's headers need more than %llu bytes", (unsigned long long)recipe_limit);
  for (const unsigned char *at = bytes; size > 0;) {
    if (out_size == sizeof out) flush_out();
    size_t n = sizeof out - out_size < size ? sizeof out - out_size : size;
    memcpy(out + out_size, at, n);
    out_size += n;
    at += n;
    size -= n;
  }
}

void create_recipe(const char *layer) {
  keep_fd = open(layer, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (keep_fd < 0) fail_errno("open", layer);
  recipe_fd = openat(keep_fd, "recipe", O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (recipe_fd < 0) fail_errno("create the recipe in", layer);
  put(recipe_magic, sizeof recipe_magic - 1);
}

static void put_number(uint64_t value) {
  unsigned char bytes[10];
  size_t n = 0;
  for (; value >= 0x80; value >>= 7) bytes[n++] = (unsigned char)(value | 0x80);
  bytes[n++] = (unsigned char)value;
  put(bytes, n);
}

static void put_fixed(uint64_t value) {
  unsigned char bytes[8];
  for (int i = 0; i < 8; i++, value >>= 8) bytes[i] = (unsigned char)value;
  put(bytes, sizeof bytes);
}

static void put_kind(int kind) {
  unsigned char byte = (unsigned char)kind;
  put(&byte, 1);
}

static void flush_literal(void) {
  if (literal_size == 0) return;
  put_kind(RECIPE_LITERAL);
  put_number(literal_size);
  put(literal, literal_size);
  literal_size = 0;
}

static void add_literal(const unsigned char *from, size_t size) {
  while (size > 0) {
    if (literal_size == sizeof literal) flush_literal();
    size_t n = sizeof literal - literal_size < size ? sizeof literal - literal_size : size;
    memcpy(literal + literal_size, from, n);
    literal_size += n;
    from += n;
    size -= n;
  }
}

static void flush_zeros(void) {
  static const unsigned char some[ZEROS_WORTH_IT];
  if (zeros >= ZEROS_WORTH_IT) {
    flush_literal();
    put_kind(RECIPE_ZEROS);
    put_number(zeros);
  } else {
    add_literal(some, (size_t)zeros);
  }
  zeros = 0;
}

static void begin(int kind) {
  flush_zeros();
  flush_literal();
  put_kind(kind);
}

void record_bytes(const unsigned char *from, size_t size) {
  if (!has_recipe()) return;
  tar_total += size;
  for (const unsigned char *end = from + size; from < end;) {
    const unsigned char *start = from;
    while (from < end && *from == 0) from++;
    zeros += (uint64_t)(from - start);
    if (from == end) return;
    flush_zeros();
    const unsigned char *zero = memchr(from, 0, (size_t)(end - from));
    start = from;
    from = zero == NULL ? end : zero;
    add_literal(start, (size_t)(from - start));
  }
}

void record_header(const unsigned char block[BLOCK]) {
  if (!has_recipe()) return;
  begin(RECIPE_HEADER);
  for (size_t at = 0; at < BLOCK;) {
    size_t same = at, end, streak = 0;
    while (same < BLOCK && block[same] == last_header[same]) same++;
    for (end = same; end < BLOCK && streak < SAME_WORTH_IT; end++) streak = block[end] == last_header[end] ? streak + 1 : 0;
    end -= streak;
    put_number(same - at);
    put_number(end - same);
    put(block + same, end - same);
    at = end;
  }
  memcpy(last_header, block, BLOCK);
  tar_total += BLOCK;
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
  if (!has_recipe() || !S_ISREG(st->st_mode) || st->st_size == 0 || names_aside(st) > 0) return false;
  char kept[ASIDE_NAME];
  aside_name(st->st_ino, kept);
  if (renameat(parent, name, open_aside(), kept) < 0) fail_errno("keep aside", name);
  return true;
}

void record_file(int fd, int parent, const char *name, uint64_t size) {
  if (!has_recipe()) return;
  char path[PATH_LIMIT];
  struct stat st;
  if (fstat(fd, &st) < 0) fail_errno("stat", name);
  if (!real_path(parent, name, path)) {
    // Too deep for one call: found by its inode.
    aside_name(st.st_ino, path);
    if (linkat(parent, name, open_aside(), path, 0) < 0) fail_errno("keep aside", name);
    *path = 0;
  }
  begin(RECIPE_FILE);
  put_fixed(st.st_ino);
  put_number(size);
  put_number(strlen(path));
  put(path, strlen(path));
}

void record_data(uint64_t offset, uint64_t length) {
  if (!has_recipe()) return;
  begin(RECIPE_DATA);
  put_number(offset);
  put_number(length);
  tar_total += length;
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

static void verify(void) {
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
  if (!has_recipe()) return;
  begin(RECIPE_END);
  put_fixed(tar_total);
  flush_out();
  verify();
  close(recipe_fd);
  recipe_fd = -1;
}
