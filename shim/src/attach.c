// Attached clients: raw bytes out (stdcopy frames without a tty), raw bytes in, half-close is the end of stdin.
// A client that is behind holds the chunk of its stream and so stops the reading of that stream alone.

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "shim.h"

enum { SOCKET_BUSY = 1024 * 1024, SOCKET_AT_END = 16 * 1024 * 1024, INPUT_BYTES = 32 * 1024 };

static struct shim *shim_of(const struct client *c) {
  return c->process->shim;
}

static void client_watch(struct client *c) {
  uint32_t events = EPOLLHUP; // always told; keeps the source registered
  if (!c->input_ended && (!c->wants_stdin || process_input_ready(c->process)))
    events |= EPOLLIN;
  if (c->behind[0] || c->behind[1])
    events |= EPOLLOUT;
  loop_watch(&shim_of(c)->loop, &c->source, events);
}

static void release(struct client *c, int i) {
  struct stream *st = &c->process->out[i];
  if (!c->behind[i])
    return;
  c->behind[i] = false;
  c->at[i] = 0;
  if (c->current == i)
    c->current = -1;
  if (--st->chunk->holders == 0)
    stream_free(st);
}

// dockerd's rule: the end of stdin closes the container's stdin with StdinOnce and no tty, and otherwise ends the attachment.
static void input_end(struct client *c) {
  if (c->input_ended)
    return;
  c->input_ended = true;
  if (!c->wants_stdin)
    return;
  if (c->process->stdin_once && !c->process->tty)
    process_close_input(c->process);
  else
    c->closing = true;
}

void client_drop(struct client *c) {
  struct process *p = c->process;
  char rest[1024];
  for (struct client **at = &p->clients; *at != NULL; at = &(*at)->next)
    if (*at == c) {
      *at = c->next;
      break;
    }
  input_end(c);
  loop_watch(&p->shim->loop, &c->source, 0);
  release(c, 0);
  release(c, 1);
  // Unread input would turn the peer's end of file into ECONNRESET.
  shutdown(c->source.fd, SHUT_RDWR);
  for (int i = 0; i < 1024 && recv(c->source.fd, rest, sizeof rest, MSG_DONTWAIT) > 0; i++)
    continue;
  close(c->source.fd);
  p->shim->client_count--;
  free(c);
}

static int next_stream(const struct client *c) {
  return c->current >= 0 ? c->current : c->behind[0] ? 0 : c->behind[1] ? 1 : -1;
}

/** Sends what it can; false when the client is gone. */
static bool client_flush(struct client *c) {
  int i;
  while ((i = next_stream(c)) >= 0) {
    struct chunk *chunk = c->process->out[i].chunk;
    size_t header = c->process->tty ? 0 : sizeof chunk->header, at = c->at[i];
    struct iovec parts[2] = {{chunk->header, header}, {chunk->data, chunk->size}};
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};
    if (at < header) {
      parts[0].iov_base = chunk->header + at;
      parts[0].iov_len = header - at;
    } else {
      parts[0].iov_len = 0;
      parts[1].iov_base = chunk->data + (at - header);
      parts[1].iov_len = chunk->size - (at - header);
    }
    ssize_t n = sendmsg(c->source.fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR || errno == ENOBUFS))
      break;
    if (n < 0)
      return false;
    c->at[i] += (size_t)n;
    c->current = i;
    if (c->at[i] == header + chunk->size)
      release(c, i);
  }
  return true;
}

// After any event: gone, finished, or waiting for the next.
static void client_settle(struct client *c, bool alive) {
  if (!alive || (c->closing && !c->behind[0] && !c->behind[1]))
    client_drop(c);
  else
    client_watch(c);
}

static bool client_read(struct client *c) {
  char discarded[1024];
  struct chunk *chunk;
  ssize_t n;
  if (!c->wants_stdin) {
    n = recv(c->source.fd, discarded, sizeof discarded, MSG_DONTWAIT);
  } else {
    if (!process_input_ready(c->process) || (chunk = chunk_take()) == NULL)
      return true;
    n = recv(c->source.fd, chunk->data, INPUT_BYTES, MSG_DONTWAIT);
    if (n > 0)
      process_input(c->process, chunk->data, (size_t)n);
    chunk_give(chunk);
  }
  if (n == 0)
    input_end(c);
  return n >= 0 || errno == EAGAIN || errno == EINTR;
}

