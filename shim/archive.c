// gantry-archive stat ROOT PATH: prints what is there (archive-stat.c).
// gantry-archive pack ROOT PATH: prints the same, and then the file or directory as a tar.
// gantry-archive extract ROOT PATH keep|replace|whole UID GID: unpacks the tar on stdin into the directory PATH. "keep": a directory is not
//   replaced by another type of file, nor the other way round. "whole": its own member ("./") tells owner, mode and times of PATH. UID and GID own all files; "-" leaves the owners as in the tar.
// gantry-archive changes UPPER LOWER …: for each change a letter (A added, C modified, D deleted) and the path, ended by NUL.
//   ROOT = live PID START | directory PATH ro|rw | stopped ro|rw UPPER WORK LOWERS LOWER … MOUNTS (SOURCE SUBPATH TARGET ro|rw) …
//   START is the start time of the process (field 22 of /proc/pid/stat); LOWERS and MOUNTS are numbers.
// Exit: 1 the archive is malformed or hostile, 2 a limit, 3 the system failed, 4 the reader has gone (nothing is said), 5 nothing is
// there, 6 it is mounted read-only, 7 no space, 8 the process has ended, 9 it is no directory; one line on stderr says what.

#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "archive.h"

static char *const *words;

bool has_word(void) { return *words != NULL; }

const char *next_word(void) {
  if (!has_word()) fail(EXIT_SYSTEM, "usage: gantry-archive stat | pack | extract | changes … (see archive.c)");
  return *words++;
}

uint64_t next_number(void) {
  uint64_t value = 0;
  const char *word = next_word();
  for (const char *at = word; *at != 0; at++) {
    if (*at < '0' || *at > '9' || value > UINT32_MAX) fail(EXIT_SYSTEM, "%s is no number", word);
    value = 10 * value + (uint64_t)(*at - '0');
  }
  return value;
}

int main(int argc, char **argv) {
  const struct rlimit descriptors = {2 * PATH_LIMIT, 2 * PATH_LIMIT}, none = {0, 0};
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  signal(SIGPIPE, SIG_IGN);
  setrlimit(RLIMIT_CORE, &none);
  // Two descriptors for every level of a tree.
  setrlimit(RLIMIT_NOFILE, &descriptors);
  respect_quotas();
  umask(0);
  crosses_mounts = true;
  words = argv + (argc > 0);
  const char *mode = next_word();
  if (strcmp(mode, "changes") == 0) {
    print_changes();
    return 0;
  }
  int root = open_tree_root();
  const char *path = next_word();
  struct stat st;
  if (strcmp(mode, "extract") == 0) {
    extract_into(root, path);
    return 0;
  }
  int fd = open_asked(root, path, &st);
  print_stat(root, path, &st);
  if (strcmp(mode, "pack") == 0) pack_asked(path, fd, &st);
  else if (strcmp(mode, "stat") != 0) fail(EXIT_SYSTEM, "there is no mode %s", mode);
  return 0;
}
