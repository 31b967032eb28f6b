// Frames as they are, for tests of what a container may send: `frames send IF HEX…` and `frames hear IF MS` (prints what arrives, as hex, a
// line each). Needs CAP_NET_RAW in the current network namespace.

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>

static int die(const char *what) {
  fprintf(stderr, "frames: %s: %s\n", what, strerror(errno));
  return 1;
}

static size_t parse(const char *hex, uint8_t *bytes, size_t size) {
  size_t n = 0;
  for (; n < size && hex[0] != '\0' && hex[1] != '\0'; hex += 2) {
    unsigned value;
    if (sscanf(hex, "%2x", &value) != 1)
      break;
    bytes[n++] = (uint8_t)value;
  }
  return n;
}

static long now_ms(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static int hear(int fd, long ms) {
  long end = now_ms() + ms;
  puts("ready");
  fflush(stdout);
  for (long left; (left = end - now_ms()) > 0;) {
    struct pollfd p = {.fd = fd, .events = POLLIN};
    uint8_t frame[2048];
    struct sockaddr_ll from;
    socklen_t from_size = sizeof from;
    if (poll(&p, 1, (int)left) <= 0)
      continue;
    ssize_t n = recvfrom(fd, frame, sizeof frame, 0, (struct sockaddr *)&from, &from_size);
    if (n < 0 || from.sll_pkttype == PACKET_OUTGOING)
      continue;
    for (ssize_t i = 0; i < n; i++)
      printf("%02x", frame[i]);
    putchar('\n');
    fflush(stdout);
  }
  return 0;
}

int main(int argc, char **argv) {
  uint8_t bytes[2048];
  if (argc < 4)
    return 2;
  struct sockaddr_ll at = {
      .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL), .sll_ifindex = (int)if_nametoindex(argv[2])};
  int fd = socket(AF_PACKET, SOCK_RAW, htons(ETH_P_ALL));
  if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof at) != 0)
    return die(argv[2]);
  if (strcmp(argv[1], "hear") == 0)
    return hear(fd, atol(argv[3]));
  for (int i = 3; i < argc; i++) {
    size_t n = parse(argv[i], bytes, sizeof bytes);
    if (send(fd, bytes, n, 0) < 0)
      return die("send");
  }
  return 0;
}
