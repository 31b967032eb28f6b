// The port server's listeners: a list of ports read, bound whole or not at all, compared with what is there. SCTP is bound where the
// kernel has it, so that no program takes the port, and not served.

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ports.h"

enum { FILES_KEPT = 32, FILES_PER_CONNECTION = 6, BACKLOG = 4096 };

// ---- the list ----

static bool parse_address(union address *a, const char *text, unsigned port) {
  memset(a, 0, sizeof *a);
  if (port == 0 || port > 65535)
    return false;
  if (inet_pton(AF_INET, text, &a->v4.sin_addr) == 1) {
    a->v4.sin_family = AF_INET;
    a->v4.sin_port = htons((uint16_t)port);
    return true;
  }
  a->v6.sin6_family = AF_INET6;
  a->v6.sin6_port = htons((uint16_t)port);
  return inet_pton(AF_INET6, text, &a->v6.sin6_addr) == 1;
}

bool ports_parse_line(struct listener *l, const char *line) {
  char protocol[8], host[64], address[64];
  unsigned host_port, port;
  int end = 0;
  if (sscanf(line, "%7s %63s %u %63s %u%n", protocol, host, &host_port, address, &port, &end) != 5 || line[end] != '\0')
    return false;
  l->type = strcmp(protocol, "udp") == 0 ? SOCK_DGRAM : SOCK_STREAM;
  l->protocol = strcmp(protocol, "udp") == 0    ? IPPROTO_UDP
                : strcmp(protocol, "tcp") == 0  ? IPPROTO_TCP
                : strcmp(protocol, "sctp") == 0 ? IPPROTO_SCTP
                                                : 0;
  return l->protocol != 0 && parse_address(&l->at, host, host_port) && parse_address(&l->target, address, port);
}

static int compare(const void *left, const void *right) {
  const struct listener *a = *(struct listener *const *)left, *b = *(struct listener *const *)right;
  if (a->protocol != b->protocol)
    return a->protocol < b->protocol ? -1 : 1;
  return memcmp(&a->at, &b->at, sizeof a->at);
}

static void listener_free(struct listener *l) {
  if (l->type == SOCK_DGRAM)
    udp_drop(l->handle.server, l);
  else
    tcp_drop(l->handle.server, l);
  if (l->handle.fd >= 0 && !l->handle.watched)
    close(l->handle.fd); // leaves the inner epoll by itself
  else
    handle_close(&l->handle);
  free(l);
}

/** A line per port, ordered; NULL and `answer` filled in when one is not as it must be. */
static struct listener **parse_list(struct server *server, char *text, size_t *count, struct ports_answer *answer) {
  size_t lines = 1, n = 0;
  for (const char *at = text; *at != '\0'; at++)
    lines += *at == '\n';
  struct listener **list = calloc(lines, sizeof *list);
  for (char *save = NULL, *line = strtok_r(text, "\n", &save); list != NULL && line != NULL;
       line = strtok_r(NULL, "\n", &save)) {
    struct listener *l = calloc(1, sizeof *l);
    if (l != NULL) {
      l->handle = (struct handle){.server = server, .fd = -1};
      list[n++] = l;
    }
    if (l == NULL || !ports_parse_line(l, line)) {
      answer->error = l == NULL ? ENOMEM : EINVAL;
      fail(answer->reason, "invalid port \"%.100s\"", line);
      while (n > 0)
        free(list[--n]);
      free(list);
      return NULL;
    }
  }
  if (list == NULL)
    answer->error = ENOMEM;
  else
    qsort(list, n, sizeof *list, compare);
  *count = n;
  return list;
}

// ---- binding ----

static void render_address(const union address *a, char out[INET6_ADDRSTRLEN + 8]) {
  char text[INET6_ADDRSTRLEN];
  if (a->any.sa_family == AF_INET) {
    inet_ntop(AF_INET, &a->v4.sin_addr, text, sizeof text);
    snprintf(out, INET6_ADDRSTRLEN + 8, "%s:%u", text, ntohs(a->v4.sin_port));
  } else {
    inet_ntop(AF_INET6, &a->v6.sin6_addr, text, sizeof text);
    snprintf(out, INET6_ADDRSTRLEN + 8, "[%s]:%u", text, ntohs(a->v6.sin6_port));
  }
}

static const char *error_text(int error) {
  switch (error) { // Go's words, which are dockerd's; those of C libraries differ
  case EADDRINUSE:
    return "address already in use";
  case EADDRNOTAVAIL:
    return "cannot assign requested address";
  case EACCES:
    return "permission denied";
  case EMFILE:
    return "too many open files";
  default:
    return strerror(error);
  }
}

