// The relay's connection to the name server: one, whichever question's attempt made it. No privileges are needed.

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../src/dns.h"

static int failures;

static void expect(bool ok, const char *what) {
  if (ok)
    return;
  printf("failed: %s\n", what);
  failures++;
}

static void idle(void *context) { (void)context; }

static int accepted(int listener) {
  int count = 0;
  for (int fd; (fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0; count++)
    close(fd);
  return count;
}

int main(void) {
  static struct shim shim;
  static struct dns dns;
  char dir[] = "/tmp/test-dns-link-XXXXXX";
  if (mkdtemp(dir) == NULL || !loop_open(&shim.loop))
    return 1;
  shim.options.id = "c";
  shim.dns = &dns;
  dns.shim = &shim;
  dns.link.fd = -1;
  dns.udp.fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  dns.listener.fd = -1;
  dns.server.sun_family = AF_UNIX;
  snprintf(dns.server.sun_path, sizeof dns.server.sun_path, "%s/dns.sock", dir);

  expect(dns_way(&dns) == DNS_WAIT, "a question waits for a server that is not there");
  expect(dns.retry.armed, "and the connection is tried again");
  int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (bind(listener, (struct sockaddr *)&dns.server, sizeof dns.server) != 0 || listen(listener, 16) != 0)
    return 1;
  expect(dns_way(&dns) == DNS_SEND, "another question's attempt succeeds");
  int first = dns.link.fd;
  while (dns.retry.armed)
    loop_turn(&shim.loop, idle, NULL);
  expect(dns.link.fd == first, "the connection stays the same");
  expect(dns.udp.events == EPOLLIN, "questions are read again");
  expect(accepted(listener) == 1, "there is one connection");

  dns_link_close(&dns);
  close(dns.udp.fd);
  close(listener);
  unlink(dns.server.sun_path);
  rmdir(dir);
  return failures == 0 ? 0 : 1;
}
