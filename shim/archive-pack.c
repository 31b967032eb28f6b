// A file or a directory as a tar, depth first, names in order of their bytes; headers as dockerd's: whole seconds, no names of
// owners. Each inode is opened without effects first (O_PATH) and read through that descriptor: a FIFO or a device that takes a
// file's name is never opened. What vanishes meanwhile is left out; a file that became shorter is filled up with zeros.

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "archive.h"
#include "pack.h"

// Names of all directories from the top to here.
enum { NAMES_LIMIT = 256 << 20 };

static char path[PATH_LIMIT]; // of the member
static unsigned char records[PAX_LIMIT];
static size_t names_held;

static bool vanished(void) { return errno == ENOENT || errno == ESTALE; }

struct names {
  char *text; // one after the other
  const char **sorted;
  size_t size, count;
};

static int by_name(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

struct entry64 {
  uint64_t ino;
  int64_t off;
  unsigned short length;
  unsigned char type;
  char name[];
};

static void add_names(struct names *names, const char *buffer, size_t size, size_t *room) {
  for (size_t at = 0; at < size;) {
    const struct entry64 *entry = (const void *)(buffer + at);
    size_t length = strlen(entry->name) + 1;
    at += entry->length;
    if (strcmp(entry->name, ".") == 0 || strcmp(entry->name, "..") == 0) continue;
    if (names->size + length > *room) {
      *room = *room == 0 ? 4096 : 2 * *room;
      names->text = realloc(names->text, *room);
      if (names->text == NULL) fail(EXIT_SYSTEM, "out of memory");
    }
    memcpy(names->text + names->size, entry->name, length);
    names->size += length;
    names->count++;
  }
}

static struct names read_names(int fd) {
  static _Alignas(struct entry64) char buffer[1 << 16];
  struct names names = {0};
  size_t room = 0;
  for (;;) {
    long n = syscall(SYS_getdents64, fd, buffer, sizeof buffer);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && !vanished()) fail(EXIT_SYSTEM, "read the directory %s: %s", path, strerror(errno));
    if (n <= 0) break;
    add_names(&names, buffer, (size_t)n, &room);
    if (names_held + names.size > NAMES_LIMIT) fail(EXIT_LIMIT, "the directory %s has too many entries", path);
  }
  if (names.count == 0) return names;
  names.sorted = malloc(names.count * sizeof *names.sorted);
  if (names.sorted == NULL) fail(EXIT_SYSTEM, "out of memory");
  const char *at = names.text;
  for (size_t i = 0; i < names.count; i++, at += strlen(at) + 1) names.sorted[i] = at;
  qsort(names.sorted, names.count, sizeof *names.sorted, by_name);
  names_held += names.size;
  return names;
}

static void forget(struct names *names) {
  names_held -= names->size;
  free(names->text);
  free(names->sorted);
}

static void emit_member(char type, const struct stat *st, uint64_t size, const char *link, size_t records_size) {
  struct member member = {.path = path, .link = link, .type = type, .st = *st, .size = size, .records = records, .records_size = records_size};
  member.st.st_mtim.tv_nsec = 0;
  // The root's is nothing but the slash of a directory.
  if (strcmp(path, "/") == 0) member.path = "";
  emit_header(&member);
}

// The inode behind an O_PATH descriptor.
static int reopen(int fd, int flags) {
  char link[32];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  return open(link, flags | O_CLOEXEC);
}

// Data of a file with holes: those are not read.
static uint64_t emit_sparse(int fd, uint64_t size) {
  for (uint64_t at = 0; at < size;) {
    off_t data = lseek(fd, (off_t)at, SEEK_DATA);
    if (data < 0 && errno != ENXIO) return at + emit_file(fd, at, size - at, path);
    // Behind the last data, or what is no answer.
    uint64_t start = data < 0 || (uint64_t)data > size ? size : (uint64_t)data < at ? at : (uint64_t)data;
    emit_zeros(start - at);
    if (start == size) break;
    off_t hole = lseek(fd, (off_t)start, SEEK_HOLE);
    uint64_t end = hole < 0 || (uint64_t)hole <= start || (uint64_t)hole > size ? size : (uint64_t)hole;
    uint64_t sent = emit_file(fd, start, end - start, path);
    if (sent < end - start) return start + sent;
    at = end;
  }
  return size;
}

