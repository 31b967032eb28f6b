// The json-file log as Docker writes it: {"log":"…\n","stream":"stdout","time":"…Z"} per line, lines over 16 KiB split.
// Invariant: between calls the file ends at a line's end and `size` is its length, so that attach knows the exact position.
// A full disk never stops the container: what does not fit is dropped and counted, the file stays readable.

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shim.h"

enum { OUT_BYTES = 512 * 1024, LINE_WORST = 6 * LINE_MAX_BYTES + 256, REPAIR_BYTES = 128 * 1024 };

static const char open_brace[] = "{\"log\":\"";

static bool open_file(struct log *l, const char *path, int flags) {
  struct stat st;
  l->fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY | flags, 0640);
  if (l->fd < 0 || fstat(l->fd, &st) != 0)
    return false;
  l->size = st.st_size;
  l->inode = st.st_ino;
  return true;
}

// A crash of the host or a full disk may have left half a line, which would spoil the next one.
static void repair(struct log *l) {
  char last[512];
  int fd = l->size > 0 ? open(l->path, O_RDONLY | O_CLOEXEC) : -1;
  int64_t end = l->size;
  while (fd >= 0 && end > 0 && l->size - end < REPAIR_BYTES) {
    size_t n = end < (int64_t)sizeof last ? (size_t)end : sizeof last;
    if (pread(fd, last, n, end - (int64_t)n) != (ssize_t)n)
      break;
    const char *newline = memrchr(last, '\n', n);
    end -= newline == NULL ? (int64_t)n : (int64_t)n - (newline + 1 - last);
    if (newline != NULL)
      break;
  }
  if (fd >= 0)
    close(fd);
  if (end != l->size && ftruncate(l->fd, end) == 0)
    l->size = end;
}

bool log_open(struct log *l, const char *path, int64_t max_bytes, int64_t max_files) {
  memset(l, 0, sizeof *l);
  l->fd = -1;
  l->path = path;
  l->max_bytes = l->limit = max_bytes;
  l->max_files = max_files;
  if (path == NULL)
    return true;
  if (!open_file(l, path, 0))
    return false;
  repair(l);
  return true;
}

static void flush(struct log *l) {
  size_t done = 0;
  while (done < l->out_size) {
    ssize_t n = write(l->fd, l->out + done, l->out_size - done);
    if (n < 0 && errno == EINTR)
      continue;
    if (n <= 0)
      break;
    done += (size_t)n;
  }
  if (done < l->out_size) {
    const char *newline = memrchr(l->out, '\n', done);
    done = newline == NULL ? 0 : (size_t)(newline + 1 - l->out);
    l->dropped++;
    if (ftruncate(l->fd, l->size + (int64_t)done) != 0)
      l->dropped++;
  }
  l->size += (int64_t)done;
  l->out_size = 0;
}

// path.(n−2) → path.(n−1), …, path → path.1, path.new → path. Every step is a rename, so that an interrupted rotation loses
// nothing: the next one finds a gap and fills it. The new file comes first: without one nothing is moved, and the old grows.
static void rotate(struct log *l) {
  char from[PATH_SIZE + 24], to[PATH_SIZE + 24];
  flush(l);
  if (l->size < l->limit)
    return; // a full disk: less was written than it seemed
  if (l->max_files < 2) {
    l->generation++;
    if (ftruncate(l->fd, 0) == 0)
      l->size = 0;
    return;
  }
  int old = l->fd;
  int64_t size = l->size;
  snprintf(to, sizeof to, "%s.new", l->path);
  if (!open_file(l, to, O_TRUNC)) {
    l->fd = old;
    l->size = size;
    l->limit = size + l->max_bytes;
    return;
  }
  for (int64_t i = l->max_files - 1; i > 0; i--) {
    snprintf(to, sizeof to, "%s.%d", l->path, (int)i);
    snprintf(from, sizeof from, i > 1 ? "%s.%d" : "%s", l->path, (int)i - 1);
    rename(from, to);
  }
  snprintf(from, sizeof from, "%s.new", l->path);
  rename(from, l->path);
  close(old);
  l->generation++;
  l->limit = l->max_bytes;
}

static bool is_plain(uint8_t c) {
  return c >= 0x20 && c < 0x80 && c != '"' && c != '&' && c != '<' && c != '>' && c != '\\';
}

// True when one of eight bytes is a control character, not ASCII, or one of " & < > \ .
static bool has_special(uint64_t w) {
  const uint64_t ones = 0x0101010101010101, high = 0x8080808080808080;
#define ZERO(x) (((x)-ones) & ~(x))
  uint64_t special = w | ((w - ones * 0x20) & ~w);
  special |= ZERO(w ^ (ones * '"')) | ZERO(w ^ (ones * '&')) | ZERO(w ^ (ones * '\\'));
  special |= ZERO((w & ~(ones * 2)) ^ (ones * '<')); // < and >
#undef ZERO
  return (special & high) != 0;
}

// Length of the valid UTF-8 sequence at p, or 0; as Go's utf8.DecodeRune judges it.
static size_t rune_size(const uint8_t *p, size_t n) {
  uint8_t c = p[0], low = 0x80, top = 0xbf;
  size_t need = c >= 0xc2 && c <= 0xdf ? 2 : c >= 0xe0 && c <= 0xef ? 3 : c >= 0xf0 && c <= 0xf4 ? 4 : 0;
  if (need == 0 || n < need)
    return 0;
  if (c == 0xe0)
    low = 0xa0;
  else if (c == 0xed)
    top = 0x9f;
  else if (c == 0xf0)
    low = 0x90;
  else if (c == 0xf4)
    top = 0x8f;
  if (p[1] < low || p[1] > top)
    return 0;
  for (size_t i = 2; i < need; i++)
    if ((p[i] & 0xc0) != 0x80)
      return 0;
  return need;
}

