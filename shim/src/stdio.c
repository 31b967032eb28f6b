// Standard streams of a process: pipes, or a pty's master. Output is read only as fast as the log and every attached client
// take it, so that back-pressure reaches the container; a chunk is read once, logged once, framed once.

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "shim.h"

enum { DRAIN_MS = 2000, PIPE_DEFAULT = 65536, PIPE_BUSY = 1024 * 1024 };

static struct shim *shim_of(struct stream *st) {
  return st->process->shim;
}

static void stream_watch(struct stream *st) {
  struct process *p = st->process;
  bool read = st->open && st->chunk == NULL && p->phase >= RUNNING && st->source.fd >= 0;
  if (st->source.fd >= 0)
    loop_watch(&p->shim->loop, &st->source, read ? EPOLLIN : 0);
}

static void check_drained(struct process *p) {
  if (p->phase == ENDED && !p->drained && !p->out[0].open && !p->out[1].open)
    process_drained(p);
}

static void stream_end(struct stream *st) {
  struct process *p = st->process;
  if (!st->open)
    return;
  loop_watch(&p->shim->loop, &st->source, 0);
  close(st->source.fd);
  st->source.fd = -1;
  st->open = false;
  if (p->logged)
    log_finish(&p->shim->log, &st->tail, st->number);
}

void stream_free(struct stream *st) {
  chunk_give(st->chunk);
  st->chunk = NULL;
  stream_watch(st);
}

static void stream_ready(struct source *source, uint32_t events) {
  struct stream *st = (struct stream *)((char *)source - offsetof(struct stream, source));
  struct process *p = st->process;
  struct chunk *c = chunk_take();
  (void)events;
  if (c == NULL) {
    usleep(10000);
    return;
  }
  ssize_t n = read(source->fd, c->data, CHUNK_BYTES);
  if (n <= 0) {
    chunk_give(c);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
      return;
    stream_end(st); // end of file; EIO is a pty whose last slave was closed
    check_drained(p);
    return;
  }
  if (n >= PIPE_DEFAULT && !st->grown && !p->tty) {
    st->grown = true;
    fcntl(source->fd, F_SETPIPE_SZ, PIPE_BUSY);
  }
  c->size = (uint32_t)n;
  if (p->logged)
    log_write(&shim_of(st)->log, &st->tail, st->number, c->data, c->size);
  st->chunk = c;
  clients_give(st);
}

static void stream_init(struct process *p, int i, int fd, int child_fd) {
  struct stream *st = &p->out[i];
  st->source.fd = fd;
  st->source.ready = stream_ready;
  st->process = p;
  st->number = i + 1;
  st->child_fd = child_fd;
  st->open = fd >= 0;
}

static void set_nonblocking(int fd) {
  fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
}

static void input_ready(struct source *source, uint32_t events);

bool process_open(struct process *p, char reason[REASON_SIZE]) {
  int pipes[2];
  p->phase = PREPARED;
  p->master = p->slave = p->errors = -1;
  p->input.fd = p->input_child = -1;
  p->console.fd = -1;
  p->input.ready = input_ready;
  stream_init(p, 0, -1, -1);
  stream_init(p, 1, -1, -1);
  if (p->tty) {
    p->out[0].open = true; // the master comes through the console socket
    return console_listen(p, reason);
  }
  for (int i = 0; i < 2; i++) {
    if (pipe2(pipes, O_CLOEXEC) != 0) {
      fail(reason, "make a pipe: %s", strerror(errno));
      return false;
    }
    set_nonblocking(pipes[0]);
    stream_init(p, i, pipes[0], pipes[1]);
  }
  if (p->stdin_open) {
    if (pipe2(pipes, O_CLOEXEC) != 0) {
      fail(reason, "make a pipe: %s", strerror(errno));
      return false;
    }
    set_nonblocking(pipes[1]);
    p->input_child = pipes[0];
    p->input.fd = pipes[1];
  }
  return true;
}

static void close_to(int *fd, int value) {
  if (*fd >= 0)
    close(*fd);
  *fd = value;
}

void process_started(struct process *p) {
  close_to(&p->out[0].child_fd, -1);
  close_to(&p->out[1].child_fd, -1);
  close_to(&p->input_child, -1);
  close_to(&p->errors, -1);
  console_close(p);
  if (p->tty && p->master < 0)
    p->out[0].open = false; // the runtime sent no terminal
  stream_watch(&p->out[0]);
  stream_watch(&p->out[1]);
  clients_resume_input(p);
}