static void pack_file(int held, const struct stat *st) {
  const char *first = first_name(st, path);
  if (first != NULL) {
    emit_member('1', st, 0, first, 0);
    return;
  }
  int fd = reopen(held, O_RDONLY | O_NONBLOCK | O_NOCTTY);
  if (fd < 0 && vanished()) return;
  if (fd < 0) fail(EXIT_SYSTEM, "open %s: %s", path, strerror(errno));
  const struct target target = {.fd = fd};
  uint64_t size = (uint64_t)st->st_size;
  emit_member('0', st, size, NULL, read_xattrs(&target, path, NULL, records));
  bool is_sparse = (uint64_t)st->st_blocks * 512 < size && size > 1 << 16;
  uint64_t sent = is_sparse ? emit_sparse(fd, size) : emit_file(fd, 0, size, path);
  emit_zeros(size - sent + (BLOCK - size % BLOCK) % BLOCK);
  close(fd);
}

// What has no content: links, nodes, FIFOs.
static void pack_node(int held, const struct stat *st) {
  char link[PATH_LIMIT];
  char type = S_ISLNK(st->st_mode) ? '2' : S_ISCHR(st->st_mode) ? '3' : S_ISBLK(st->st_mode) ? '4' : '6';
  if (type == '2') {
    ssize_t length = readlinkat(held, "", link, sizeof link);
    if (length < 0 && vanished()) return;
    if (length < 0) fail(EXIT_SYSTEM, "read the link %s: %s", path, strerror(errno));
    if (length == sizeof link) fail(EXIT_LIMIT, "%s: the link's target is longer than %d bytes", path, PATH_LIMIT - 1);
    link[length] = 0;
  }
  const char *first = first_name(st, path);
  if (first != NULL) emit_member('1', st, 0, first, 0);
  else emit_member(type, st, 0, type == '2' ? link : NULL, 0);
}

static void pack_child(int parent, const char *name);

static void pack_directory(int held, const struct stat *st) {
  size_t length = strlen(path);
  bool empty = is_made_up(held, st);
  int fd = empty ? -1 : openat(held, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (!empty && fd < 0 && vanished()) return;
  if (!empty && fd < 0) fail(EXIT_SYSTEM, "open %s: %s", path, strerror(errno));
  const struct target target = {.fd = fd};
  emit_member('5', st, 0, NULL, empty ? 0 : read_xattrs(&target, path, NULL, records));
  if (empty) return;
  struct names names = read_names(fd);
  for (size_t i = 0; i < names.count; i++) {
    size_t n = strlen(names.sorted[i]);
    bool is_root = path[length - 1] == '/';
    if (length + n + 3 > sizeof path) fail(EXIT_LIMIT, "%.60s…: a path is longer than %d bytes", path, PATH_LIMIT - 2);
    if (!is_root) path[length] = '/';
    memcpy(path + length + !is_root, names.sorted[i], n + 1);
    pack_child(fd, names.sorted[i]);
    path[length] = 0;
  }
  forget(&names);
  close(fd);
}

static void pack_inode(int held, const struct stat *st) {
  if (S_ISDIR(st->st_mode)) pack_directory(held, st);
  else if (S_ISREG(st->st_mode)) pack_file(held, st);
  else if (!S_ISSOCK(st->st_mode)) pack_node(held, st);
}

static void pack_child(int parent, const char *name) {
  struct stat st;
  int held = openat(parent, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
  if (held < 0 && vanished()) return;
  if (held < 0 || fstat(held, &st) < 0) fail(EXIT_SYSTEM, "look at %s: %s", path, strerror(errno));
  pack_inode(held, &st);
  close(held);
}

void pack_asked(const char *asked, int fd, const struct stat *st) {
  base_name(asked, path);
  pack_inode(fd, st);
  close(fd);
  emit_zeros(2 * BLOCK);
  flush_out();
}
