// gantry-unpack ENTRIES BYTES DEPTH DIRECTORY [LAYER]: extracts the tar on stdin into DIRECTORY, an empty directory that nobody
// else uses, and writes LAYER/recipe, from which gantry-pack puts the same tar together again. When everything is extracted it prints the bytes in regular files and the number of members, so that the caller can
// go on, then makes the file system durable (syncfs) and exits with 0.
// gantry-unpack into ENTRIES BYTES DEPTH DIRECTORY [UID GID]: extracts into a directory that may hold something, for a build's ADD: whiteouts
// are left out, owners can be set, and nothing is made durable.
// gantry-unpack clone FROM TO: makes the directory TO a copy of the unpacked layer FROM (fs, recipe and aside), durably.
// gantry-unpack remove DIRECTORY…: removes the directories with everything in them; those that are not there are no failure.
// gantry-unpack spread DIRECTORY…: trees that are made in these directories from now on lie far from one another, where the file system can.
// Exit: 1 the archive is malformed or hostile, 2 it exceeds a limit, 3 the system failed; one line on stderr says what.

#include <fcntl.h>
#include <linux/fs.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "unpack.h"

static void set_limit(int resource, rlim_t value) {
  struct rlimit limit = {value, value};
  setrlimit(resource, &limit);
}

static void sync_directory(int fd, const char *path) {
  if (syncfs(fd) < 0) fail_errno("sync", path);
}

static int open_directory(const char *path) {
  int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0) fail_errno("open", path);
  return fd;
}

// Tells ext4 that the directories made in this one from now on have nothing to do with one another (chattr +T): each tree
// gets block groups of its own, away from those of trees that were just deleted, whose inodes a file system without a
// journal does not give out again for minutes and looks through for every new one. Others do not know the flag.
static void spread(const char *directory) {
  int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  int flags;
  if (fd < 0) return;
  if (ioctl(fd, FS_IOC_GETFLAGS, &flags) == 0 && (flags & FS_TOPDIR_FL) == 0) {
    flags |= FS_TOPDIR_FL;
    ioctl(fd, FS_IOC_SETFLAGS, &flags);
  }
  close(fd);
}

static void spread_layers(const char *layer) {
  char parent[PATH_LIMIT];
  if (snprintf(parent, sizeof parent, "%s/..", layer) < (int)sizeof parent) spread(parent);
}

// Changes the root to `directory`: what the resolver already guarantees holds for every other call as well.
static void enter(const char *directory) {
  root_fd = open_directory(directory);
  open_times(directory);
  if (fchdir(root_fd) < 0 || chroot(".") < 0) fail_errno("chroot to", directory);
  umask(0);
}

static bool forced_owner;
static uid_t forced_uid;
static gid_t forced_gid;

static void unpack(const struct limits *limits) {
  static struct entry entry;
  uint64_t count = 0;
  while (read_entry(&entry)) {
    if (++count > limits->entries) fail(EXIT_LIMIT, "the layer has more than %llu members", (unsigned long long)limits->entries);
    if (forced_owner) entry.uid = forced_uid, entry.gid = forced_gid;
    make_entry(&entry, limits);
  }
  apply_times();
  drain(64 << 20);
  finish_recipe();
  printf("%llu %llu\n", (unsigned long long)content_bytes, (unsigned long long)count);
  if (fflush(stdout) != 0) fail_errno("write", "stdout");
}

int main(int argc, char **argv) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  set_limit(RLIMIT_CORE, 0);
  // Removing a tree holds a descriptor for every level.
  set_limit(RLIMIT_NOFILE, 2 * PATH_LIMIT);
  respect_quotas();
  if (argc == 4 && strcmp(argv[1], "clone") == 0) {
    umask(0);
    int to = open_directory(argv[3]);
    clone_directory(open_directory(argv[2]), to);
    sync_directory(to, argv[3]);
    return 0;
  }
  if (argc > 2 && strcmp(argv[1], "remove") == 0) {
    remove_directories(argv + 2, (size_t)argc - 2);
    return 0;
  }
  if (argc > 2 && strcmp(argv[1], "spread") == 0) {
    for (int i = 2; i < argc; i++) spread(argv[i]);
    return 0;
  }
  bool into = (argc == 6 || argc == 8) && strcmp(argv[1], "into") == 0;
  if (into) {
    argv++;
    argc--;
  } else if (argc != 5 && argc != 6) fail(EXIT_SYSTEM, "usage: gantry-unpack ENTRIES BYTES DEPTH DIRECTORY [LAYER] < TAR | gantry-unpack clone FROM TO | gantry-unpack remove | spread DIRECTORY…");
  struct limits limits = {
      .entries = parse_decimal(argv[1], "ENTRIES"),
      .bytes = parse_decimal(argv[2], "BYTES"),
      .depth = (size_t)parse_decimal(argv[3], "DEPTH"),
  };
  if (into) {
    whiteouts = WHITEOUTS_LEFT_OUT;
    forced_owner = argc == 7;
    if (forced_owner) forced_uid = (uid_t)parse_decimal(argv[5], "UID"), forced_gid = (gid_t)parse_decimal(argv[6], "GID");
  } else if (argc == 6) {
    spread_layers(argv[5]);
    create_recipe(argv[5]);
  }
  enter(argv[4]);
  unpack(&limits);
  if (into) return 0;
  sync_directory(root_fd, argv[4]);
  return 0;
}
