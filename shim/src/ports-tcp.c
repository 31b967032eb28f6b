// Connections through the port server: accepted, connected to the container, spliced both ways. Bytes wait in a pipe, which a
// connection has only while the other side does not take them; its source is then not read (back-pressure is the kernel's).
// A side's end is passed on as such, a reset as a reset. Sources: splice(2), epoll(7), tcp(7).

#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ports.h"

enum { SPLICE_BYTES = 1 << 20, ROUNDS = 8, ACCEPTS = 16, RETRY_MS = 100 };

// ---- pipes ----

static bool pipe_take(struct server *server, struct pipe *p) {
  int fds[2];
  if (p->read >= 0)
    return true;
  if (server->spare_count > 0) {
    *p = server->spare[--server->spare_count];
    return true;
  }
  if (pipe2(fds, O_NONBLOCK | O_CLOEXEC) != 0)
    return false;
  *p = (struct pipe){fds[0], fds[1]};
  return true;
}

/** Gives back an empty pipe, or closes one with bytes in it. */
static void pipe_give(struct server *server, struct pipe *p, bool empty) {
  if (p->read < 0)
    return;
  if (empty && server->spare_count < SPARE_PIPES) {
    server->spare[server->spare_count++] = *p;
  } else {
    close(p->read);
    close(p->write);
  }
  *p = (struct pipe){-1, -1};
}

// ---- connections ----

void tcp_pause(struct server *server, int64_t resume_at_ms) {
  server->paused = true;
  server->resume_at_ms = resume_at_ms;
  handle_unwatch(&server->accepting);
}

void tcp_resume(struct server *server) {
  if (!server->paused || server->connection_count >= server->connection_max)
    return;
  server->paused = false;
  server->resume_at_ms = 0;
  handle_watch(&server->accepting, EPOLLIN);
}