void process_master(struct process *p, int master) {
  if (p->master >= 0) {
    close(master);
    return;
  }
  set_nonblocking(master);
  p->master = master;
  p->slave = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
  p->out[0].source.fd = master;
  if (p->stdin_open)
    p->input.fd = fcntl(master, F_DUPFD_CLOEXEC, 3);
  if (p->rows > 0 && p->columns > 0)
    process_resize(p, p->rows, p->columns);
}

void process_resize(struct process *p, unsigned short rows, unsigned short columns) {
  struct winsize size = {.ws_row = rows, .ws_col = columns};
  p->rows = rows;
  p->columns = columns;
  if (p->master >= 0)
    ioctl(p->master, TIOCSWINSZ, &size);
}

static void drain_over(struct timer *t) {
  struct process *p = (struct process *)((char *)t - offsetof(struct process, drain));
  stream_end(&p->out[0]);
  stream_end(&p->out[1]);
  check_drained(p);
}

void process_ended(struct process *p) {
  p->phase = ENDED;
  close_to(&p->slave, -1);
  p->drain.fire = drain_over;
  loop_arm(&p->shim->loop, &p->drain, DRAIN_MS);
  clients_detach_pressure(p);
  stream_watch(&p->out[0]);
  stream_watch(&p->out[1]);
  check_drained(p);
}

void process_drained(struct process *p) {
  p->drained = true;
  loop_disarm(&p->shim->loop, &p->drain);
  process_close(p);
  if (p == &p->shim->init)
    exit_record(p->shim);
  else
    exec_told(p);
}

void process_close(struct process *p) {
  clients_end(p);
  while (p->clients != NULL)
    client_drop(p->clients); // still behind after the drain's limit
  process_started(p);
  for (int i = 0; i < 2; i++) {
    struct stream *st = &p->out[i];
    stream_end(st);
    free(st->tail.bytes);
    st->tail.bytes = NULL;
    st->tail.size = 0;
  }
  p->master = -1; // was the stream's
  close_to(&p->slave, -1);
  if (p->input.fd >= 0)
    loop_watch(&p->shim->loop, &p->input, 0);
  close_to(&p->input.fd, -1);
  free(p->input_bytes);
  p->input_bytes = NULL;
}

size_t process_discard(struct process *p, char *text, size_t size) {
  int fd = p->tty ? p->errors : p->out[1].source.fd;
  size_t used = 0;
  ssize_t n;
  if (fd < 0)
    return 0;
  set_nonblocking(fd);
  while (used < size && (n = read(fd, text + used, size - used)) > 0)
    used += (size_t)n;
  return used;
}

// ---- stdin ----

bool process_input_ready(const struct process *p) {
  if (p->tty && p->master < 0 && p->phase < RUNNING)
    return false; // no terminal yet: the bytes wait in the client's socket
  return p->input_bytes == NULL;
}

static void input_close(struct process *p) {
  if (p->input.fd >= 0)
    loop_watch(&p->shim->loop, &p->input, 0);
  close_to(&p->input.fd, -1);
  free(p->input_bytes);
  p->input_bytes = NULL;
}

void process_close_input(struct process *p) {
  p->input_closing = true;
  if (p->input_bytes == NULL)
    input_close(p);
}

void process_input(struct process *p, const char *bytes, size_t size) {
  ssize_t n = p->input.fd >= 0 && !p->input_closing ? write(p->input.fd, bytes, size) : (ssize_t)size;
  if (n < 0 && errno != EAGAIN && errno != EINTR) {
    input_close(p); // nobody reads stdin any more; what comes is discarded
    return;
  }
  if (n < 0)
    n = 0;
  if ((size_t)n == size)
    return;
  p->input_bytes = malloc(size - (size_t)n);
  if (p->input_bytes == NULL)
    return;
  memcpy(p->input_bytes, bytes + n, size - (size_t)n);
  p->input_size = size - (size_t)n;
  p->input_at = 0;
  loop_watch(&p->shim->loop, &p->input, EPOLLOUT);
}

static void input_ready(struct source *source, uint32_t events) {
  struct process *p = (struct process *)((char *)source - offsetof(struct process, input));
  (void)events;
  ssize_t n = write(source->fd, p->input_bytes + p->input_at, p->input_size - p->input_at);
  if (n < 0 && (errno == EAGAIN || errno == EINTR))
    return;
  if (n > 0)
    p->input_at += (size_t)n;
  if (n > 0 && p->input_at < p->input_size)
    return;
  loop_watch(&p->shim->loop, source, 0);
  free(p->input_bytes);
  p->input_bytes = NULL;
  if (n < 0 || p->input_closing)
    input_close(p);
  clients_resume_input(p);
}