static void describe(const struct listener *l, int error, size_t nth, size_t count, struct ports_answer *answer) {
  char at[INET6_ADDRSTRLEN + 8], target[INET6_ADDRSTRLEN + 8], more[96] = "";
  struct rlimit files = {0};
  render_address(&l->at, at);
  render_address(&l->target, target);
  if (error == EMFILE && getrlimit(RLIMIT_NOFILE, &files) == 0)
    snprintf(more, sizeof more, " (port %zu of %zu; RLIMIT_NOFILE is %llu)", nth + 1, count,
             (unsigned long long)files.rlim_cur);
  answer->error = error;
  fail(answer->reason, "failed to bind host port for %s:%s/%s: %s%s", at, target,
       l->protocol == IPPROTO_TCP   ? "tcp"
       : l->protocol == IPPROTO_UDP ? "udp"
                                    : "sctp",
       error_text(error), more);
}

/** Binds and serves; 0 or an errno. */
static int listener_open(struct server *server, struct listener *l) {
  static const int on = 1;
  int fd = socket(l->at.any.sa_family, l->type | SOCK_NONBLOCK | SOCK_CLOEXEC, l->protocol);
  if (fd < 0)
    return l->protocol == IPPROTO_SCTP && (errno == EPROTONOSUPPORT || errno == ESOCKTNOSUPPORT) ? 0 : errno;
  l->handle.fd = fd;
  if (l->at.any.sa_family == AF_INET6)
    setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
  if (l->protocol == IPPROTO_TCP) // past connections do not keep the port
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (l->protocol == IPPROTO_UDP && !udp_prepare(fd, l->at.any.sa_family))
    return errno;
  if (bind(fd, &l->at.any, address_size(&l->at)) != 0)
    return errno;
  if (l->protocol == IPPROTO_UDP) {
    l->handle.ready = udp_ready;
    handle_watch(&l->handle, EPOLLIN);
  }
  if (l->protocol == IPPROTO_TCP) {
    struct epoll_event e = {.events = EPOLLIN, .data.ptr = l};
    if (listen(fd, BACKLOG) != 0 || epoll_ctl(server->accepting.fd, EPOLL_CTL_ADD, fd, &e) != 0)
      return errno;
  }
  return 0;
}

void listeners_limit(struct server *server) {
  struct rlimit files = {.rlim_cur = 1024};
  getrlimit(RLIMIT_NOFILE, &files);
  rlim_t left = files.rlim_cur < 1u << 24 ? files.rlim_cur : 1u << 24;
  left = left > server->listener_count + FILES_KEPT ? left - server->listener_count - FILES_KEPT : 0;
  server->session_max = left / 4 < SESSIONS_MAX ? (unsigned)(left / 4) + 1 : SESSIONS_MAX;
  left = left * 3 / 4 / FILES_PER_CONNECTION;
  server->connection_max = left < CONNECTIONS_PROXIED_MAX ? (unsigned)left + 1 : CONNECTIONS_PROXIED_MAX;
}

/** Both lists are ordered: one walk finds what stays, what is new and what goes. */
void listeners_apply(struct server *server, char *text, struct ports_answer *answer) {
  size_t count = 0, old = 0, gone = 0;
  struct listener **list = parse_list(server, text, &count, answer);
  if (list == NULL)
    return;
  for (size_t i = 0; i < count && answer->error == 0; i++) {
    while (old < server->listener_count && compare(&server->listeners[old], &list[i]) < 0)
      old++;
    bool stays = old < server->listener_count && compare(&server->listeners[old], &list[i]) == 0;
    int error = i > 0 && compare(&list[i - 1], &list[i]) == 0 ? EADDRINUSE : stays ? 0 : listener_open(server, list[i]);
    if (error != 0)
      describe(list[i], error, i, count, answer);
  }
  if (answer->error != 0) {
    for (size_t i = 0; i < count; i++)
      listener_free(list[i]);
    free(list);
    return;
  }
  for (size_t i = 0; i < server->listener_count; i++) {
    struct listener *was = server->listeners[i];
    while (gone < count && compare(&list[gone], &was) < 0)
      gone++;
    if (gone < count && compare(&list[gone], &was) == 0) {
      if (memcmp(&was->target, &list[gone]->target, sizeof was->target) != 0)
        udp_drop(server, was); // a client that goes on sending is led to whoever has the old address next
      was->target = list[gone]->target; // of connections from now on
      free(list[gone]);
      list[gone] = was;
    } else {
      listener_free(was);
    }
  }
  free(server->listeners);
  server->listeners = list;
  server->listener_count = count;
  listeners_limit(server);
  tcp_resume(server);
}
