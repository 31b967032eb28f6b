// The port server: a child of the shim that holds a socket for every published port, so that no program of the host can take it, and
// serves what the kernel's NAT cannot lead to the container: 127.0.0.0/8, ::1, and IPv6 to a container without it.
// It has no file open but its sockets, no capability but that to bind low ports, and ends with the shim.

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

enum { CONTROL_FD = 3, FILES_WANTED = 65536 };

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

static void control_ready(struct handle *h, uint32_t events) {
  static struct ports_answer answer;
  uint32_t size;
  (void)events;
  if (!read_all(h->fd, &size, sizeof size) || size > LIST_BYTES_MAX)
    _exit(0);
  char *text = malloc((size_t)size + 1);
  memset(&answer, 0, sizeof answer);
  if (text == NULL || !read_all(h->fd, text, size))
    _exit(1);
  text[size] = '\0';
  listeners_apply(h->server, text, &answer);
  if (answer.error != 0 && answer.reason[0] == '\0')
    fail(answer.reason, "publish ports: %s", strerror(answer.error));
  free(text);
  send(h->fd, &answer, sizeof answer, MSG_NOSIGNAL);
}

static void drop_privileges(void) {
  struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
  struct __user_cap_data_struct data[2] = {{0}};
  if (syscall(SYS_capget, &header, data) != 0)
    _exit(1);
  uint32_t kept = data[0].permitted & 1u << CAP_NET_BIND_SERVICE; // a daemon without it can bind no low port either
  memset(data, 0, sizeof data);
  data[0].effective = data[0].permitted = kept;
  prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
  if (syscall(SYS_capset, &header, data) != 0)
    _exit(1);
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
  server.accepting = (struct handle){.server = &server, .ready = tcp_accept_ready, .fd = epoll_create1(EPOLL_CLOEXEC)};
  server.control = (struct handle){.server = &server, .ready = control_ready, .fd = CONTROL_FD};
  if (server.epoll < 0 || server.accepting.fd < 0)
    _exit(1);
  if (getrandom(&server.seed, sizeof server.seed, GRND_NONBLOCK) != sizeof server.seed)
    server.seed = (uint32_t)monotonic_ms();
  listeners_limit(&server);
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
