// The connection to the daemon's name server: made when there is a question, and made again when the daemon has come back.
// While the daemon is away questions stay in the container's own sockets, where they cost nothing: a daemon that is back within
// four seconds answers them, and the resolver, which waits for five, has noticed nothing. After that SERVFAIL is said at once:
// a resolver that gets an answer, even this one, does not keep its program waiting.

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "dns.h"

enum { AWAY_MAX_MS = 4000, RETRY_MS = 100 };

bool dns_keep(struct dns_bytes *b, const uint8_t *bytes, size_t size) {
  uint8_t *grown = realloc(b->bytes, b->size + size);
  if (grown == NULL)
    return false;
  memcpy(grown + b->size, bytes, size);
  b->bytes = grown;
  b->size += size;
  return true;
}

void dns_forget(struct dns_bytes *b) {
  free(b->bytes);
  *b = (struct dns_bytes){NULL, 0};
}

static void put_32(uint8_t out[4], uint32_t n) {
  for (int i = 0; i < 4; i++)
    out[i] = (uint8_t)(n >> (24 - 8 * i));
}

void dns_frame_head(uint8_t out[DNS_FRAME_HEAD], enum dns_kind kind, const uint8_t tag[DNS_TAG], size_t payload) {
  put_32(out, (uint32_t)(1 + DNS_TAG + payload));
  out[4] = (uint8_t)kind;
  memcpy(out + 5, tag, DNS_TAG);
}

void dns_link_close(struct dns *d) {
  if (d->link.fd < 0)
    return;
  loop_watch(&d->shim->loop, &d->link, 0);
  close(d->link.fd);
  d->link.fd = -1;
  dns_forget(&d->in);
  dns_forget(&d->out);
}

static void lose(struct dns *d) {
  dns_link_close(d);
  dns_conns_lose(d);
  dns_resume(d);
}

// One frame that is whole: false when its kind is none that the daemon sends.
static bool take(struct dns *d, const uint8_t *frame, size_t payload) {
  const uint8_t *tag = frame + 5, *message = frame + DNS_FRAME_HEAD;
  if (frame[4] == DNS_DATAGRAM)
    dns_datagram_reply(d, tag, message, payload);
  else if (frame[4] == DNS_STREAM)
    dns_conn_reply(d, tag, message, payload);
  else
    return false;
  return true;
}

static bool receive(struct dns *d) {
  struct chunk *chunk = chunk_take();
  if (chunk == NULL)
    return true;
  uint8_t *bytes = (uint8_t *)chunk->data;
  size_t at = 0, size = d->in.size; // less than a frame, and a frame is less than a chunk
  if (size > 0)
    memcpy(bytes, d->in.bytes, size);
  dns_forget(&d->in);
  ssize_t n = recv(d->link.fd, bytes + size, CHUNK_BYTES - size, MSG_DONTWAIT);
  bool ok = n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR));
  if (n > 0)
    size += (size_t)n;
  while (ok && size - at >= DNS_FRAME_HEAD) {
    const uint8_t *f = bytes + at;
    size_t length = (size_t)f[0] << 24 | (size_t)f[1] << 16 | (size_t)f[2] << 8 | f[3];
    if (length < 1 + DNS_TAG || length > 1 + DNS_TAG + DNS_MESSAGE_MAX)
      ok = false;
    else if (size - at < 4 + length)
      break;
    else {
      ok = take(d, f, length - 1 - DNS_TAG);
      at += 4 + length;
    }
  }
  if (ok && at < size)
    ok = dns_keep(&d->in, bytes + at, size - at);
  chunk_give(chunk);
  return ok;
}

static bool flush(struct dns *d) {
  ssize_t n = send(d->link.fd, d->out.bytes, d->out.size, MSG_DONTWAIT | MSG_NOSIGNAL);
  if (n < 0)
    return errno == EAGAIN || errno == EINTR;
  d->out.size -= (size_t)n;
  if (d->out.size > 0) {
    memmove(d->out.bytes, d->out.bytes + n, d->out.size);
    return true;
  }
  dns_forget(&d->out);
  loop_watch(&d->shim->loop, &d->link, EPOLLIN);
  dns_resume(d);
  return true;
}

static void link_ready(struct source *source, uint32_t events) {
  struct dns *d = (struct dns *)((char *)source - offsetof(struct dns, link));
  bool ok = true;
  if (events & (EPOLLIN | EPOLLHUP | EPOLLERR))
    ok = receive(d);
  if (ok && (events & EPOLLOUT) && d->out.size > 0)
    ok = flush(d);
  if (!ok)
    lose(d);
}

void dns_link_send(struct dns *d, const uint8_t *frames, size_t size) {
  ssize_t n = d->out.size > 0 ? 0 : send(d->link.fd, frames, size, MSG_DONTWAIT | MSG_NOSIGNAL);
  if (n < 0 && errno != EAGAIN && errno != EINTR)
    return; // the daemon's end is gone: the loop tells
  size_t sent = n < 0 ? 0 : (size_t)n;
  if (sent == size)
    return;
  if (dns_keep(&d->out, frames + sent, size - sent))
    loop_watch(&d->shim->loop, &d->link, EPOLLIN | EPOLLOUT);
  else
    shutdown(d->link.fd, SHUT_RDWR); // half a frame is sent: this connection is of no use any more
}

static bool connect_link(struct dns *d) {
  static const uint8_t no_tag[DNS_TAG];
  uint8_t hello[DNS_FRAME_HEAD + 64];
  const char *id = d->shim->options.id;
  size_t length = strnlen(id, 64);
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0)
    return false;
  if (connect(fd, (struct sockaddr *)&d->server, sizeof d->server) != 0) {
    close(fd);
    return false;
  }
  d->link = (struct source){.fd = fd, .ready = link_ready};
  d->away_ms = 0;
  loop_watch(&d->shim->loop, &d->link, EPOLLIN);
  dns_frame_head(hello, DNS_HELLO, no_tag, length);
  memcpy(hello + DNS_FRAME_HEAD, id, length);
  dns_link_send(d, hello, DNS_FRAME_HEAD + length);
  return true;
}

static void retry(struct timer *t) {
  struct dns *d = (struct dns *)((char *)t - offsetof(struct dns, retry));
  // Another question's attempt may have succeeded since.
  if (d->link.fd >= 0 || connect_link(d) || monotonic_ms() - d->away_ms >= AWAY_MAX_MS)
    dns_resume(d);
  else
    loop_arm(&d->shim->loop, t, RETRY_MS);
}

enum dns_way dns_way(struct dns *d) {
  if (d->link.fd >= 0 || connect_link(d))
    return d->out.size > 0 ? DNS_WAIT : DNS_SEND;
  int64_t now = monotonic_ms();
  if (d->away_ms == 0)
    d->away_ms = now;
  if (now - d->away_ms >= AWAY_MAX_MS)
    return DNS_FAIL;
  d->retry.fire = retry;
  if (!d->retry.armed)
    loop_arm(&d->shim->loop, &d->retry, RETRY_MS);
  return DNS_WAIT;
}
