// Datagrams through the port server: every client has a socket of its own to the container, so that answers find their way back,
// and from the very address that the client sent to. Silent ones are forgotten; a new client takes the place of the one that was
// silent longest. "Port unreachable" from either side is passed over: the container may not listen yet.

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ports.h"

enum { DATAGRAM_MAX = 65536, ROUNDS = 32 };

static char datagram[DATAGRAM_MAX]; // touched only where UDP is used

bool udp_prepare(int fd, int family) {
  static const int on = 1;
  return family == AF_INET ? setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &on, sizeof on) == 0
                           : setsockopt(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &on, sizeof on) == 0;
}

// ---- sessions ----

static void unlink_age(struct server *server, struct session *s) {
  *(s->older == NULL ? &server->oldest : &s->older->newer) = s->newer;
  *(s->newer == NULL ? &server->newest : &s->newer->older) = s->older;
}

static void link_newest(struct server *server, struct session *s) {
  s->older = server->newest;
  s->newer = NULL;
  *(s->older == NULL ? &server->oldest : &s->older->newer) = s;
  server->newest = s;
  s->used_ms = monotonic_ms();
}

static void touch(struct session *s) {
  unlink_age(s->handle.server, s);
  link_newest(s->handle.server, s);
}

static unsigned bucket_of(const struct server *server, const union address *client) {
  uint32_t hash = server->seed;
  const uint8_t *bytes = (const uint8_t *)client;
  for (size_t i = 0; i < address_size(client); i++)
    hash = (hash ^ bytes[i]) * 16777619u;
  return (hash ^ hash >> 16) % SESSION_BUCKETS;
}

static void end(struct session *s) {
  struct server *server = s->handle.server;
  struct session **at = &server->buckets[bucket_of(server, &s->client)];
  while (*at != s)
    at = &(*at)->next;
  *at = s->next;
  unlink_age(server, s);
  handle_close(&s->handle);
  s->next = server->dead_sessions; // events of this batch may still name it
  server->dead_sessions = s;
  server->session_count--;
}

void udp_sweep(struct server *server) {
  for (struct session *s; (s = server->dead_sessions) != NULL;) {
    server->dead_sessions = s->next;
    free(s);
  }
}

void udp_drop(struct server *server, const struct listener *listener) {
  for (struct session *s = server->oldest, *next; s != NULL; s = next) {
    next = s->newer;
    if (s->listener == listener)
      end(s);
  }
}

void udp_expire(struct server *server, int64_t now_ms) {
  while (server->oldest != NULL && server->oldest->used_ms + SESSION_IDLE_MS <= now_ms)
    end(server->oldest);
}

// ---- from the container ----

