// The mounts of a local volume's options: mount(2) as it was asked, with no helper program and no reading of fstab, on a directory that
// is no symbolic link. A failure is "STEP ERRNO" on stderr, for the daemon to put into words.

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mount.h>
#include <unistd.h>

#include "copy.h"

static void fail_step(uint64_t step) { fail(EXIT_SYSTEM, "%llu %d", (unsigned long long)step, errno); }

// Request: target, then steps: source, type, flags, data; "" stands for none. What was mounted before a step failed is unmounted.
void mount_volume(void) {
  const char *target = next_word();
  for (uint64_t step = 0; has_word(); step++) {
    const char *source = next_word(), *type = next_word();
    unsigned long flags = (unsigned long)next_number();
    const char *data = next_word();
    char path[64];
    // Opened anew at each step: it is the top-most mount that is meant.
    int fd = open(target, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd >= 0) snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    if (fd < 0 || mount(*source != 0 ? source : NULL, path, *type != 0 ? type : NULL, flags, *data != 0 ? data : NULL) < 0) {
      int error = errno;
      if (fd >= 0) close(fd);
      if (step > 0) umount2(target, MNT_DETACH | UMOUNT_NOFOLLOW);
      errno = error;
      fail_step(step);
    }
    close(fd);
  }
}

// Request: target. The mount is gone at once, its file system when nobody uses it any more.
void unmount_volume(void) {
  if (umount2(next_word(), MNT_DETACH | UMOUNT_NOFOLLOW) < 0) fail_step(0);
}
