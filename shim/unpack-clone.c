// Copies an unpacked layer for a second place in a chain (overlayfs refuses one directory twice in a stack): directories are
// made anew with their attributes and times, everything else becomes another name of the same, never written, inode.

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "unpack.h"

static void clone_xattrs(int from, int to) {
  char names[65536], value[65536];
  ssize_t size = flistxattr(from, names, sizeof names);
  if (size < 0) fail_errno("list the attributes of", "a directory");
  for (char *name = names; name < names + size; name += strlen(name) + 1) {
    ssize_t length = fgetxattr(from, name, value, sizeof value);
    if (length < 0 || fsetxattr(to, name, value, (size_t)length, 0) < 0) fail_errno("copy the attribute", name);
  }
}

static void clone_metadata(int from, int to) {
  struct stat st;
  if (fstat(from, &st) < 0) fail_errno("stat", "a directory");
  if (fchown(to, st.st_uid, st.st_gid) < 0) fail_errno("chown", "a directory");
  if (fchmod(to, st.st_mode & 07777) < 0) fail_errno("chmod", "a directory");
  clone_xattrs(from, to);
  struct timespec times[2] = {st.st_atim, st.st_mtim};
  if (futimens(to, times) < 0) fail_errno("set the times of", "a directory");
}

void clone_directory(int from, int to) {
  DIR *dir = fdopendir(from);
  if (dir == NULL) fail_errno("read", "a directory");
  for (struct dirent *child; (child = readdir(dir)) != NULL;) {
    const char *name = child->d_name;
    if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0) continue;
    int below = openat(from, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (below < 0) {
      if (errno != ENOTDIR && errno != ELOOP) fail_errno("open", name);
      if (linkat(from, name, to, name, 0) < 0) fail_errno("link", name);
      continue;
    }
    if (mkdirat(to, name, 0700) < 0 && errno != EEXIST) fail_errno("make the directory", name);
    int made = openat(to, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (made < 0) fail_errno("open", name);
    clone_directory(below, made);
    close(made);
  }
  clone_metadata(from, to);
  closedir(dir);
}
