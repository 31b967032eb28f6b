// What the files of the port server share. It is a child of the shim with an epoll loop of its own: ports-serve.c is its life, ports-list.c
// its listeners, ports-tcp.c relays connections, ports-udp.c relays datagrams. ports.c is the shim's side.
#ifndef GANTRY_PORTS_H
#define GANTRY_PORTS_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

#include "shim.h"

enum {
  CONNECTIONS_PROXIED_MAX = 4096, // fewer where RLIMIT_NOFILE is small; further clients wait in the kernel's backlog
  SESSIONS_MAX = 1024,            // UDP clients of all ports; the one that was silent longest makes room
  SESSION_IDLE_MS = 90000,
  SESSION_BUCKETS = 256,
  SPARE_PIPES = 4,
  EVENTS_MAX = 32,
  PORT_BITS = 65536 / 8,
  LIST_BYTES_MAX = 8 << 20, // as a request to the shim
};

union address {
  struct sockaddr any;
  struct sockaddr_in v4;
  struct sockaddr_in6 v6;
};

union via {
  struct in_pktinfo v4;
  struct in6_pktinfo v6;
};

/** What the shim is told of a list: error 0, or an errno and what failed. */
struct ports_answer {
  int error;
  char reason[REASON_SIZE];
};

struct server;

struct handle {
  struct server *server;
  void (*ready)(struct handle *, uint32_t events);
  int fd;
  uint32_t events; // what epoll was told
  bool watched;
};

struct listener {
  struct handle handle;
  int type, protocol; // SOCK_STREAM IPPROTO_TCP …
  union address at, target;
};

struct pipe {
  int read, write; // −1: none
};

struct side {
  struct handle handle;
  bool ended; // its last byte was read
  bool shut;  // and we have sent it ours
  bool hung;  // the kernel says so over and over
};

/** side[0] is the client, side[1] the container; pipe[i] holds what was read from side i and not yet written. */
struct relay {
  struct relay *next, *previous;
  struct listener *listener;
  struct side side[2];
  struct pipe pipe[2];
  size_t pending[2];
  bool connecting, dead;
};

struct session {
  struct handle handle; // connected to the container
  struct listener *listener;
  union address client;
  union via via; // where the client sent to: answers come from there
  int64_t used_ms;
  struct session *older, *newer, *next; // next: in the bucket, or of the dead
};

struct server {
  int epoll;
  struct handle control;
  struct handle accepting; // an epoll of the TCP listeners, so that all of them are paused at once
  bool paused;
  int64_t resume_at_ms; // after descriptors or memory ran out; 0: when a connection ends
  struct listener **listeners; // ordered
  size_t listener_count;
  struct relay *relays, *dead_relays;
  unsigned connection_count, connection_max;
  struct pipe spare[SPARE_PIPES];
  unsigned spare_count;
  struct session *oldest, *newest, *dead_sessions;
  struct session *buckets[SESSION_BUCKETS];
  unsigned session_count, session_max;
  uint32_t seed;
};

/** The life of the port server; `control` is its end of the pair. Never returns. */
_Noreturn void ports_serve(struct shim *, int control);

/** Registers or changes; a descriptor that wants nothing still tells of errors. */
void handle_watch(struct handle *, uint32_t events);
void handle_unwatch(struct handle *);
void handle_close(struct handle *);
socklen_t address_size(const union address *);

/** Makes the listeners what `text` says; on failure nothing has changed. */
void listeners_apply(struct server *, char *text, struct ports_answer *);
/** How many connections and sessions there may be, as RLIMIT_NOFILE allows. */
void listeners_limit(struct server *);

void tcp_accept_ready(struct handle *, uint32_t events);
/** Ends the connections that came by a listener. */
void tcp_drop(struct server *, const struct listener *);
void tcp_sweep(struct server *);
void tcp_pause(struct server *, int64_t resume_at_ms);
void tcp_resume(struct server *);

/** In the shim: takes from the kernel's memory the ways of datagrams (udp, sctp) to a container's address. */
void ports_forget_address(const union address *, uint8_t protocol);
/** And of those to the host itself, which began before the ports were published. */
void ports_forget_host(uint8_t family, uint8_t protocol, const uint8_t ports[PORT_BITS]);
/** Reads a line of a list into `protocol`, `at` and `target`. */
bool ports_parse_line(struct listener *, const char *line);

void udp_ready(struct handle *, uint32_t events);
bool udp_prepare(int fd, int family);
void udp_drop(struct server *, const struct listener *);
void udp_expire(struct server *, int64_t now_ms);
void udp_sweep(struct server *);

#endif
