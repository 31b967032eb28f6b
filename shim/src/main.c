// Entry point.

#include <stdio.h>
#include <string.h>

#include "shim.h"

int main(int argc, char **argv) {
  // The title may take the place of all arguments, which lie one after the other.
  char *end = argv[argc - 1] + strlen(argv[argc - 1]) + 1;
  if (argc >= 2 && strcmp(argv[1], "spawner") == 0)
    return spawner_main(argv[0], (size_t)(end - argv[0]));
  if (argc == 2 && strcmp(argv[1], "--version") == 0) {
    printf("gantry-shim protocol %d\n", PROTOCOL_VERSION);
    return 0;
  }
  fprintf(stderr, "usage: gantry-shim spawner [label]   (started by gantryd)\n");
  return 2;
}
