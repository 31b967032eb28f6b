// The output: small pieces through one buffer, large stretches of files by sendfile, without a copy. Whoever only wants to know
// what the tar would be sets a sink.

#include <errno.h>
#include <string.h>
#include <sys/sendfile.h>
#include <unistd.h>

#include "pack.h"

enum { SENDFILE_WORTH_IT = 128 << 10 };

uint64_t out_total;
static unsigned char buffer[256 << 10];
static size_t used;
static const struct sink *sink;

void set_sink(const struct sink *instead) { sink = instead; }

_Noreturn static void fail_output(void) {
  if (errno == EPIPE || errno == ECONNRESET) _exit(EXIT_HANGUP);
  fail(EXIT_SYSTEM, "write the tar: %s", strerror(errno));
}

void flush_out(void) {
  for (size_t done = 0; done < used;) {
    ssize_t n = write(STDOUT_FILENO, buffer + done, used - done);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) fail_output();
    done += (size_t)n;
  }
  used = 0;
}

void emit(const void *bytes, size_t size) {
  out_total += size;
  if (sink != NULL) {
    sink->bytes(bytes, size);
    return;
  }
  for (const unsigned char *at = bytes; size > 0;) {
    if (used == sizeof buffer) flush_out();
    size_t n = sizeof buffer - used < size ? sizeof buffer - used : size;
    memcpy(buffer + used, at, n);
    used += n;
    at += n;
    size -= n;
  }
}

void emit_block(const void *block) {
  if (sink == NULL) {
    emit(block, BLOCK);
    return;
  }
  out_total += BLOCK;
  sink->block(block);
}

void emit_zeros(uint64_t size) {
  static const unsigned char zeros[4096];
  while (size > 0) {
    size_t n = size < sizeof zeros ? (size_t)size : sizeof zeros;
    emit(zeros, n);
    size -= n;
  }
}

// False when this output or file does not take part; nothing was sent then.
static bool send_file(int fd, off_t *at, uint64_t length) {
  flush_out();
  for (uint64_t left = length; left > 0;) {
    off_t before = *at;
    ssize_t n = sendfile(STDOUT_FILENO, fd, at, left < (1 << 30) ? (size_t)left : 1 << 30);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && (errno == EINVAL || errno == ENOSYS) && *at == before && left == length) return false;
    if (n < 0) fail_output();
    if (n == 0) return true;
    left -= (uint64_t)n;
    out_total += (uint64_t)n;
  }
  return true;
}

uint64_t emit_file(int fd, uint64_t offset, uint64_t length, const char *path) {
  off_t at = (off_t)offset;
  if (sink != NULL) {
    out_total += length;
    return sink->file(fd, offset, length, path);
  }
  if (length >= SENDFILE_WORTH_IT && send_file(fd, &at, length)) return (uint64_t)at - offset;
  uint64_t left = length;
  while (left > 0) {
    if (used == sizeof buffer) flush_out();
    size_t room = sizeof buffer - used < left ? sizeof buffer - used : (size_t)left;
    ssize_t n = pread(fd, buffer + used, room, at);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) fail(EXIT_SYSTEM, "read %s: %s", path, strerror(errno));
    if (n == 0) break;
    used += (size_t)n;
    out_total += (uint64_t)n;
    at += n;
    left -= (uint64_t)n;
  }
  return length - left;
}
