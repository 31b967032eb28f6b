// gantry-copy, whose request is words that end with NUL, on stdin:
//   TREE     = number of directories, the directories (top-most first); none is an empty tree
//   WRITABLE = TREE, upper directory, work directory; without directories under it the upper one is written to as it is
//   SOURCE   = path, flags (w patterns, f follow a link at the end, p keep parents, r must be there), number of exclude patterns, they
//   OWNERS   = "user[:group]" or "", mode as for chmod(1) or ""
// gantry-copy apply: "base", "none" (names of owners cannot be looked up) or "share" (as none; inputs are never written to, nor is what
//   is made, so that a file of a single input may get a further name in place of a copy), WRITABLE, number of inputs, a TREE each, then actions until the end:
//     copy, input, SOURCE, destination, OWNERS | mkdir, path, mode (octal digits), OWNERS | mkfile, path, mode, OWNERS, size, bytes
// gantry-copy digest: TREE, number of known files, (path, SHA-256) of each, SOURCE…; prints a SHA-256.
// gantry-copy list: TREE, SOURCE; prints for each match "f" (a regular file) or "o" and its path, ended by NUL.
// gantry-copy cat: TREE, path (as printed by list); writes the file to stdout.
// gantry-copy extract UNPACK: "base" or "none", WRITABLE, destination, OWNERS, limits of entries and bytes; the tar on descriptor 3 goes through UNPACK.
// gantry-copy clone: a directory, another one and a path below it ("" for itself): an empty directory that its content is copied to, synced; prints
//   the bytes of its files, and 1 when all of them share their blocks with the source's.
// gantry-copy fill: TREE, a path in it, and where to as with clone; not synced; prints "filled", or "nothing": there is no such directory.
// gantry-copy exchange: a directory, a second whose content it gets, a third (not there, on the same file system) for its own.
// gantry-copy size: a directory; prints the bytes of what is in it.
// gantry-copy mount: a directory, then steps: source, type, flags of mount(2), data ("" for none).  gantry-copy unmount: a directory.
// gantry-copy quota: "state", directory: prints "ok", or "attributes", "project N", "off": why its trees cannot be limited | "limit",
//   an empty directory, bytes | "share", an empty directory, another one whose limit it shall share | "release", directory.
// Exit: 1 the request cannot be done, 2 a limit, 3 the system failed, 5 a source is not there, 6 a file system is read-only,
// 7 the disk is full or a quota used up;
// one line on stderr says what.

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <unistd.h>

#include "copy.h"

static mode_t next_mode(void) { return (mode_t)strtoul(next_word(), NULL, 8) & 07777; }

static void apply(void) {
  static int inputs[SOURCES_LIMIT];
  const char *below = next_word();
  // A tree with nothing under it has no passwd to look names up in.
  bool has_base = strcmp(below, "base") == 0;
  int destination;
  uint64_t count = next_trees(strcmp(below, "share") == 0, &destination, inputs);
  while (has_word()) {
    const char *action = next_word();
    struct ownership ownership;
    if (strcmp(action, "copy") == 0) {
      struct source source;
      uint64_t input = next_number();
      if (input >= count) fail(EXIT_SYSTEM, "there is no input %llu", (unsigned long long)input);
      next_source(&source);
      const char *to = next_word();
      next_ownership(has_base ? destination : -1, &ownership);
      copy_source(destination, inputs[input], &source, to, &ownership);
      free(source.exclude.list);
      continue;
    }
    const char *path = next_word();
    mode_t mode = next_mode();
    next_ownership(has_base ? destination : -1, &ownership);
    if (strcmp(action, "mkdir") == 0) {
      make_directory(destination, path, mode, &ownership);
    } else if (strcmp(action, "mkfile") == 0) {
      uint64_t size = next_number();
      make_file(destination, path, mode, &ownership, next_bytes(size), size);
    } else {
      fail(EXIT_SYSTEM, "there is no action %s", action);
    }
  }
}

