// The console socket: the runtime connects and sends the pty's master (SCM_RIGHTS).
// Source: OCI runtime tools' convention, `--console-socket` of runc(8) and crun(1).

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "shim.h"

void process_master(struct process *p, int master);

static const char *console_name(const struct process *p, char out[32]) {
  if (p == &p->shim->init)
    return "console.sock";
  snprintf(out, 32, "exec-%.12s.sock", p->id);
  return out;
}

static void receive(struct process *p, int connection) {
  char byte[512];
  union {
    char bytes[CMSG_SPACE(sizeof(int))];
    struct cmsghdr align;
  } control;
  struct iovec data = {byte, sizeof byte};
  struct msghdr message = {.msg_iov = &data, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
  if (recvmsg(connection, &message, MSG_CMSG_CLOEXEC) < 0)
    return;
  struct cmsghdr *c = CMSG_FIRSTHDR(&message);
  if (c != NULL && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS && c->cmsg_len == CMSG_LEN(sizeof(int))) {
    int fd;
    memcpy(&fd, CMSG_DATA(c), sizeof fd);
    process_master(p, fd);
  }
}

static void console_ready(struct source *source, uint32_t events) {
  struct process *p = (struct process *)((char *)source - offsetof(struct process, console));
  (void)events;
  int connection = accept4(source->fd, NULL, NULL, SOCK_CLOEXEC);
  if (connection < 0)
    return;
  struct timeval limit = {.tv_sec = 5}; // the sender has connected: its message is on the way
  setsockopt(connection, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  receive(p, connection);
  close(connection);
}

void console_path(const struct process *p, char out[128]) {
  char memory[32];
  const char *name = console_name(p, memory);
  struct sockaddr_un address;
  int n = snprintf(out, 128, "%s/%s", p->shim->options.run_dir, name);
  // A path that does not fit a socket's address is reached through our own descriptor.
  if (n >= (int)sizeof address.sun_path)
    snprintf(out, 128, "/proc/%d/fd/%d/%s", (int)getpid(), p->shim->run_fd, name);
}

bool console_listen(struct process *p, char reason[REASON_SIZE]) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  char memory[32];
  const char *name = console_name(p, memory);
  unlinkat(p->shim->run_fd, name, 0);
  snprintf(address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d/%s", p->shim->run_fd, name);
  p->console.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  p->console.ready = console_ready;
  if (p->console.fd < 0 || bind(p->console.fd, (struct sockaddr *)&address, sizeof address) != 0 ||
      listen(p->console.fd, 1) != 0) {
    fail(reason, "listen on %s: %s", name, strerror(errno));
    return false;
  }
  loop_watch(&p->shim->loop, &p->console, EPOLLIN);
  return true;
}

void console_close(struct process *p) {
  char memory[32];
  if (p->console.fd < 0)
    return;
  if (p->master < 0 && p->phase == RUNNING)
    console_ready(&p->console, EPOLLIN);
  loop_watch(&p->shim->loop, &p->console, 0);
  close(p->console.fd);
  p->console.fd = -1;
  unlinkat(p->shim->run_fd, console_name(p, memory), 0);
}