static char *escape_ascii(char *o, uint8_t c) {
  static const char hex[] = "0123456789abcdef";
  *o++ = '\\';
  if (c == '\\' || c == '"') {
    *o++ = (char)c;
  } else if (c == '\r') {
    *o++ = 'r';
  } else {
    memcpy(o, "u00", 3);
    o[3] = hex[c >> 4];
    o[4] = hex[c & 15];
    o += 5;
  }
  return o;
}

// What follows the text of every line of a batch, with the newline's escape in front. Copied as a whole, which is cheaper
// than to the exact length: there is always room, and the next line overwrites the rest.
enum { SUFFIX_BYTES = 64, NEWLINE_BYTES = 2 };

struct batch {
  char suffix[SUFFIX_BYTES + NEWLINE_BYTES + 1];
  size_t size;
};

// Writes one log line from [p, end) and returns where the next begins; NULL when the line is incomplete (nothing is written).
static const char *put_line(struct log *l, const struct batch *b, const char *p, const char *end, bool at_end) {
  if (l->max_bytes > 0 && l->size + (int64_t)l->out_size >= l->limit)
    rotate(l);
  if (l->out_size + LINE_WORST > OUT_BYTES)
    flush(l);
  char *o = l->out + l->out_size;
  const char *start = p, *limit = end - p > LINE_MAX_BYTES ? p + LINE_MAX_BYTES : end;
  bool newline = false;
  memcpy(o, open_brace, sizeof open_brace - 1);
  o += sizeof open_brace - 1;
  while (p < limit) {
    uint64_t word;
    while (limit - p >= 8 && (memcpy(&word, p, 8), !has_special(word))) {
      memcpy(o, p, 8);
      p += 8;
      o += 8;
    }
    if (p == limit)
      break;
    uint8_t c = (uint8_t)*p;
    if (is_plain(c)) {
      *o++ = (char)c;
      p++;
    } else if (c == '\n') {
      p++;
      newline = true;
      break;
    } else if (c < 0x80) {
      o = escape_ascii(o, c);
      p++;
    } else {
      size_t n = rune_size((const uint8_t *)p, (size_t)(limit - p));
      if (n == 3 && c == 0xe2 && (uint8_t)p[1] == 0x80 && ((uint8_t)p[2] & 0xfe) == 0xa8) {
        memcpy(o, "\\u2028", 6);
        o[5] = (uint8_t)p[2] == 0xa8 ? '8' : '9';
        o += 6;
      } else if (n > 0) {
        memcpy(o, p, n);
        o += n;
      } else {
        memcpy(o, "\\ufffd", 6);
        o += 6;
        n = 1;
      }
      p += n;
    }
  }
  if (!newline && !at_end && p - start < LINE_MAX_BYTES)
    return NULL;
  size_t skip = newline ? 0 : NEWLINE_BYTES;
  memcpy(o, b->suffix + skip, SUFFIX_BYTES);
  l->out_size = (size_t)(o - l->out) + b->size - skip;
  return p;
}

static void keep(struct tail *t, const char *bytes, size_t size) {
  char *grown = realloc(t->bytes, t->size + size);
  if (grown == NULL)
    return;
  memcpy(grown + t->size, bytes, size);
  t->bytes = grown;
  t->size += size;
}

static void forget(struct tail *t) {
  free(t->bytes);
  t->bytes = NULL;
  t->size = 0;
}

static void batch_begin(struct batch *b, int stream) {
  char now[40];
  time_rfc3339(now);
  const char *name = stream == 1 ? "stdout" : "stderr";
  int n = snprintf(b->suffix, sizeof b->suffix, "\\n\",\"stream\":\"%s\",\"time\":\"%.30s\"}\n", name, now);
  b->size = (size_t)n;
}

static bool out_ready(struct log *l) {
  if (l->out != NULL)
    return true;
  void *memory = mmap(NULL, OUT_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED)
    return false;
  l->out = memory;
  return true;
}

void log_write(struct log *l, struct tail *t, int stream, const char *data, size_t size) {
  struct batch b;
  const char *p = data, *end = data + size;
  if (l->fd < 0)
    return;
  if (!out_ready(l)) {
    l->dropped++;
    return;
  }
  batch_begin(&b, stream);
  while (t->size > 0 && p < end) {
    size_t room = LINE_MAX_BYTES - t->size, rest = (size_t)(end - p);
    const char *newline = memchr(p, '\n', rest < room ? rest : room);
    size_t n = newline != NULL ? (size_t)(newline + 1 - p) : rest < room ? rest : room;
    keep(t, p, n);
    p += n;
    if (put_line(l, &b, t->bytes, t->bytes + t->size, false) == NULL)
      break;
    forget(t);
  }
  while (p < end) {
    const char *next = put_line(l, &b, p, end, false);
    if (next == NULL) {
      keep(t, p, (size_t)(end - p));
      break;
    }
    p = next;
  }
  flush(l);
}

void log_finish(struct log *l, struct tail *t, int stream) {
  struct batch b;
  if (l->fd >= 0 && t->size > 0 && out_ready(l)) {
    batch_begin(&b, stream);
    put_line(l, &b, t->bytes, t->bytes + t->size, true);
    flush(l);
  }
  forget(t);
}

void log_idle(struct log *l) {
  if (l->out != NULL)
    munmap(l->out, OUT_BYTES);
  l->out = NULL;
}

void log_close(struct log *l) {
  log_idle(l);
  if (l->fd >= 0)
    close(l->fd);
  l->fd = -1;
}
