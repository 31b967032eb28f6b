// What the files of 127.0.0.11 share. Frames and limits: docs/dns.md.
#ifndef GANTRY_DNS_H
#define GANTRY_DNS_H

#include <netinet/in.h>
#include <sys/un.h>

#include "shim.h"

enum {
  DNS_HEADER = 12,
  DNS_MESSAGE_MAX = 65535,
  DNS_TAG = 8,
  DNS_FRAME_HEAD = 4 + 1 + DNS_TAG,
  DNS_CONNS_MAX = 64,
  DNS_PENDING_MAX = 32, // questions of one connection on their way
  DNS_PER_TURN = 32,
};

enum dns_kind { DNS_HELLO = 1, DNS_DATAGRAM = 2, DNS_STREAM = 3 };

/** Bytes that wait, in a buffer that exists only then. */
struct dns_bytes {
  uint8_t *bytes;
  size_t size;
};

/** A TCP connection of a client in the container. */
struct dns_conn {
  struct source source;
  struct dns *dns;
  struct dns_conn *next;
  uint64_t number;
  int64_t active_ms; // a message came or went whole
  struct dns_bytes in, out;
  int pending;
  bool ended; // no more questions will come
};

struct dns {
  struct shim *shim;
  struct sockaddr_un server;
  struct source udp, listener;
  struct source link; // to the daemon; fd −1: none
  struct dns_bytes in, out;
  int64_t away_ms; // since when the daemon could not be reached, 0: it was, or was not needed
  struct timer retry, sweep;
  struct dns_conn *conns;
  int conn_count;
  uint64_t last_number;
};

/** What may be done with a question now. */
enum dns_way { DNS_SEND, DNS_WAIT, DNS_FAIL };

// ---- dns-link.c ----

/** Connects where that is needed. DNS_WAIT: leave questions where they are, dns_resume comes; DNS_FAIL: the daemon is away for long. */
enum dns_way dns_way(struct dns *);
/** Sends whole frames; what the socket does not take is kept, and the way is DNS_WAIT until it is gone. */
void dns_link_send(struct dns *, const uint8_t *frames, size_t size);
void dns_frame_head(uint8_t out[DNS_FRAME_HEAD], enum dns_kind, const uint8_t tag[DNS_TAG], size_t payload);
void dns_link_close(struct dns *);
/** Keeps a copy of what comes behind; false without memory. */
bool dns_keep(struct dns_bytes *, const uint8_t *bytes, size_t size);
void dns_forget(struct dns_bytes *);

// ---- dns.c ----

/** Whether this is a question at all. */
bool dns_is_query(const uint8_t *message, size_t size);
/** Makes SERVFAIL of a query, in place: the question has to be in it, or resolvers do not take it for theirs. */
void dns_make_failure(uint8_t *message);
/** A reply to a datagram. */
void dns_datagram_reply(struct dns *, const uint8_t tag[DNS_TAG], const uint8_t *message, size_t size);
/** Questions may be read again. */
void dns_resume(struct dns *);
/** Questions stay where they are. */
void dns_hold(struct dns *);

// ---- dns-conn.c ----

void dns_accept(struct source *, uint32_t events);
void dns_conns_watch(struct dns *, bool hold);
void dns_conns_resume(struct dns *);
void dns_conn_reply(struct dns *, const uint8_t tag[DNS_TAG], const uint8_t *message, size_t size);
/** The daemon's end is gone: what these have asked will not be answered. */
void dns_conns_lose(struct dns *);
void dns_conns_close(struct dns *);
void dns_sweep(struct timer *);

#endif