static void client_ready(struct source *source, uint32_t events) {
  struct client *c = (struct client *)((char *)source - offsetof(struct client, source));
  bool alive = true;
  if (events & (EPOLLHUP | EPOLLERR)) {
    // Gone: no output any more, but what it has written to stdin still counts.
    c->wants[0] = c->wants[1] = false;
    release(c, 0);
    release(c, 1);
    if (!c->wants_stdin || c->input_ended) {
      client_drop(c);
      return;
    }
    if (!process_input_ready(c->process)) {
      loop_watch(&shim_of(c)->loop, source, 0); // until clients_resume_input
      return;
    }
    alive = client_read(c) && !c->input_ended;
  } else {
    if (events & EPOLLIN)
      alive = client_read(c);
    if (alive && (events & EPOLLOUT))
      alive = client_flush(c);
  }
  client_settle(c, alive);
}

struct client *client_attach(struct process *p, int fd, bool in, bool out, bool err) {
  struct client *c = calloc(1, sizeof *c);
  if (c == NULL)
    return NULL;
  int size = SOCKET_BUSY;
  if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof size) != 0)
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
  c->source.fd = fd;
  c->source.ready = client_ready;
  c->process = p;
  c->wants_stdin = in && p->stdin_open;
  c->wants[0] = out;
  c->wants[1] = err;
  c->current = -1;
  c->next = p->clients;
  p->clients = c;
  p->shim->client_count++;
  client_watch(c);
  return c;
}

void client_send_tails(struct client *c) {
  for (int i = 0; i < 2; i++) {
    struct stream *st = &c->process->out[i];
    uint32_t n = (uint32_t)st->tail.size;
    uint8_t header[8] = {(uint8_t)st->number, 0, 0, 0, (uint8_t)(n >> 24), (uint8_t)(n >> 16), (uint8_t)(n >> 8), (uint8_t)n};
    struct iovec parts[2] = {{header, c->process->tty ? 0 : sizeof header}, {st->tail.bytes, n}};
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};
    if (n > 0 && c->wants[i]) // at most two lines in a socket that has taken one reply: it has room
      sendmsg(c->source.fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
  }
}

void clients_give(struct stream *st) {
  struct process *p = st->process;
  struct chunk *chunk = st->chunk;
  int i = st->number - 1;
  uint32_t n = chunk->size;
  uint8_t header[8] = {(uint8_t)st->number, 0, 0, 0, (uint8_t)(n >> 24), (uint8_t)(n >> 16), (uint8_t)(n >> 8), (uint8_t)n};
  struct client *c, *next;
  memcpy(chunk->header, header, sizeof header);
  chunk->holders = 1; // ours, until everybody has had it once
  for (c = p->clients; c != NULL; c = c->next)
    if (c->wants[i] && !c->closing) {
      c->behind[i] = true;
      c->at[i] = 0;
      chunk->holders++;
    }
  for (c = p->clients; c != NULL; c = next) {
    next = c->next;
    if (c->behind[i])
      client_settle(c, client_flush(c));
  }
  if (--chunk->holders == 0)
    stream_free(st);
  else
    loop_watch(&p->shim->loop, &st->source, 0);
}

void clients_end(struct process *p) {
  struct client *next;
  for (struct client *c = p->clients; c != NULL; c = next) {
    next = c->next;
    c->closing = true;
    client_settle(c, client_flush(c));
  }
}

void clients_detach_pressure(struct process *p) {
  struct client *next;
  int size = SOCKET_AT_END;
  for (struct client *c = p->clients; c != NULL; c = next) {
    next = c->next;
    setsockopt(c->source.fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof size);
    client_settle(c, client_flush(c));
  }
}

void clients_resume_input(struct process *p) {
  for (struct client *c = p->clients; c != NULL; c = c->next)
    client_watch(c);
}