static void end(struct relay *c, bool reset) {
  struct server *server = c->side[0].handle.server;
  static const struct linger at_once = {.l_onoff = 1};
  if (c->dead)
    return;
  for (int i = 0; i < 2; i++) {
    if (reset && c->side[i].handle.fd >= 0)
      setsockopt(c->side[i].handle.fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    handle_close(&c->side[i].handle);
    pipe_give(server, &c->pipe[i], c->pending[i] == 0);
  }
  if (c->previous != NULL)
    c->previous->next = c->next;
  else
    server->relays = c->next;
  if (c->next != NULL)
    c->next->previous = c->previous;
  c->dead = true;
  c->next = server->dead_relays; // events of this batch may still name it
  server->dead_relays = c;
  server->connection_count--;
  tcp_resume(server);
}

void tcp_sweep(struct server *server) {
  for (struct relay *c; (c = server->dead_relays) != NULL;) {
    server->dead_relays = c->next;
    free(c);
  }
}

void tcp_drop(struct server *server, const struct listener *listener) {
  for (struct relay *c = server->relays, *next; c != NULL; c = next) {
    next = c->next;
    if (c->listener == listener)
      end(c, true);
  }
}

/** Moves bytes from side `from` to the other until one of them waits, or it is others' turn. False: the connection broke. */
static bool move(struct relay *c, int from) {
  struct side *source = &c->side[from], *sink = &c->side[!from];
  struct server *server = source->handle.server;
  struct pipe *p = &c->pipe[from];
  for (int round = 0; round < ROUNDS; round++) {
    if (c->pending[from] == 0) {
      if (source->ended)
        break;
      if (!pipe_take(server, p))
        return false;
      ssize_t n = splice(source->handle.fd, NULL, p->write, NULL, SPLICE_BYTES, SPLICE_F_NONBLOCK | SPLICE_F_MOVE);
      if (n < 0 && errno != EAGAIN && errno != EINTR)
        return false;
      if (n < 0)
        break;
      source->ended = n == 0;
      c->pending[from] = (size_t)n;
      continue;
    }
    ssize_t n = splice(p->read, NULL, sink->handle.fd, NULL, c->pending[from], SPLICE_F_NONBLOCK | SPLICE_F_MOVE);
    if (n < 0 && errno != EAGAIN && errno != EINTR)
      return false;
    if (n <= 0)
      break;
    c->pending[from] -= (size_t)n;
  }
  if (c->pending[from] > 0)
    return true;
  pipe_give(server, p, true);
  if (source->ended && !sink->shut) {
    sink->shut = true;
    return shutdown(sink->handle.fd, SHUT_WR) == 0;
  }
  return true;
}

/**
 * What epoll shall tell. A side that has said its end and was told ours hangs up: the kernel repeats that for as long as it is
 * watched, so it is left alone until there is something to do.
 */
static void watch(struct relay *c, int i) {
  struct side *s = &c->side[i];
  uint32_t events = 0;
  if (!c->connecting && !s->ended && c->pending[i] == 0)
    events |= EPOLLIN;
  if ((c->connecting && i == 1) || c->pending[!i] > 0)
    events |= EPOLLOUT;
  if (events == 0 && s->hung)
    handle_unwatch(&s->handle);
  else
    handle_watch(&s->handle, events);
}

static void side_ready(struct relay *c, int i, uint32_t events) {
  int error = 0;
  socklen_t size = sizeof error;
  if (c->dead)
    return;
  c->side[i].hung = c->side[i].hung || (events & EPOLLHUP) != 0;
  if ((events & EPOLLERR) != 0) {
    end(c, true);
    return;
  }
  if (c->connecting) {
    if (i == 0) { // the client left before the container answered
      end(c, true);
      return;
    }
    if (getsockopt(c->side[1].handle.fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0 || error != 0) {
      end(c, true);
      return;
    }
    c->connecting = false;
  }
  if (!move(c, 0) || !move(c, 1)) {
    end(c, true);
  } else if (c->side[0].shut && c->side[1].shut) {
    end(c, false);
  } else {
    watch(c, 0);
    watch(c, 1);
  }
}

static void client_ready(struct handle *h, uint32_t events) {
  side_ready((struct relay *)((char *)h - offsetof(struct relay, side[0].handle)), 0, events);
}

static void container_ready(struct handle *h, uint32_t events) {
  side_ready((struct relay *)((char *)h - offsetof(struct relay, side[1].handle)), 1, events);
}

static void begin(struct listener *l, int client) {
  static const int on = 1;
  struct server *server = l->handle.server;
  struct relay *c = calloc(1, sizeof *c);
  int target = socket(l->target.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP);
  if (c == NULL || target < 0) {
    free(c);
    if (target >= 0)
      close(target);
    close(client);
    tcp_pause(server, monotonic_ms() + RETRY_MS);
    return;
  }
  // Small writes are passed on as they come; a client that is gone without a word is found.
  setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  setsockopt(client, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
  setsockopt(target, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  c->listener = l;
  c->connecting = true;
  c->pipe[0] = c->pipe[1] = (struct pipe){-1, -1};
  c->side[0].handle = (struct handle){.server = server, .ready = client_ready, .fd = client};
  c->side[1].handle = (struct handle){.server = server, .ready = container_ready, .fd = target};
  c->next = server->relays;
  if (c->next != NULL)
    c->next->previous = c;
  server->relays = c;
  server->connection_count++;
  if (connect(target, &l->target.any, address_size(&l->target)) != 0 && errno != EINPROGRESS) {
    end(c, true);
    return;
  }
  watch(c, 0);
  watch(c, 1);
}

static void take_clients(struct listener *l) {
  struct server *server = l->handle.server;
  for (int i = 0; i < ACCEPTS && !server->paused; i++) {
    if (server->connection_count >= server->connection_max) {
      tcp_pause(server, 0);
      return;
    }
    int fd = accept4(l->handle.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0)
      begin(l, fd);
    else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
      tcp_pause(server, monotonic_ms() + RETRY_MS);
    else if (errno != EINTR && errno != ECONNABORTED)
      return;
  }
}

void tcp_accept_ready(struct handle *h, uint32_t events) {
  struct epoll_event list[EVENTS_MAX];
  (void)events;
  int n = epoll_wait(h->fd, list, EVENTS_MAX, 0);
  for (int i = 0; i < n && !h->server->paused; i++)
    take_clients(list[i].data.ptr);
}
