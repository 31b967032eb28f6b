// 127.0.0.11 in the container's namespace: the sockets, and what comes as datagrams. Nothing is remembered of a datagram: its
// sender's address travels with the question and comes back with the reply. Protocol: docs/dns.md.

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "dns.h"
#include "nfnl.h"

bool dns_is_query(const uint8_t *m, size_t size) { return size >= DNS_HEADER && size <= DNS_MESSAGE_MAX && (m[2] & 0x80) == 0; }

void dns_make_failure(uint8_t *m) {
  m[2] = (uint8_t)((m[2] & 0x79) | 0x80); // opcode and RD as asked; a response
  m[3] = 0x80 | 2;                        // RA, SERVFAIL
}

static void tag_of(const struct sockaddr_in *from, uint8_t tag[DNS_TAG]) {
  memset(tag, 0, DNS_TAG);
  memcpy(tag, &from->sin_addr, 4);
  memcpy(tag + 4, &from->sin_port, 2);
}

void dns_datagram_reply(struct dns *d, const uint8_t tag[DNS_TAG], const uint8_t *m, size_t size) {
  struct sockaddr_in to = {.sin_family = AF_INET};
  memcpy(&to.sin_addr, tag, 4);
  memcpy(&to.sin_port, tag + 4, 2);
  // Lost where the client's socket is full or gone. A sender that is not of this namespace gets nothing: the kernel lets no
  // packet from 127.0.0.11 leave it.
  sendto(d->udp.fd, m, size, MSG_DONTWAIT | MSG_NOSIGNAL, (struct sockaddr *)&to, sizeof to);
}

static void datagrams_ready(struct source *source, uint32_t events) {
  struct dns *d = (struct dns *)((char *)source - offsetof(struct dns, udp));
  (void)events;
  enum dns_way way = dns_way(d);
  struct chunk *chunk;
  size_t size = 0;
  if (way == DNS_WAIT) {
    dns_hold(d);
    return;
  }
  if ((chunk = chunk_take()) == NULL)
    return;
  uint8_t *bytes = (uint8_t *)chunk->data;
  for (int i = 0; i < DNS_PER_TURN && CHUNK_BYTES - size >= DNS_FRAME_HEAD + DNS_MESSAGE_MAX; i++) {
    struct sockaddr_in from = {0};
    socklen_t length = sizeof from;
    uint8_t tag[DNS_TAG], *message = bytes + size + DNS_FRAME_HEAD;
    ssize_t n = recvfrom(source->fd, message, DNS_MESSAGE_MAX, MSG_DONTWAIT, (struct sockaddr *)&from, &length);
    if (n < 0)
      break;
    if (!dns_is_query(message, (size_t)n))
      continue;
    tag_of(&from, tag);
    if (way == DNS_FAIL) {
      dns_make_failure(message);
      dns_datagram_reply(d, tag, message, (size_t)n);
      continue;
    }
    dns_frame_head(bytes + size, DNS_DATAGRAM, tag, (size_t)n);
    size += DNS_FRAME_HEAD + (size_t)n;
  }
  if (size > 0)
    dns_link_send(d, bytes, size);
  chunk_give(chunk);
}

void dns_hold(struct dns *d) {
  loop_watch(&d->shim->loop, &d->udp, 0);
  dns_conns_watch(d, true);
}

void dns_resume(struct dns *d) {
  loop_watch(&d->shim->loop, &d->udp, EPOLLIN);
  dns_conns_resume(d);
}

static int bound_socket(int type, uint16_t *port) {
  struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f00000b)};
  socklen_t length = sizeof at;
  int fd = socket(AF_INET, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd >= 0 && (bind(fd, (struct sockaddr *)&at, sizeof at) != 0 || getsockname(fd, (struct sockaddr *)&at, &length) != 0 ||
                  (type == SOCK_STREAM && listen(fd, 128) != 0))) {
    int error = errno;
    close(fd);
    errno = error;
    fd = -1;
  }
  *port = ntohs(at.sin_port);
  return fd;
}

// In the container's namespace.
static bool open_sockets(struct dns *d, char reason[REASON_SIZE]) {
  uint16_t udp_port, tcp_port;
  d->udp.fd = bound_socket(SOCK_DGRAM, &udp_port);
  d->listener.fd = d->udp.fd < 0 ? -1 : bound_socket(SOCK_STREAM, &tcp_port);
  if (d->listener.fd >= 0)
    return nfnl_redirect_dns(udp_port, tcp_port, reason);
  fail(reason, "bind the name server's sockets at 127.0.0.11: %s", strerror(errno));
  return false;
}

static bool open_inside(struct dns *d, int net_ns, char reason[REASON_SIZE]) {
  int home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
  if (home < 0 || setns(net_ns, CLONE_NEWNET) != 0) {
    fail(reason, "enter the container's network namespace for its name server: %s", strerror(errno));
    if (home >= 0)
      close(home);
    return false;
  }
  bool ok = open_sockets(d, reason);
  if (setns(home, CLONE_NEWNET) != 0 && ok) {
    fail(reason, "return to the host's network namespace: %s", strerror(errno));
    ok = false;
  }
  close(home);
  return ok;
}

bool dns_start(struct shim *s, int net_ns, const char *server, char reason[REASON_SIZE]) {
  struct dns *d = s->dns;
  if (strlen(server) >= sizeof d->server.sun_path) {
    fail(reason, "the path of the name server's socket is too long: %s", server);
    return false;
  }
  if (d != NULL && strcmp(d->server.sun_path, server) == 0)
    return true;
  dns_stop(s);
  if ((d = calloc(1, sizeof *d)) == NULL) {
    fail(reason, "no memory for the name server's sockets");
    return false;
  }
  s->dns = d;
  d->shim = s;
  d->udp.fd = d->listener.fd = d->link.fd = -1;
  d->udp.ready = datagrams_ready;
  d->listener.ready = dns_accept;
  d->sweep.fire = dns_sweep;
  d->server.sun_family = AF_UNIX;
  memcpy(d->server.sun_path, server, strlen(server) + 1);
  if (!open_inside(d, net_ns, reason)) {
    dns_stop(s);
    return false;
  }
  loop_watch(&s->loop, &d->udp, EPOLLIN);
  loop_watch(&s->loop, &d->listener, EPOLLIN);
  return true;
}

void dns_stop(struct shim *s) {
  struct dns *d = s->dns;
  if (d == NULL)
    return;
  s->dns = NULL;
  dns_link_close(d);
  dns_conns_close(d);
  loop_disarm(&s->loop, &d->retry);
  loop_disarm(&s->loop, &d->sweep);
  struct source *own[2] = {&d->udp, &d->listener};
  for (int i = 0; i < 2; i++)
    if (own[i]->fd >= 0) {
      loop_watch(&s->loop, own[i], 0);
      close(own[i]->fd);
    }
  free(d);
}
