// The commands of the shim's protocol, one function each. Source: docs/shim-protocol.md.

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "shim.h"

enum { REPLY_BYTES = 2048 };

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
  if (s->setup_error[0] != '\0') {
    message_add(&m, "failed", s->setup_error);
    if (s->setup_conflict)
      message_add(&m, "failed.kind", "conflict");
    else if (s->setup_missing)
      message_add(&m, "failed.kind", "notFound");
  }
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
    control_add_exit(s, &m);
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

static void network(struct connection *c, const struct fields *f) {
  struct shim *s = c->shim;
  char reason[REASON_SIZE];
  bool taken;
  if (s->cleaning || s->init.reaped || s->init.phase == ENDED)
    reply_error(c, f, "notFound", "the container has ended");
  else if (!net_is_live(s))
    reply_error(c, f, "conflict", "the container has no network of its own");
  else if (!net_change(s, f, reason, &taken))
    reply_error(c, f, taken ? "conflict" : "system", reason);
  else
    reply_ok(c, f);
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
  bool in = field_flag(f, "stdin"), out = field_flag(f, "stdout"), err = field_flag(f, "stderr");
  struct client *client = client_attach(p, c->source.fd, in, out, err);
  if (client == NULL)
    return false;
  c->source.fd = -1;
  if (field_flag(f, "pending"))
    client_send_tails(client);
  if (p->drained || s->cleaning)
    client_drop(client);
  return true;
}

bool command_handle(struct connection *c, const struct fields *f) {
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
  } else if (strcmp(op, "network") == 0) {
    network(c, f);
  } else if (strcmp(op, "abandon") == 0) {
    abandon(c, f);
  } else {
    reply_error(c, f, "invalid", "unknown command");
  }
  return true;
}
