// The port server: a child of the shim that holds a socket for every published port, so that no program of the host can take it, and
// serves what the kernel's NAT cannot lead to the container: 127.0.0.0/8, ::1, and IPv6 to a container without it.
// It has no file open but its sockets, no capability but that to bind low ports, and ends with the shim.
// SCTP is bound where the kernel has it, and not served.

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/capability.h>

#include "ports.h"

enum { CONTROL_FD = 3, FILES_WANTED = 65536, FILES_KEPT = 32, FILES_PER_CONNECTION = 6, BACKLOG = 4096 };

socklen_t address_size(const union address *a) {
  return a->any.sa_family == AF_INET ? sizeof a->v4 : sizeof a->v6;
}

void handle_watch(struct handle *h, uint32_t events) {
  struct epoll_event e = {.events = events, .data.ptr = h};
  if (h->watched && h->events == events)
    return;
  epoll_ctl(h->server->epoll, h->watched ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, h->fd, &e);
  h->watched = true;
  h->events = events;
}

void handle_unwatch(struct handle *h) {
  if (h->watched)
    epoll_ctl(h->server->epoll, EPOLL_CTL_DEL, h->fd, NULL);
  h->watched = false;
}

void handle_close(struct handle *h) {
  if (h->fd < 0)
    return;
  handle_unwatch(h);
  close(h->fd);
  h->fd = -1;
}

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

static bool parse_line(struct listener *l, const char *line) {
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
    if (l == NULL || !parse_line(l, line)) {
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

static void accept_ready(struct handle *h, uint32_t events) {
  struct epoll_event list[EVENTS_MAX];
  (void)events;
  int n = epoll_wait(h->fd, list, EVENTS_MAX, 0);
  for (int i = 0; i < n && !h->server->paused; i++)
    tcp_accept(list[i].data.ptr);
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

static void set_limits(struct server *server) {
  struct rlimit files = {.rlim_cur = 1024};
  getrlimit(RLIMIT_NOFILE, &files);
  rlim_t left = files.rlim_cur < 1u << 24 ? files.rlim_cur : 1u << 24;
  left = left > server->listener_count + FILES_KEPT ? left - server->listener_count - FILES_KEPT : 0;
  server->session_max = left / 4 < SESSIONS_MAX ? (unsigned)(left / 4) + 1 : SESSIONS_MAX;
  left = left * 3 / 4 / FILES_PER_CONNECTION;
  server->connection_max = left < CONNECTIONS_PROXIED_MAX ? (unsigned)left + 1 : CONNECTIONS_PROXIED_MAX;
}

/** Both lists are ordered: one walk finds what stays, what is new and what goes. */
static void apply(struct server *server, char *text, struct ports_answer *answer) {
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
  set_limits(server);
  tcp_resume(server);
}

// ---- life ----

static bool receive_all(int fd, void *memory, size_t size) {
  for (char *at = memory; size > 0;) {
    ssize_t n = recv(fd, at, size, 0);
    if (n < 0 && errno == EINTR)
      continue;
    if (n <= 0)
      return false;
    at += n;
    size -= (size_t)n;
  }
  return true;
}

static void control_ready(struct handle *h, uint32_t events) {
  static struct ports_answer answer;
  uint32_t size;
  (void)events;
  if (!receive_all(h->fd, &size, sizeof size) || size > LIST_BYTES_MAX)
    _exit(0);
  char *text = malloc((size_t)size + 1);
  memset(&answer, 0, sizeof answer);
  if (text == NULL || !receive_all(h->fd, text, size))
    _exit(1);
  text[size] = '\0';
  apply(h->server, text, &answer);
  if (answer.error != 0 && answer.reason[0] == '\0')
    fail(answer.reason, "publish ports: %s", strerror(answer.error));
  free(text);
  send(h->fd, &answer, sizeof answer, MSG_NOSIGNAL);
}

static void drop_privileges(void) {
  struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
  struct __user_cap_data_struct data[2] = {{0}};
  data[0].effective = data[0].permitted = 1u << CAP_NET_BIND_SERVICE;
  prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
  syscall(SYS_capset, &header, data);
}

static void detach(struct shim *s, int control) {
  struct rlimit files;
  sigset_t none;
  prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
  prctl(PR_SET_NAME, "gantry-port", 0, 0, 0);
  memset(s->title, 0, s->title_size);
  snprintf(s->title, s->title_size, "gantry-port %.12s", s->options.id);
  if (s->own_mounts && s->host_mounts >= 0 && setns(s->host_mounts, CLONE_NEWNS) != 0)
    _exit(1); // it would keep the container's mounts
  if (chdir("/") != 0)
    _exit(1);
  control = fcntl(control, F_DUPFD_CLOEXEC, 10);
  if (dup3(control, CONTROL_FD, O_CLOEXEC) < 0)
    _exit(1);
  if (syscall(SYS_close_range, CONTROL_FD + 1u, ~0u, 0u) != 0)
    for (int fd = CONTROL_FD + 1; fd < 1024; fd++) // before Linux 5.9
      close(fd);
  write_file("/proc/self/oom_score_adj", "0");
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  if (files.rlim_max < FILES_WANTED) {
    struct rlimit more = {.rlim_cur = FILES_WANTED, .rlim_max = FILES_WANTED};
    if (setrlimit(RLIMIT_NOFILE, &more) == 0)
      files = more;
  }
  setrlimit(RLIMIT_NOFILE, &files);
  drop_privileges();
}

/** Until a session is too old or accepting is tried again; −1: neither. */
static int wait_ms(const struct server *server, int64_t now) {
  int64_t at = server->oldest == NULL ? INT64_MAX : server->oldest->used_ms + SESSION_IDLE_MS;
  if (server->paused && server->resume_at_ms != 0 && server->resume_at_ms < at)
    at = server->resume_at_ms;
  return at == INT64_MAX ? -1 : at <= now ? 0 : (int)(at - now);
}

_Noreturn void ports_serve(struct shim *s, int control) {
  static struct server server;
  struct epoll_event events[EVENTS_MAX];
  detach(s, control);
  server.epoll = epoll_create1(EPOLL_CLOEXEC);
  server.accepting = (struct handle){.server = &server, .ready = accept_ready, .fd = epoll_create1(EPOLL_CLOEXEC)};
  server.control = (struct handle){.server = &server, .ready = control_ready, .fd = CONTROL_FD};
  if (server.epoll < 0 || server.accepting.fd < 0)
    _exit(1);
  if (getrandom(&server.seed, sizeof server.seed, GRND_NONBLOCK) != sizeof server.seed)
    server.seed = (uint32_t)monotonic_ms();
  set_limits(&server);
  handle_watch(&server.control, EPOLLIN);
  handle_watch(&server.accepting, EPOLLIN);
  for (;;) {
    int n = epoll_wait(server.epoll, events, EVENTS_MAX, wait_ms(&server, monotonic_ms()));
    for (int i = 0; i < n; i++) {
      struct handle *h = events[i].data.ptr;
      if (h->fd >= 0) // closed by an event before it
        h->ready(h, events[i].events);
      if (h == &server.control)
        break; // listeners of this batch may be gone
    }
    int64_t now = monotonic_ms();
    udp_expire(&server, now);
    if (server.paused && server.resume_at_ms != 0 && server.resume_at_ms <= now)
      tcp_resume(&server);
    tcp_sweep(&server);
    udp_sweep(&server);
  }
}