static void answer(struct session *s, size_t size) {
  union {
    struct cmsghdr header;
    char bytes[CMSG_SPACE(sizeof(struct in6_pktinfo))];
  } control;
  struct iovec vector = {.iov_base = datagram, .iov_len = size};
  struct msghdr message = {.msg_name = &s->client,
                           .msg_namelen = address_size(&s->client),
                           .msg_iov = &vector,
                           .msg_iovlen = 1,
                           .msg_control = &control};
  memset(&control, 0, sizeof control);
  if (s->client.any.sa_family == AF_INET) {
    control.header = (struct cmsghdr){
        .cmsg_len = CMSG_LEN(sizeof s->via.v4), .cmsg_level = IPPROTO_IP, .cmsg_type = IP_PKTINFO};
    memcpy(CMSG_DATA(&control.header), &s->via.v4, sizeof s->via.v4);
    message.msg_controllen = CMSG_SPACE(sizeof s->via.v4);
  } else {
    control.header = (struct cmsghdr){
        .cmsg_len = CMSG_LEN(sizeof s->via.v6), .cmsg_level = IPPROTO_IPV6, .cmsg_type = IPV6_PKTINFO};
    memcpy(CMSG_DATA(&control.header), &s->via.v6, sizeof s->via.v6);
    message.msg_controllen = CMSG_SPACE(sizeof s->via.v6);
  }
  // A full buffer loses the datagram, as any network may.
  sendmsg(s->listener->handle.fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void container_ready(struct handle *h, uint32_t events) {
  struct session *s = (struct session *)((char *)h - offsetof(struct session, handle));
  (void)events;
  for (int i = 0; i < ROUNDS; i++) {
    ssize_t n = recv(h->fd, datagram, sizeof datagram, MSG_DONTWAIT);
    if (n < 0 && errno == EAGAIN)
      return;
    if (n < 0)
      continue; // an ICMP error, which is taken from the socket by this
    touch(s);
    answer(s, (size_t)n);
  }
}

// ---- from the client ----

static struct session *find(struct listener *l, const union address *client, const union via *via) {
  struct session *s = l->handle.server->buckets[bucket_of(l->handle.server, client)];
  while (s != NULL && (s->listener != l || memcmp(&s->client, client, sizeof *client) != 0 ||
                       memcmp(&s->via, via, sizeof *via) != 0))
    s = s->next;
  return s;
}

static struct session *begin(struct listener *l, const union address *client, const union via *via) {
  struct server *server = l->handle.server;
  if (server->session_count >= server->session_max)
    end(server->oldest);
  int fd = socket(l->target.any.sa_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0 && server->oldest != NULL) {
    end(server->oldest);
    fd = socket(l->target.any.sa_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  }
  struct session *s = fd < 0 ? NULL : calloc(1, sizeof *s);
  if (s == NULL || connect(fd, &l->target.any, address_size(&l->target)) != 0) {
    if (fd >= 0)
      close(fd);
    free(s);
    return NULL;
  }
  unsigned bucket = bucket_of(server, client);
  s->handle = (struct handle){.server = server, .ready = container_ready, .fd = fd};
  s->listener = l;
  s->client = *client;
  s->via = *via;
  s->next = server->buckets[bucket];
  server->buckets[bucket] = s;
  server->session_count++;
  link_newest(server, s);
  handle_watch(&s->handle, EPOLLIN);
  return s;
}

/** Where the datagram was sent to, in the form in which the answer's source is asked for. */
static void read_via(struct msghdr *message, union via *via) {
  memset(via, 0, sizeof *via);
  for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c != NULL; c = CMSG_NXTHDR(message, c)) {
    if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
      struct in_pktinfo info;
      memcpy(&info, CMSG_DATA(c), sizeof info);
      via->v4.ipi_spec_dst = info.ipi_spec_dst;
    }
    if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
      memcpy(&via->v6, CMSG_DATA(c), sizeof via->v6);
      if (!IN6_IS_ADDR_LINKLOCAL(&via->v6.ipi6_addr))
        via->v6.ipi6_ifindex = 0; // answers may leave by another interface
    }
  }
}

void udp_ready(struct handle *h, uint32_t events) {
  struct listener *l = (struct listener *)((char *)h - offsetof(struct listener, handle));
  (void)events;
  for (int i = 0; i < ROUNDS; i++) {
    union address client;
    union via via;
    union {
      struct cmsghdr header;
      char bytes[128];
    } control;
    struct iovec vector = {.iov_base = datagram, .iov_len = sizeof datagram};
    struct msghdr message = {.msg_name = &client,
                             .msg_namelen = sizeof client,
                             .msg_iov = &vector,
                             .msg_iovlen = 1,
                             .msg_control = &control,
                             .msg_controllen = sizeof control};
    memset(&client, 0, sizeof client);
    ssize_t n = recvmsg(h->fd, &message, MSG_DONTWAIT);
    if (n < 0 && errno == EAGAIN)
      return;
    if (n < 0)
      continue;
    read_via(&message, &via);
    struct session *s = find(l, &client, &via);
    if (s != NULL)
      touch(s);
    else
      s = begin(l, &client, &via);
    if (s != NULL)
      send(s->handle.fd, datagram, (size_t)n, MSG_DONTWAIT | MSG_NOSIGNAL);
  }
}
