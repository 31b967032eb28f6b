// 127.0.0.11 alone, for the tests of the name server: relays from the network namespace that it is started in to a name
// server's socket, and says when it is ready. Ends with its standard input.
//   test-dns-relay SOCKET CONTAINER-ID

#include <fcntl.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "../src/dns.h"

static bool ended;

static void input_ready(struct source *source, uint32_t events) {
  char byte;
  (void)events;
  ended = read(source->fd, &byte, 1) <= 0;
}

static void idle(void *context) {
  (void)context;
  chunk_release_idle();
}

int main(int argc, char **argv) {
  static struct shim shim;
  struct source input = {.fd = 0, .ready = input_ready};
  char reason[REASON_SIZE] = "usage: test-dns-relay SOCKET CONTAINER-ID";
  int net_ns = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
  if (argc == 3)
    shim.options.id = argv[2];
  if (argc != 3 || !loop_open(&shim.loop) || !dns_start(&shim, net_ns, argv[1], reason)) {
    fprintf(stderr, "%s\n", reason);
    return 1;
  }
  puts("ready");
  fflush(stdout);
  loop_watch(&shim.loop, &input, EPOLLIN);
  while (!ended)
    loop_turn(&shim.loop, idle, NULL);
  dns_stop(&shim);
  return 0;
}
