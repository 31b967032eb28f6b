// TCP connections to 127.0.0.11: messages with their length before them (RFC 7766). A client has ten seconds for each message;
// the sixty-fifth connection takes the place of the one that has been idle for longest, so nobody is kept out by others' silence.

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "dns.h"

enum { IDLE_MAX_MS = 10000, SWEEP_MS = 1000, FULL_MS = 100, UNSENT_MAX = 256 * 1024, ACCEPTS_PER_TURN = 16 };

static void drop(struct dns_conn *c) {
  struct dns *d = c->dns;
  for (struct dns_conn **p = &d->conns; *p != NULL; p = &(*p)->next)
    if (*p == c) {
      *p = c->next;
      break;
    }
  d->conn_count--;
  loop_watch(&d->shim->loop, &c->source, 0);
  close(c->source.fd);
  dns_forget(&c->in);
  dns_forget(&c->out);
  free(c);
}

static void watch(struct dns_conn *c, bool hold) {
  uint32_t events = EPOLLHUP; // always told; keeps the source registered
  if (!hold && !c->ended && c->pending < DNS_PENDING_MAX)
    events |= EPOLLIN;
  if (c->out.size > 0)
    events |= EPOLLOUT;
  loop_watch(&c->dns->shim->loop, &c->source, events);
}

void dns_conns_watch(struct dns *d, bool hold) {
  for (struct dns_conn *c = d->conns; c != NULL; c = c->next)
    watch(c, hold);
}

static bool has_whole(const struct dns_conn *c) {
  return c->in.size >= 2 && c->in.size - 2 >= ((size_t)c->in.bytes[0] << 8 | c->in.bytes[1]);
}

static bool is_done(const struct dns_conn *c) {
  return c->ended && c->pending == 0 && c->out.size == 0 && !has_whole(c);
}

// Sends a message or keeps what the client does not take; false when it has stopped taking anything.
static bool reply(struct dns_conn *c, const uint8_t *message, size_t size) {
  uint8_t length[2] = {(uint8_t)(size >> 8), (uint8_t)size};
  struct iovec parts[2] = {{length, 2}, {(void *)(uintptr_t)message, size}};
  struct msghdr m = {.msg_iov = parts, .msg_iovlen = 2};
  ssize_t n = c->out.size > 0 ? 0 : sendmsg(c->source.fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL);
  if (n < 0 && errno != EAGAIN && errno != EINTR)
    return false;
  size_t sent = n < 0 ? 0 : (size_t)n;
  c->active_ms = monotonic_ms();
  if (sent == size + 2)
    return true;
  if (c->out.size + size + 2 - sent > UNSENT_MAX)
    return false;
  if (sent < 2 && !dns_keep(&c->out, length + sent, 2 - sent))
    return false;
  sent = sent < 2 ? 0 : sent - 2;
  return dns_keep(&c->out, message + sent, size - sent);
}

// Passes on the whole messages that have come. False: the connection is over.
static bool pass_on(struct dns_conn *c) {
  struct dns *d = c->dns;
  size_t at = 0;
  bool ok = true;
  while (ok && c->in.size - at >= 2 && c->pending < DNS_PENDING_MAX) {
    uint8_t *message = c->in.bytes + at + 2, head[DNS_FRAME_HEAD], tag[DNS_TAG];
    size_t size = (size_t)c->in.bytes[at] << 8 | c->in.bytes[at + 1];
    if (c->in.size - at - 2 < size)
      break;
    if (!dns_is_query(message, size))
      return false;
    enum dns_way way = dns_way(d);
    if (way == DNS_WAIT) {
      dns_hold(d);
      break;
    }
    c->active_ms = monotonic_ms();
    at += 2 + size;
    if (way == DNS_FAIL) {
      dns_make_failure(message);
      ok = reply(c, message, size);
      continue;
    }
    memcpy(tag, &c->number, sizeof c->number);
    dns_frame_head(head, DNS_STREAM, tag, size);
    dns_link_send(d, head, sizeof head);
    dns_link_send(d, message, size);
    c->pending++;
  }
  if (at == c->in.size)
    dns_forget(&c->in);
  else if (at > 0) {
    memmove(c->in.bytes, c->in.bytes + at, c->in.size - at);
    c->in.size -= at;
  }
  return ok;
}

static bool receive(struct dns_conn *c) {
  struct chunk *chunk = chunk_take();
  if (chunk == NULL)
    return true;
  // Never more than one message of the largest size is kept.
  ssize_t n = recv(c->source.fd, chunk->data, 2 + DNS_MESSAGE_MAX - c->in.size, MSG_DONTWAIT);
  bool ok = n >= 0 || errno == EAGAIN || errno == EINTR;
  if (n == 0)
    c->ended = true;
  if (n > 0)
    ok = dns_keep(&c->in, (uint8_t *)chunk->data, (size_t)n);
  chunk_give(chunk);
  return ok && pass_on(c);
}

