// gantry-pack recipe LAYER: the tar from which the directory LAYER (fs, recipe, aside) was unpacked, byte for byte.
// gantry-pack diff UPPER [LOWER …]: an overlay's upper directory as a layer's tar, with whiteouts, without what the engine made.
// gantry-pack export UPPER LOWER …: the merged view of these directories, the top-most first, as a tar.
// gantry-pack seal LAYER CLAMP [LOWER …]: LAYER/fs, an overlay's upper directory, becomes a layer as gantry-unpack leaves it, with
// LAYER/recipe, and no time in it is above CLAMP (seconds; - for no bound). Prints the SHA-256 of its tar (the one that diff
// writes), bytes in files, length of the tar and number of members, and ends when it is durable.
// The others write to stdout. Exit: 1 the layer is damaged, 2 a limit, 3 the system failed; one line on stderr says what. When the
// reader has gone: 4, and nothing is said.

#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "pack.h"

static void set_limit(int resource, rlim_t value) {
  struct rlimit limit = {value, value};
  setrlimit(resource, &limit);
}

int main(int argc, char **argv) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  signal(SIGPIPE, SIG_IGN);
  set_limit(RLIMIT_CORE, 0);
  // A descriptor for every level of a tree.
  set_limit(RLIMIT_NOFILE, 2 * PATH_LIMIT);
  if (argc == 3 && strcmp(argv[1], "recipe") == 0) pack_recipe(argv[2]);
  else if (argc >= 3 && strcmp(argv[1], "diff") == 0) {
    set_lower(argv + 3, (size_t)argc - 3);
    pack_tree(mount_tree(argv[2], false), TREE_LAYER);
  }
  else if (argc >= 4 && strcmp(argv[1], "seal") == 0) {
    set_lower(argv + 4, (size_t)argc - 4);
    seal_layer(argv[2], argv[3]);
  }
  // An overlay needs two directories; one alone shows what it holds.
  else if (argc == 3 && strcmp(argv[1], "export") == 0) pack_tree(mount_tree(argv[2], false), TREE_WHOLE);
  else if (argc > 3 && strcmp(argv[1], "export") == 0) pack_tree(mount_overlay(argv + 2, (size_t)argc - 2, NULL, NULL), TREE_WHOLE);
  else fail(EXIT_SYSTEM, "usage: gantry-pack recipe LAYER | seal LAYER CLAMP [LOWER …] | diff UPPER [LOWER …] | export UPPER [LOWER …]");
  return 0;
}
