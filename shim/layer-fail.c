// The one way to fail: a line on stderr and a status.

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "layer.h"

void (*before_failing)(void);

void fail(int status, const char *format, ...) {
  if (before_failing != NULL) before_failing();
  char text[PATH_LIMIT + 512];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  // Names come from the archive: nothing of theirs may reach a terminal or forge a second line.
  for (char *c = text; *c != 0; c++)
    if ((unsigned char)*c < 0x20 || *c == 0x7f) *c = '?';
  dprintf(STDERR_FILENO, "%s\n", text);
  _exit(status);
}

void fail_errno(const char *what, const char *path) {
  int error = errno;
  bool archives_fault = error == ENAMETOOLONG || error == ELOOP || error == ENOTDIR || error == EMLINK || error == EISDIR;
  if (error == EROFS) fail(EXIT_READ_ONLY, "%s %s: %s", what, path, strerror(error));
  // In dockerd's words, which clients look for.
  if (error == ENOSPC) fail(EXIT_FULL, "%s %s: no space left on device", what, path);
  if (error == EDQUOT) fail(EXIT_FULL, "%s %s: disk quota exceeded", what, path);
  fail(archives_fault ? EXIT_BAD_ARCHIVE : EXIT_SYSTEM, "%s %s: %s", what, path, strerror(error));
}

#ifdef __SANITIZE_ADDRESS__
// These programs end with what they have in memory, some of them without a /proc, and their environment is empty.
const char *__asan_default_options(void);
const char *__asan_default_options(void) { return "detect_leaks=0"; }
#endif