static bool flush(struct dns_conn *c) {
  ssize_t n = send(c->source.fd, c->out.bytes, c->out.size, MSG_DONTWAIT | MSG_NOSIGNAL);
  if (n < 0)
    return errno == EAGAIN || errno == EINTR;
  c->active_ms = monotonic_ms();
  c->out.size -= (size_t)n;
  if (c->out.size == 0)
    dns_forget(&c->out);
  else
    memmove(c->out.bytes, c->out.bytes + n, c->out.size);
  return true;
}

static void conn_ready(struct source *source, uint32_t events) {
  struct dns_conn *c = (struct dns_conn *)((char *)source - offsetof(struct dns_conn, source));
  bool ok = (events & (EPOLLHUP | EPOLLERR)) == 0;
  bool full = c->in.size == 2 + DNS_MESSAGE_MAX; // a whole message that had to wait
  if (ok && (events & EPOLLOUT) && c->out.size > 0)
    ok = flush(c);
  if (ok && (events & EPOLLIN))
    ok = full ? pass_on(c) : receive(c);
  if (!ok || is_done(c)) {
    drop(c);
    return;
  }
  watch(c, c->dns->udp.events == 0);
}

void dns_conns_resume(struct dns *d) {
  struct dns_conn *next;
  for (struct dns_conn *c = d->conns; c != NULL; c = next) {
    next = c->next;
    if (!pass_on(c) || is_done(c))
      drop(c);
    else
      watch(c, d->udp.events == 0);
  }
}

void dns_conn_reply(struct dns *d, const uint8_t tag[DNS_TAG], const uint8_t *message, size_t size) {
  uint64_t number;
  memcpy(&number, tag, sizeof number);
  struct dns_conn *c = d->conns;
  while (c != NULL && c->number != number)
    c = c->next;
  if (c == NULL || c->pending == 0)
    return;
  c->pending--;
  if (!reply(c, message, size) || (d->out.size == 0 && !pass_on(c)) || is_done(c))
    drop(c);
  else
    watch(c, d->udp.events == 0);
}

static struct dns_conn *longest_idle(struct dns *d) {
  struct dns_conn *oldest = d->conns;
  for (struct dns_conn *c = d->conns; c != NULL; c = c->next)
    if (c->active_ms < oldest->active_ms)
      oldest = c;
  return oldest;
}

void dns_accept(struct source *source, uint32_t events) {
  struct dns *d = (struct dns *)((char *)source - offsetof(struct dns, listener));
  (void)events;
  for (int i = 0; i < ACCEPTS_PER_TURN; i++) {
    int fd = accept4(source->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0 && (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)) {
      if (d->conns != NULL) {
        drop(longest_idle(d));
        return;
      }
      loop_watch(&d->shim->loop, &d->listener, 0); // until the sweep: epoll tells of the waiting client again and again
      loop_arm(&d->shim->loop, &d->sweep, FULL_MS);
      return;
    }
    if (fd < 0)
      return;
    struct dns_conn *c = calloc(1, sizeof *c);
    if (c == NULL) {
      close(fd);
      return;
    }
    if (d->conn_count >= DNS_CONNS_MAX)
      drop(longest_idle(d));
    c->source = (struct source){.fd = fd, .ready = conn_ready};
    c->dns = d;
    c->number = ++d->last_number;
    c->active_ms = monotonic_ms();
    c->next = d->conns;
    d->conns = c;
    d->conn_count++;
    watch(c, d->udp.events == 0);
    if (!d->sweep.armed)
      loop_arm(&d->shim->loop, &d->sweep, SWEEP_MS);
  }
}

void dns_sweep(struct timer *t) {
  struct dns *d = (struct dns *)((char *)t - offsetof(struct dns, sweep));
  int64_t now = monotonic_ms();
  struct dns_conn *next;
  loop_watch(&d->shim->loop, &d->listener, EPOLLIN);
  for (struct dns_conn *c = d->conns; c != NULL; c = next) {
    next = c->next;
    if (now - c->active_ms > IDLE_MAX_MS)
      drop(c);
  }
  if (d->conns != NULL)
    loop_arm(&d->shim->loop, t, SWEEP_MS);
}

void dns_conns_lose(struct dns *d) {
  struct dns_conn *next;
  for (struct dns_conn *c = d->conns; c != NULL; c = next) {
    next = c->next;
    if (c->pending > 0)
      drop(c);
  }
}

void dns_conns_close(struct dns *d) {
  while (d->conns != NULL)
    drop(d->conns);
}
