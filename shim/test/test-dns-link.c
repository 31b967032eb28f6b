// The relay's connection to the name server: one, whichever question's attempt made it. And a client that cannot be accepted, as no
// file may be opened: it waits without costing time. No privileges are needed.

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
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

  struct rlimit files, none;
  int client = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  dns.listener = (struct source){.fd = listener, .ready = dns_accept};
  dns.sweep.fire = dns_sweep;
  loop_watch(&shim.loop, &dns.listener, EPOLLIN);
  getrlimit(RLIMIT_NOFILE, &files);
  none = files;
  none.rlim_cur = 3;
  setrlimit(RLIMIT_NOFILE, &none);
  expect(connect(client, (struct sockaddr *)&dns.server, sizeof dns.server) == 0, "a client connects");
  loop_turn(&shim.loop, idle, NULL);
  expect(dns.listener.events == 0 && dns.sweep.armed, "where no file is left, the listener rests for a while");
  setrlimit(RLIMIT_NOFILE, &files);
  for (int i = 0; i < 10 && dns.conn_count == 0; i++)
    loop_turn(&shim.loop, idle, NULL);
  expect(dns.conn_count == 1, "and the client is accepted afterwards");
  dns_conns_close(&dns);
  loop_disarm(&shim.loop, &dns.sweep);
  close(client);

  close(dns.udp.fd);
  close(listener);
  unlink(dns.server.sun_path);
  rmdir(dir);
  return failures == 0 ? 0 : 1;
}
