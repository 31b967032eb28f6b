// The runtime's program as a sealed copy in memory, made once and executed for every run and exec. crun and runc copy
// themselves before they touch a container, because one could write to /proc/self/exe (CVE-2019-5736), and execute
// themselves again; from a sealed file they do not, which saves a sixth of a run. Source: memfd_create(2), fcntl(2).

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shim.h"

#ifndef MFD_EXEC
#define MFD_EXEC 0x0010u // Linux 6.3
#endif
enum { SIZE_MAX_BYTES = 64 * 1024 * 1024 };

static int copy(int from, const struct stat *st) {
  const unsigned flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
  const int seals = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE; // all of these and no other: crun compares
  int fd = memfd_create("runtime", flags | MFD_EXEC);
  if (fd < 0)
    fd = memfd_create("runtime", flags);
  off_t at = 0;
  while (fd >= 0 && at < st->st_size) {
    if (sendfile(fd, from, &at, (size_t)(st->st_size - at)) > 0)
      continue;
    close(fd);
    return -1;
  }
  if (fd >= 0 && fcntl(fd, F_ADD_SEALS, seals) != 0) {
    close(fd);
    return -1;
  }
  return fd;
}

int sealed_program(struct sealed *s, const char *path) {
  struct stat st;
  int from = open(path, O_RDONLY | O_CLOEXEC);
  if (from < 0 || fstat(from, &st) != 0 || !S_ISREG(st.st_mode) || st.st_size > SIZE_MAX_BYTES) {
    if (from >= 0)
      close(from);
    return -1;
  }
  // An upgrade replaces the file: another inode, or another time.
  bool same = s->fd >= 0 && s->device == st.st_dev && s->inode == st.st_ino && s->size == st.st_size &&
              s->changed.tv_sec == st.st_ctim.tv_sec && s->changed.tv_nsec == st.st_ctim.tv_nsec;
  if (!same) {
    if (s->fd >= 0)
      close(s->fd);
    *s = (struct sealed){copy(from, &st), st.st_dev, st.st_ino, st.st_size, st.st_ctim};
  }
  close(from);
  return s->fd;
}
