// Directory times: written to an unnamed file while members arrive, and applied at the end, so that memory stays bounded
// however many directories a layer has.

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "unpack.h"

struct record {
  int64_t mtime_s;
  uint32_t mtime_ns;
  uint32_t length; // of the path that follows
};

enum { MEMORY_LIMIT = 32 << 20 };

static FILE *spool;
static bool in_memory;
static uint64_t remembered;

void open_times(const char *directory) {
  int fd = open(directory, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  if (fd < 0 || (spool = fdopen(fd, "w+")) == NULL) fail_errno("make a temporary file in", directory);
}

void open_times_in_memory(void) {
  int fd = memfd_create("times", MFD_CLOEXEC);
  if (fd < 0 || (spool = fdopen(fd, "w+")) == NULL) fail_errno("make a temporary file", "in memory");
  in_memory = true;
}

void remember_times(const char *path, const struct entry *entry) {
  struct record record = {entry->mtime_s, entry->mtime_ns, (uint32_t)strlen(path)};
  remembered += sizeof record + record.length;
  if (in_memory && remembered > MEMORY_LIMIT) fail(EXIT_LIMIT, "the archive has too many directories");
  if (fwrite(&record, sizeof record, 1, spool) != 1 || (record.length > 0 && fwrite(path, record.length, 1, spool) != 1))
    fail_errno("write the temporary file for", path);
}

void apply_times(void) {
  if (fflush(spool) != 0 || fseek(spool, 0, SEEK_SET) != 0) fail_errno("read back", "the temporary file");
  struct record record;
  char path[PATH_LIMIT];
  while (fread(&record, sizeof record, 1, spool) == 1) {
    if (record.length > 0 && fread(path, record.length, 1, spool) != 1) fail_errno("read back", "the temporary file");
    path[record.length] = 0;
    // Replaced since by something else: nothing to do.
    int fd = open_in_root(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    if (fd < 0 && (errno == ENOENT || errno == ENOTDIR || errno == ELOOP)) continue;
    if (fd < 0) fail_errno("open the directory", path);
    struct timespec time = {.tv_sec = (time_t)record.mtime_s, .tv_nsec = (long)record.mtime_ns};
    struct timespec times[2] = {time, time};
    if (futimens(fd, times) < 0) fail_errno("set the times of", path);
    close(fd);
  }
  if (ferror(spool)) fail_errno("read back", "the temporary file");
  fclose(spool);
}
