// Unpacks a tar into a directory of the tree. The directory's links are followed once, at the beginning; those below it each time,
// confined to the tree as all paths are: a link to /run leads to the container's /run. What exists is replaced, but for
// directories. Names of whiteouts mean nothing here.

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "archive.h"
#include "unpack.h"

// As many as a path has room for.
static const struct limits no_limits = {.entries = UINT64_MAX, .bytes = INT64_MAX, .depth = PATH_LIMIT};

static uint64_t mount_id(int fd) {
  struct statx st;
  return syscall(SYS_statx, fd, "", AT_EMPTY_PATH, STATX_MNT_ID, &st) == 0 ? st.stx_mnt_id : 0;
}

static void open_place(int root, const char *path, char front[PATH_LIMIT]) {
  struct stat st;
  resolve_path(root, path, true, front);
  int fd = open_resolved(root, front, O_PATH);
  if (fd < 0 && errno == ENOENT) fail(EXIT_NOT_FOUND, "nothing is at %s", path);
  if (fd < 0 || fstat(fd, &st) < 0) fail(EXIT_SYSTEM, "lstat %s: %s", path, strerror(errno));
  if (!S_ISDIR(st.st_mode)) fail(EXIT_NOT_A_DIRECTORY, "extraction point is not a directory");
  struct statvfs fs;
  if (fstatvfs(fd, &fs) < 0) fail(EXIT_SYSTEM, "find the file system of %s: %s", path, strerror(errno));
  if ((fs.f_flag & ST_RDONLY) != 0)
    fail(EXIT_READ_ONLY, "%s is marked read-only", mount_id(fd) == mount_id(root) ? "container rootfs" : "mounted volume");
  close(fd);
  size_t length = strlen(front);
  if (length + 2 > PATH_LIMIT) fail(EXIT_LIMIT, "%.60s…: a path is longer than %d bytes", path, PATH_LIMIT - 1);
  if (length > 0) strcpy(front + length, "/");
}

// The member's name without "." and "..", behind the directory's path; false: it is the directory itself.
static bool place(const char *front, const char *name, char to[2 * PATH_LIMIT]) {
  size_t start = strlen(front), length = start;
  memcpy(to, front, start);
  for (const char *at = name; *at != 0; at += strspn(at, "/")) {
    size_t n = strcspn(at, "/");
    if (n == 2 && memcmp(at, "..", 2) == 0) {
      if (length == start && *name != '/') fail(EXIT_BAD_ARCHIVE, "invalid entry name \"%.200s\"", name);
      while (length > start && to[length - 1] != '/') length--;
      if (length > start) length--;
    } else if (n > 0 && !(n == 1 && *at == '.')) {
      if (length + n + 2 > 2 * PATH_LIMIT) fail(EXIT_LIMIT, "a path is longer than %d bytes", PATH_LIMIT - 1);
      if (length > start) to[length++] = '/';
      memcpy(to + length, at, n);
      length += n;
    }
    at += n;
  }
  to[length] = 0;
  return length > start;
}

void extract_into(int root, const char *path) {
  static struct entry entry;
  static char front[PATH_LIMIT], at[2 * PATH_LIMIT], link[2 * PATH_LIMIT];
  const char *rule = next_word();
  keeps_types = strcmp(rule, "keep") == 0;
  bool is_whole = strcmp(rule, "whole") == 0;
  const char *uid = next_word(), *gid = next_word();
  bool is_owned = strcmp(uid, "-") != 0;
  uid_t owner = is_owned ? (uid_t)parse_decimal(uid, "UID") : 0;
  gid_t group = is_owned ? (gid_t)parse_decimal(gid, "GID") : 0;
  open_place(root, path, front);
  // Until now nothing of the archive was taken.
  if (write(STDOUT_FILENO, ".", 1) != 1) fail_errno("write to", "stdout");
  root_fd = root;
  whiteouts = WHITEOUTS_ORDINARY;
  put_in_front = front;
  open_times_in_memory();
  while (read_entry(&entry)) {
    if (!place(front, entry.path, at) && !(is_whole && entry.type == '5')) {
      if (keeps_types && entry.type != '5')
        fail(EXIT_SYSTEM, "cannot overwrite directory \".\" with non-directory \"/%.*s\"", (int)(*front == 0 ? 0 : strlen(front) - 1), front);
      skip(entry.size);
      skip_padding(entry.size);
      continue;
    }
    entry.path = *at == 0 ? "." : at;
    if (entry.type == '1') {
      place(front, entry.link, link);
      entry.link = link;
    }
    if (is_owned) entry.uid = owner, entry.gid = group;
    make_entry(&entry, &no_limits);
  }
  apply_times();
  drain(64 << 20);
}
