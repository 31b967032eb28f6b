// Files with several names, by device and inode number: an open hash table, as large as what is linked needs.

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "layer.h"

struct link {
  dev_t dev;
  ino_t ino;
  char *path; // NULL: free
};

// Somebody may give a million files two names each, below the longest path there is.
enum { PATHS_LIMIT = 512 << 20 };

static struct link *table;
static size_t capacity, filled, path_bytes;

static size_t slot_of(const struct link *links, size_t size, dev_t dev, ino_t ino) {
  size_t at = (size_t)((ino ^ dev << 40) * UINT64_C(0x9e3779b97f4a7c15) >> 20) & (size - 1);
  while (links[at].path != NULL && (links[at].dev != dev || links[at].ino != ino)) at = (at + 1) & (size - 1);
  return at;
}

static void grow(void) {
  size_t size = capacity == 0 ? 64 : 2 * capacity;
  struct link *grown = calloc(size, sizeof *grown);
  if (grown == NULL) fail(EXIT_SYSTEM, "out of memory");
  for (size_t i = 0; i < capacity; i++)
    if (table[i].path != NULL) grown[slot_of(grown, size, table[i].dev, table[i].ino)] = table[i];
  free(table);
  table = grown;
  capacity = size;
}

const char *first_name(const struct stat *st, const char *path) {
  if (st->st_nlink < 2) return NULL;
  if (2 * (filled + 1) > capacity) grow();
  struct link *link = &table[slot_of(table, capacity, st->st_dev, st->st_ino)];
  if (link->path != NULL) return link->path;
  filled++;
  path_bytes += strlen(path) + 1;
  if (path_bytes > PATHS_LIMIT) fail(EXIT_LIMIT, "too many files with several names: their paths are more than %d bytes", PATHS_LIMIT);
  *link = (struct link){st->st_dev, st->st_ino, strdup(path)};
  if (link->path == NULL) fail(EXIT_SYSTEM, "out of memory");
  return NULL;
}

void forget_names(void) {
  for (size_t i = 0; i < capacity; i++) free(table[i].path);
  free(table);
  table = NULL;
  capacity = filled = path_bytes = 0;
}
