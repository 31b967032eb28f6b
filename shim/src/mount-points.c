// The places in the container's root where the runtime and the engine mount something. Runtimes resolve some of them by
// name, and follow a symbolic link of the image to the host (CVE-2026-47766, CVE-2026-41579): what is no directory or no
// file is replaced before a runtime sees it, as dockerd's init layer does. Done at every start, because a container can
// replace them too. Every step is relative to a descriptor and follows nothing.

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shim.h"

// Removes what has another type than the one wanted. True: something of that type is there.
static bool keep_only(int dir, const char *name, mode_t type) {
  struct stat st;
  if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
    return false;
  if ((st.st_mode & S_IFMT) == type)
    return true;
  unlinkat(dir, name, 0); // a directory stays: the mount over it fails and says why
  return false;
}

static bool make_directory(int root, const char *name) {
  return keep_only(root, name, S_IFDIR) || mkdirat(root, name, 0755) == 0;
}

static bool make_file(int dir, const char *name) {
  if (keep_only(dir, name, S_IFREG))
    return true;
  int fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0755);
  if (fd < 0)
    return errno == EEXIST;
  close(fd);
  return true;
}

bool mount_points_make(int root, char reason[REASON_SIZE]) {
  static const char *const directories[] = {"dev", "proc", "sys", "etc"};
  static const char *const files[] = {"hosts", "hostname", "resolv.conf"};
  for (size_t i = 0; i < sizeof directories / sizeof *directories; i++)
    if (!make_directory(root, directories[i])) {
      fail(reason, "make /%s in the container: %s", directories[i], strerror(errno));
      return false;
    }
  int etc = openat(root, "etc", O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (etc < 0) {
    fail(reason, "open /etc in the container: %s", strerror(errno));
    return false;
  }
  bool ok = make_file(root, ".dockerenv");
  for (size_t i = 0; ok && i < sizeof files / sizeof *files; i++)
    ok = make_file(etc, files[i]);
  // Programs of old look here for what is mounted.
  ok = ok && (symlinkat("/proc/mounts", etc, "mtab") == 0 || errno == EEXIST);
  if (!ok)
    fail(reason, "make the files of /etc in the container: %s", strerror(errno));
  close(etc);
  return ok;
}
