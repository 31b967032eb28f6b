// Adds, or deletes with the argument "delete", the elements of the lines on standard input as the shim does.

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "nfnl.h"

void fail(char reason[REASON_SIZE], const char *format, ...) {
  va_list args;
  va_start(args, format);
  vsnprintf(reason, REASON_SIZE, format, args);
  va_end(args);
}

int main(int argc, char **argv) {
  static char lines[1 << 20];
  char reason[REASON_SIZE] = "";
  size_t size = fread(lines, 1, sizeof lines - 1, stdin);
  (void)size;
  if (nfnl_elements(lines, argc < 2 || strcmp(argv[1], "delete") != 0, reason))
    return 0;
  fprintf(stderr, "add-elements: %s\n", reason);
  return 1;
}
