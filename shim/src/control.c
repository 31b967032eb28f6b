// The shim's socket: connections, their frames, replies and pushed events. What a frame asks for is in command.c.
// A control client that does not read its replies is cut off; it never holds up another. Protocol: docs/shim-protocol.md.

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "shim.h"

enum { LONELY_MS = 60000 };

/** How a frame begins that may be longer than the others, its NUL included. */
static const char large_op[] = "op=network";

static void drop(struct connection *c) {
  struct shim *s = c->shim;
  for (struct connection **at = &s->connections; *at != NULL; at = &(*at)->next)
    if (*at == c) {
      *at = c->next;
      break;
    }
  if (s->init.asked_by == c)
    s->init.asked_by = NULL;
  for (struct process *p = s->execs; p != NULL; p = p->next)
    if (p->asked_by == c)
      p->asked_by = NULL;
  loop_watch(&s->loop, &c->source, 0);
  if (c->source.fd >= 0)
    close(c->source.fd);
  free(c->partial);
  if (c->large != NULL) {
    free(c->large);
    s->large_count--;
  }
  free(c);
  s->connection_count--;
  if (s->connections == NULL && s->init.phase == PREPARED)
    loop_arm(&s->loop, &s->lonely, LONELY_MS);
}

// Replies are small and a client that reads has room for them; one that has not is shut down, and dropped by its own event.
static void send_all(struct connection *c, const struct message *m) {
  ssize_t n = send(c->source.fd, m->bytes, m->size, MSG_NOSIGNAL | MSG_DONTWAIT);
  if (n != (ssize_t)m->size)
    shutdown(c->source.fd, SHUT_RDWR);
}

void control_reply(struct connection *c, struct message *m) {
  message_end(m);
  send_all(c, m);
}

void control_event(struct shim *s, struct message *m) {
  message_end(m);
  for (struct connection *c = s->connections; c != NULL; c = c->next)
    if (c->greeted)
      send_all(c, m);
}

void control_add_exit(const struct shim *s, struct message *m) {
  message_add_number(m, "exit.code", s->exit.code);
  if (s->exit.signal != 0)
    message_add_number(m, "exit.signal", s->exit.signal);
  message_add_number(m, "exit.oom", s->exit.oom_killed);
  message_add(m, "exit.at", s->exit.finished_at);
}

void control_exit_event(struct shim *s) {
  uint8_t memory[512];
  struct message m;
  message_begin(&m, memory, sizeof memory);
  message_add(&m, "event", "exit");
  control_add_exit(s, &m);
  control_event(s, &m);
}

// Only a change of the network may be long; one of them at a time, so that memory is bounded.
static bool large_begin(struct connection *c, const uint8_t *body, size_t have, uint32_t size) {
  struct shim *s = c->shim;
  if (!c->greeted || size > FRAME_MAX_SPAWN || s->large_count > 0 || memcmp(body, large_op, sizeof large_op) != 0)
    return false;
  c->large = malloc(size);
  if (c->large == NULL)
    return false;
  s->large_count++;
  memcpy(c->large, body, have);
  c->large_size = size;
  c->large_used = have;
  return true;
}

static void large_ready(struct connection *c) {
  struct fields f;
  ssize_t n = recv(c->source.fd, c->large + c->large_used, c->large_size - c->large_used, MSG_DONTWAIT);
  if (n < 0 && (errno == EAGAIN || errno == EINTR))
    return;
  c->large_used += n > 0 ? (size_t)n : 0;
  if (n > 0 && c->large_used < c->large_size)
    return;
  bool ok = n > 0 && proto_check(c->large, c->large_size, &f) && command_handle(c, &f);
  free(c->large);
  c->large = NULL;
  c->shim->large_count--;
  if (!ok)
    drop(c);
}

static void connection_ready(struct source *source, uint32_t events) {
  struct connection *c = (struct connection *)((char *)source - offsetof(struct connection, source));
  uint8_t bytes[FRAME_HEADER + FRAME_MAX_CONTROL];
  size_t used = c->partial_size, at = 0;
  (void)events;
  if (c->large != NULL) {
    large_ready(c);
    return;
  }
  if (used > 0)
    memcpy(bytes, c->partial, used);
  // An attaching client's input may follow its first frame at once: until greeted, read no further than that frame.
  size_t limit = sizeof bytes;
  if (!c->greeted)
    limit = used < FRAME_HEADER ? FRAME_HEADER : FRAME_HEADER + proto_length(bytes);
  ssize_t n = recv(source->fd, bytes + used, limit - used, MSG_DONTWAIT);
  if (n < 0 && (errno == EAGAIN || errno == EINTR))
    return;
  if (n <= 0) {
    drop(c);
    return;
  }
  used += (size_t)n;
  while (used - at >= FRAME_HEADER) {
    uint32_t size = proto_length(bytes + at);
    struct fields f;
    size_t have = used - at - FRAME_HEADER;
    if (size > FRAME_MAX_CONTROL && c->greeted && have < sizeof large_op && size <= FRAME_MAX_SPAWN)
      break;
    bool large = size > FRAME_MAX_CONTROL && large_begin(c, bytes + at + FRAME_HEADER, have, size);
    if (size == 0 || (size > FRAME_MAX_CONTROL && !large)) {
      drop(c);
      return;
    }
    if (large) {
      at = used;
      break;
    }
    if (used - at - FRAME_HEADER < size)
      break;
    if (!proto_check(bytes + at + FRAME_HEADER, size, &f) || !command_handle(c, &f)) {
      drop(c);
      return;
    }
    at += FRAME_HEADER + size;
  }
  free(c->partial);
  c->partial = NULL;
  c->partial_size = used - at;
  if (c->partial_size > 0) {
    c->partial = malloc(c->partial_size);
    if (c->partial == NULL) {
      c->partial_size = 0;
      drop(c);
      return;
    }
    memcpy(c->partial, bytes + at, c->partial_size);
  }
}

static void listener_ready(struct source *source, uint32_t events) {
  struct shim *s = (struct shim *)((char *)source - offsetof(struct shim, listener));
  (void)events;
  int fd = accept4(source->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
  if (fd < 0) {
    if (errno == EMFILE || errno == ENFILE)
      usleep(10000);
    return;
  }
  struct connection *c = s->connection_count < CONNECTIONS_MAX ? calloc(1, sizeof *c) : NULL;
  if (c == NULL) {
    close(fd);
    return;
  }
  c->source.fd = fd;
  c->source.ready = connection_ready;
  c->shim = s;
  c->next = s->connections;
  s->connections = c;
  s->connection_count++;
  loop_watch(&s->loop, &c->source, EPOLLIN);
}

static void nobody_came(struct timer *t) {
  struct shim *s = (struct shim *)((char *)t - offsetof(struct shim, lonely));
  if (s->init.phase == PREPARED)
    cleanup_begin(s);
}

bool control_open(struct shim *s, int listener) {
  s->listener.fd = listener;
  s->listener.ready = listener_ready;
  s->lonely.fire = nobody_came;
  loop_watch(&s->loop, &s->listener, EPOLLIN);
  loop_arm(&s->loop, &s->lonely, LONELY_MS);
  return true;
}
