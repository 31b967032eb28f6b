// The shim's socket: control connections (commands, replies, pushed events) and the door to attach.
// A control client that does not read its replies is cut off; it never holds up another. Protocol: docs/shim-protocol.md.

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "shim.h"

enum { REPLY_BYTES = 2048, LONELY_MS = 60000 };

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

static void reply_begin(struct message *m, void *memory, size_t size, const struct fields *f) {
  const char *tag = field_get(f, "tag");
  message_begin(m, memory, size);
  message_add(m, "re", tag == NULL ? "" : tag);
}

static void reply_error(struct connection *c, const struct fields *f, const char *kind, const char *text) {
  uint8_t memory[REPLY_BYTES];
  struct message m;
  reply_begin(&m, memory, sizeof memory, f);
  message_add(&m, "error", kind);
  message_add(&m, "message", text);
  control_reply(c, &m);
}

static void reply_ok(struct connection *c, const struct fields *f) {
  uint8_t memory[256];
  struct message m;
  reply_begin(&m, memory, sizeof memory, f);
  control_reply(c, &m);
}

static void add_exit(const struct shim *s, struct message *m) {
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
  add_exit(s, &m);
  control_event(s, &m);
}

static void hello(struct connection *c, const struct fields *f) {
  uint8_t memory[REPLY_BYTES];
  char boot[64] = "";
  struct message m;
  struct shim *s = c->shim;
  ssize_t n = read_file("/proc/sys/kernel/random/boot_id", boot, sizeof boot);
  boot[n > 0 ? strcspn(boot, "\n") : 0] = '\0';
  reply_begin(&m, memory, sizeof memory, f);
  message_add_number(&m, "protocol", PROTOCOL_VERSION);
  message_add(&m, "id", s->options.id);
  message_add_number(&m, "pid", getpid());
  message_add_number(&m, "start", (int64_t)process_start_time(getpid()));
  message_add(&m, "boot", boot);
  message_add(&m, "runtime", s->options.runtime);
  if (s->setup_error[0] != '\0')
    message_add(&m, "failed", s->setup_error);
  control_reply(c, &m);
  c->greeted = true;
  loop_disarm(&s->loop, &s->lonely);
  if (s->setup_error[0] != '\0')
    cleanup_begin(s);
}

static void state(struct connection *c, const struct fields *f) {
  static const size_t each = 128;
  struct shim *s = c->shim;
  size_t size = 1024 + (size_t)s->exec_count * each;
  struct message m;
  void *memory = malloc(size);
  if (memory == NULL) {
    reply_error(c, f, "system", "out of memory");
    return;
  }
  reply_begin(&m, memory, size, f);
  if (s->init.pid > 0) {
    message_add_number(&m, "pid", s->init.pid);
    message_add_number(&m, "start", (int64_t)s->init.start_time);
  }
  if (s->exit.written)
    add_exit(s, &m);
  message_add_number(&m, "log.dropped", (int64_t)s->log.dropped);
  for (struct process *p = s->execs; p != NULL; p = p->next) {
    char text[128];
    if (p->drained)
      snprintf(text, sizeof text, "%s %d %d", p->id, (int)p->pid, p->wait_status);
    else
      snprintf(text, sizeof text, "%s %d -", p->id, (int)p->pid);
    message_add(&m, "exec", text);
  }
  control_reply(c, &m);
  free(memory);
}

static struct process *target_of(struct shim *s, const struct fields *f) {
  const char *target = field_get(f, "target");
  return target == NULL ? NULL : strcmp(target, "init") == 0 ? &s->init : exec_find(s, target);
}

static void prepare(struct connection *c, const struct fields *f) {
  struct shim *s = c->shim;
  const char *id = field_get(f, "target"), *file = field_get(f, "process");
  char reason[REASON_SIZE];
  int64_t rows, columns;
  if (id == NULL || strlen(id) != 64 || strspn(id, "0123456789abcdef") != 64 || file == NULL || file[0] != '/' ||
      strlen(file) >= PATH_SIZE || !field_number(f, "rows", 0, 65535, 0, &rows) ||
      !field_number(f, "columns", 0, 65535, 0, &columns)) {
    reply_error(c, f, "invalid", "malformed exec");
    return;
  }
  if (exec_find(s, id) != NULL || s->init.phase != RUNNING) {
    reply_error(c, f, "conflict", s->init.phase == RUNNING ? "the exec exists" : "the container is not running");
    return;
  }
  struct process *p = s->exec_count < EXECS_RUNNING_MAX + EXECS_ENDED_MAX ? calloc(1, sizeof *p) : NULL;
  if (p == NULL) {
    reply_error(c, f, "system", "too many execs");
    return;
  }
  p->shim = s;
  memcpy(p->id, id, sizeof p->id);
  p->tty = field_flag(f, "tty");
  p->stdin_open = field_flag(f, "stdin");
  p->stdin_once = true;
  p->rows = (unsigned short)rows;
  p->columns = (unsigned short)columns;
  p->process_file = strdup(file);
  p->next = s->execs;
  s->execs = p;
  s->exec_count++;
  if (p->process_file == NULL || !process_open(p, reason)) {
    reply_error(c, f, "system", p->process_file == NULL ? "out of memory" : reason);
    exec_forget(p);
    return;
  }
  reply_ok(c, f);
}

