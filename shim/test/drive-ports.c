// Drives the port server from a test: lists come on standard input, a line per port, ended by a line ".". Each is answered by "ok" or
// by "error ERRNO TEXT". "x." in place of "." closes. End of input ends the shim's side without a word.

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "shim.h"

static char list[1 << 22];

struct driver {
  struct shim shim;
  struct source input;
  size_t size;
};

static void nothing(void *context) { (void)context; }

static void take(struct driver *d, bool close_all) {
  char reason[REASON_SIZE];
  if (close_all) {
    ports_close(&d->shim);
    puts("ok");
  } else if (ports_apply(&d->shim, list, reason)) {
    puts("ok");
  } else {
    printf("error %d %s\n", errno, reason);
  }
  fflush(stdout);
  d->size = 0;
  list[0] = '\0';
}

static void input_ready(struct source *source, uint32_t events) {
  struct driver *d = (struct driver *)((char *)source - offsetof(struct driver, input));
  (void)events;
  ssize_t n = read(0, list + d->size, sizeof list - 1 - d->size);
  if (n <= 0)
    _exit(0);
  d->size += (size_t)n;
  list[d->size] = '\0';
  if (d->size >= 3 && strcmp(list + d->size - 3, "x.\n") == 0) {
    take(d, true);
  } else if (d->size >= 2 && strcmp(list + d->size - 2, ".\n") == 0 && (d->size == 2 || list[d->size - 3] == '\n')) {
    list[d->size - 2] = '\0';
    take(d, false);
  }
}

int main(int argc, char **argv) {
  static struct driver driver;
  struct driver *d = &driver;
  if (argc < 2)
    return 2;
  d->shim.options.id = "0123456789abcdef";
  d->shim.host_mounts = -1;
  d->shim.title = argv[1];
  d->shim.title_size = strlen(argv[1]);
  d->input.fd = 0;
  d->input.ready = input_ready;
  if (!loop_open(&d->shim.loop) || !reap_open(&d->shim))
    return 1;
  loop_watch(&d->shim.loop, &d->input, EPOLLIN);
  for (;;)
    loop_turn(&d->shim.loop, nothing, NULL);
}