static void print_match(int root, const struct match *match, void *context) {
  struct stat st;
  (void)context;
  bool regular = stat_resolved(root, match->path, &st) == 0 && S_ISREG(st.st_mode);
  printf("%c%s%c", regular ? 'f' : 'o', match->asked, 0);
}

static void list(void) {
  struct source source;
  int root = next_tree(false);
  next_source(&source);
  select_sources(root, &source, print_match, NULL);
  if (fflush(stdout) != 0) fail(EXIT_SYSTEM, "write the list: %s", strerror(errno));
}

static void cat(void) {
  int root = next_tree(false);
  char path[PATH_LIMIT];
  struct stat st;
  resolve_path(root, next_word(), true, path);
  if (root < 0 || stat_resolved(root, path, &st) < 0 || !S_ISREG(st.st_mode)) fail(EXIT_NOT_FOUND, "\"/%s\": not found", path);
  int fd = open_resolved(root, path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
  if (fd < 0) fail_path("open", path);
  for (ssize_t n; (n = sendfile(STDOUT_FILENO, fd, NULL, 1 << 24)) != 0;) {
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EPIPE) _exit(EXIT_HANGUP);
    if (n < 0) fail_path("read", path);
  }
}

static void extract(const char *unpack) {
  char resolved[PATH_LIMIT], uid[16], gid[16];
  struct ownership ownership;
  const char *below = next_word();
  int destination = next_tree(true);
  const char *path = next_word();
  next_ownership(strcmp(below, "base") == 0 ? destination : -1, &ownership);
  const char *entries = next_word(), *bytes = next_word();
  resolve_path(destination, path, true, resolved);
  int directory = make_directories(destination, resolved, 0755, &ownership);
  if (fchdir(directory) < 0 || dup2(3, STDIN_FILENO) < 0) fail_path("change to", resolved);
  close(3);
  snprintf(uid, sizeof uid, "%u", ownership.uid);
  snprintf(gid, sizeof gid, "%u", ownership.gid);
  signal(SIGPIPE, SIG_DFL);
  char *const empty[] = {NULL};
  if (ownership.chown) execle(unpack, "gantry-unpack", "into", entries, bytes, "1024", ".", uid, gid, NULL, empty);
  else execle(unpack, "gantry-unpack", "into", entries, bytes, "1024", ".", NULL, empty);
  fail_path("run", unpack);
}

static const struct {
  const char *name;
  void (*run)(void);
} modes[] = {
    {"apply", apply}, {"digest", digest_sources}, {"list", list},         {"cat", cat},
    {"clone", clone_tree}, {"fill", fill_directory}, {"exchange", exchange}, {"size", print_size},
    {"mount", mount_volume}, {"unmount", unmount_volume}, {"quota", quota},
};

int main(int argc, char **argv) {
  const struct rlimit descriptors = {2 * PATH_LIMIT, 2 * PATH_LIMIT}, none = {0, 0};
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  signal(SIGPIPE, SIG_IGN);
  setrlimit(RLIMIT_CORE, &none);
  // Two descriptors for every level of a tree.
  setrlimit(RLIMIT_NOFILE, &descriptors);
  respect_quotas();
  umask(0);
  if (argc == 3 && strcmp(argv[1], "extract") == 0) {
    read_request();
    extract(argv[2]);
    return 0;
  }
  for (size_t i = 0; argc == 2 && i < sizeof modes / sizeof *modes; i++) {
    if (strcmp(argv[1], modes[i].name) != 0) continue;
    read_request();
    modes[i].run();
    if (fflush(stdout) != 0) fail(EXIT_SYSTEM, "write the answer: %s", strerror(errno));
    return 0;
  }
  fail(EXIT_SYSTEM, "usage: gantry-copy apply | digest | list | cat | extract UNPACK | clone | fill | exchange | size | mount | unmount | quota < REQUEST");
}
