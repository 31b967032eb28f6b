// Buffers for bytes on their way, mapped when they are needed and given back to the kernel when nothing has flowed for a while.

#include <sys/mman.h>

#include "shim.h"

enum { FREE_MAX = 3 };

static struct chunk *free_chunks;
static int free_count;

struct chunk *chunk_take(void) {
  struct chunk *c = free_chunks;
  if (c != NULL) {
    free_chunks = c->next;
    free_count--;
  } else {
    c = mmap(NULL, sizeof *c, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (c == MAP_FAILED)
      return NULL;
  }
  c->size = 0;
  c->holders = 0;
  return c;
}

void chunk_give(struct chunk *c) {
  if (free_count >= FREE_MAX) {
    munmap(c, sizeof *c);
    return;
  }
  c->next = free_chunks;
  free_chunks = c;
  free_count++;
}

void chunk_release_idle(void) {
  while (free_chunks != NULL) {
    struct chunk *c = free_chunks;
    free_chunks = c->next;
    munmap(c, sizeof *c);
  }
  free_count = 0;
}
