// Contents: shared where the file system can (FICLONE), otherwise copied, large files by the kernel; holes stay holes.

#include <errno.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "copy.h"

enum { KERNEL_WORTH_IT = 1 << 20 };

static void copy_by_buffer(int from, int to, off_t at, off_t end, const char *path) {
  static char buffer[1 << 20];
  while (at < end) {
    size_t room = end - at < (off_t)sizeof buffer ? (size_t)(end - at) : sizeof buffer;
    ssize_t n = pread(from, buffer, room, at);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) fail_path("read", path);
    if (n == 0) return;
    for (ssize_t done = 0; done < n;) {
      ssize_t written = pwrite(to, buffer + done, (size_t)(n - done), at + done);
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) fail_path("write", path);
      done += written;
    }
    at += n;
  }
}

static void copy_range(int from, int to, off_t at, off_t end, const char *path) {
  static bool refused;
  off_t source = at, target = at;
  while (!refused && end - source >= KERNEL_WORTH_IT) {
    ssize_t n = copy_file_range(from, &source, to, &target, (size_t)(end - source), 0);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == ENOSPC) fail_path("write", path);
    if (n <= 0) refused = n < 0;
    if (n <= 0) break;
  }
  copy_by_buffer(from, to, source, end, path);
}

bool copy_data(int from, int to, const struct stat *st, const char *path) {
  static bool cannot_share;
  if (st->st_size == 0) return true;
  if (!cannot_share && ioctl(to, FICLONE, from) == 0) return true;
  // Other failures are of this one file.
  cannot_share = cannot_share || errno == EOPNOTSUPP || errno == ENOTTY || errno == EXDEV;
  if (st->st_blocks * 512 >= st->st_size) {
    copy_range(from, to, 0, st->st_size, path);
    return false;
  }
  for (off_t at = 0, data; (data = lseek(from, at, SEEK_DATA)) >= 0 || errno != ENXIO;) {
    // No such thing as holes here.
    off_t hole = data < 0 ? st->st_size : lseek(from, data, SEEK_HOLE);
    copy_range(from, to, data < 0 ? 0 : data, hole, path);
    if (data < 0 || hole >= st->st_size) break;
    at = hole;
  }
  if (ftruncate(to, st->st_size) < 0) fail_path("set the size of", path);
  return false;
}