static void start(struct connection *c, const struct fields *f, struct process *p) {
  int64_t tag;
  if (p == NULL || p->phase != PREPARED || c->shim->cleaning || (p != &c->shim->init && c->shim->init.phase != RUNNING)) {
    reply_error(c, f, p == NULL ? "notFound" : "conflict", "there is nothing to start");
    return;
  }
  if (!field_number(f, "tag", 0, INT64_MAX, 0, &tag)) {
    reply_error(c, f, "invalid", "malformed tag");
    return;
  }
  p->asked_by = c;
  p->asked_tag = (uint64_t)tag;
  runtime_start(p);
}

static void send_signal(struct connection *c, const struct fields *f) {
  struct process *p = target_of(c->shim, f);
  int64_t number;
  if (!field_number(f, "signal", 0, 64, -1, &number) || number < 0) {
    reply_error(c, f, "invalid", "malformed signal");
    return;
  }
  // The pid cannot have been used again: only this program reaps it, in this thread.
  if (p == NULL || p->phase != RUNNING || p->reaped || kill(p->pid, (int)number) != 0)
    reply_error(c, f, "notFound", "the process has ended");
  else
    reply_ok(c, f);
}

static void resize(struct connection *c, const struct fields *f) {
  struct process *p = target_of(c->shim, f);
  int64_t rows, columns;
  if (!field_number(f, "rows", 0, 65535, 0, &rows) || !field_number(f, "columns", 0, 65535, 0, &columns)) {
    reply_error(c, f, "invalid", "malformed size");
  } else if (p == NULL || p->phase == ENDED) {
    reply_error(c, f, "notFound", "the process has ended");
  } else if (!p->tty) {
    reply_error(c, f, "conflict", "the process has no terminal");
  } else {
    process_resize(p, (unsigned short)rows, (unsigned short)columns);
    reply_ok(c, f);
  }
}

static void abandon(struct connection *c, const struct fields *f) {
  struct shim *s = c->shim;
  if (s->init.phase == RUNNING || s->init.phase == ENDED) {
    reply_error(c, f, "conflict", "the container has been started");
    return;
  }
  reply_ok(c, f);
  if (s->init.runtime_pid > 0)
    kill(s->init.runtime_pid, SIGKILL); // its end fails the run, which cleans up
  else
    cleanup_begin(s);
}

/** True: the descriptor now belongs to the attached client. */
static bool attach(struct connection *c, const struct fields *f) {
  uint8_t memory[512];
  struct message m;
  struct shim *s = c->shim;
  struct process *p = target_of(s, f);
  if (p == NULL) {
    reply_error(c, f, "notFound", "no such process");
    return false;
  }
  if (s->client_count >= CONNECTIONS_MAX) {
    reply_error(c, f, "conflict", "too many attached clients");
    return false;
  }
  reply_begin(&m, memory, sizeof memory, f);
  message_add_number(&m, "generation", p->logged ? s->log.generation : 0);
  message_add_number(&m, "offset", p->logged ? s->log.size : 0);
  message_add_number(&m, "inode", p->logged ? (int64_t)s->log.inode : 0);
  control_reply(c, &m);
  loop_watch(&s->loop, &c->source, 0);
  struct client *client = client_attach(p, c->source.fd, field_flag(f, "stdin"), field_flag(f, "stdout"), field_flag(f, "stderr"));
  if (client == NULL)
    return false;
  c->source.fd = -1;
  if (field_flag(f, "pending"))
    client_send_tails(client);
  if (p->drained || s->cleaning)
    client_drop(client);
  return true;
}

/** Handles one frame; false when the connection is not a control connection any more. */
static bool handle(struct connection *c, const struct fields *f) {
  const char *op = field_get(f, "op");
  if (op == NULL)
    op = "";
  if (!c->greeted) {
    if (strcmp(op, "attach") == 0) {
      attach(c, f);
      return false;
    }
    int64_t version;
    if (strcmp(op, "hello") != 0 || !field_number(f, "protocol", 1, 1000, 0, &version) || version != PROTOCOL_VERSION) {
      reply_error(c, f, "invalid", "expected hello or attach of protocol 1");
      return false;
    }
    hello(c, f);
    if (c->shim->exit.written)
      control_exit_event(c->shim);
  } else if (strcmp(op, "run") == 0) {
    start(c, f, &c->shim->init);
  } else if (strcmp(op, "state") == 0) {
    state(c, f);
  } else if (strcmp(op, "prepare") == 0) {
    prepare(c, f);
  } else if (strcmp(op, "exec") == 0) {
    start(c, f, target_of(c->shim, f));
  } else if (strcmp(op, "kill") == 0) {
    send_signal(c, f);
  } else if (strcmp(op, "resize") == 0) {
    resize(c, f);
  } else if (strcmp(op, "abandon") == 0) {
    abandon(c, f);
  } else {
    reply_error(c, f, "invalid", "unknown command");
  }
  return true;
}

static void connection_ready(struct source *source, uint32_t events) {
  struct connection *c = (struct connection *)((char *)source - offsetof(struct connection, source));
  uint8_t bytes[FRAME_HEADER + FRAME_MAX_CONTROL];
  size_t used = c->partial_size, at = 0;
  (void)events;
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
    if (size == 0 || size > FRAME_MAX_CONTROL) {
      drop(c);
      return;
    }
    if (used - at - FRAME_HEADER < size)
      break;
    if (!proto_check(bytes + at + FRAME_HEADER, size, &f) || !handle(c, &f)) {
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
