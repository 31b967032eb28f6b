// Listeners on the host for published ports: the shim's side. A child of the shim holds and serves them (ports-serve.c), so that
// its clients never hold up the container's streams; there is none while no port is published. It gets the whole list at each
// change, keeps what is in both, and answers when all of it is bound. One that dies is started again with the last list.
//
//   shim ── u32 length, lines ──► child          child ── struct ports_answer ──► shim

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ports.h"

enum { ANSWER_LIMIT_S = 60, AGAIN_MS = 250, AGAIN_MAX_MS = 30000 };

struct ports {
  struct shim *shim;
  pid_t pid; // 0: none
  struct source source;
  struct timer again;
  int64_t again_ms;
  char *lines; // what is bound
  bool news;   // since ports_opened
};

static void stop_child(struct ports *p) {
  if (p->pid == 0)
    return;
  loop_watch(&p->shim->loop, &p->source, 0);
  close(p->source.fd);
  // What it held is closed before it can be waited for. Where the reaper was first, the pid is not ours to kill any more.
  siginfo_t info;
  if (waitid(P_PID, (id_t)p->pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0)
    kill(p->pid, SIGKILL);
  while (waitpid(p->pid, NULL, 0) < 0 && errno == EINTR)
    continue;
  p->pid = 0;
}

static void child_gone(struct source *source, uint32_t events) {
  struct ports *p = (struct ports *)((char *)source - offsetof(struct ports, source));
  (void)events;
  stop_child(p);
  if (!p->shim->cleaning)
    loop_arm(&p->shim->loop, &p->again, p->again_ms);
}

static bool start_child(struct ports *p, char reason[REASON_SIZE]) {
  struct timeval limit = {.tv_sec = ANSWER_LIMIT_S};
  int pair[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) {
    fail(reason, "start the port server: socketpair: %s", strerror(errno));
    return false;
  }
  pid_t pid = fork();
  if (pid == 0) {
    close(pair[0]);
    ports_serve(p->shim, pair[1]);
  }
  close(pair[1]);
  if (pid < 0) {
    fail(reason, "start the port server: fork: %s", strerror(errno));
    close(pair[0]);
    return false;
  }
  setsockopt(pair[0], SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  setsockopt(pair[0], SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
  p->pid = pid;
  p->source = (struct source){.fd = pair[0], .ready = child_gone};
  return true;
}

static bool send_all(int fd, const void *memory, size_t size) {
  for (const char *at = memory; size > 0;) {
    ssize_t n = send(fd, at, size, MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR)
      continue;
    if (n <= 0)
      return false;
    at += n;
    size -= (size_t)n;
  }
  return true;
}

/** True: every line is bound. False: nothing has changed; `reason` is empty where the child itself is at fault. */
static bool tell(struct ports *p, const char *lines, char reason[REASON_SIZE], int *error) {
  struct ports_answer answer;
  uint32_t size = (uint32_t)strlen(lines);
  ssize_t n = -1;
  *error = 0;
  if (send_all(p->source.fd, &size, sizeof size) && send_all(p->source.fd, lines, size))
    do
      n = recv(p->source.fd, &answer, sizeof answer, MSG_WAITALL);
    while (n < 0 && errno == EINTR);
  if (n != sizeof answer) {
    reason[0] = '\0';
    return false;
  }
  if (answer.error == 0)
    return true;
  *error = answer.error;
  answer.reason[sizeof answer.reason - 1] = '\0';
  fail(reason, "%s", answer.reason);
  return false;
}

static void start_again(struct timer *timer) {
  struct ports *p = (struct ports *)((char *)timer - offsetof(struct ports, again));
  char reason[REASON_SIZE];
  int error;
  if (start_child(p, reason)) {
    if (tell(p, p->lines, reason, &error)) {
      loop_watch(&p->shim->loop, &p->source, EPOLLIN);
      p->again_ms = AGAIN_MS;
      return;
    }
    stop_child(p);
  }
  p->again_ms = p->again_ms * 2 > AGAIN_MAX_MS ? AGAIN_MAX_MS : p->again_ms * 2;
  loop_arm(&p->shim->loop, &p->again, p->again_ms);
}

/** A line of a list, as a text of its own. */
static const char *next_line(const char **at, char line[160]) {
  size_t size = strcspn(*at, "\n");
  if (size == 0)
    return NULL;
  snprintf(line, 160, "%.*s", size < 159 ? (int)size : 159, *at);
  *at += size + ((*at)[size] == '\n');
  return line;
}

/** Addresses to which datagrams were led and are not any more. The lines of a container name few addresses, one after the other. */
static void forget(const char *before, const char *now) {
  char line[160], whole[162];
  struct listener port, last = {0};
  for (const char *at = before; next_line(&at, line) != NULL;) {
    if (!ports_parse_line(&port, line) || port.protocol == IPPROTO_TCP)
      continue;
    port.target.v4.sin_port = 0; // where sin6_port is, too
    if (port.protocol == last.protocol && memcmp(&port.target, &last.target, sizeof port.target) == 0)
      continue;
    snprintf(whole, sizeof whole, "%s\n", line);
    if (strstr(now, whole) != NULL)
      continue;
    ports_forget_address(&port.target, (uint8_t)port.protocol);
    last = port;
  }
}

bool ports_apply(struct shim *s, const char *lines, char reason[REASON_SIZE]) {
  struct ports *p = s->ports;
  int error = 0;
  if (lines[0] == '\0') {
    ports_close(s);
    return true;
  }
  if (p != NULL && p->pid > 0 && strcmp(p->lines, lines) == 0)
    return true;
  char *copy = strdup(lines);
  if (p == NULL && (p = calloc(1, sizeof *p)) != NULL) {
    p->shim = s;
    p->again.fire = start_again;
    p->again_ms = AGAIN_MS;
    s->ports = p;
  }
  if (copy == NULL || p == NULL) {
    fail(reason, "publish ports: %s", strerror(ENOMEM));
    goto failed;
  }
  bool fresh = p->pid == 0;
  if (fresh && !start_child(p, reason))
    goto failed;
  if (!tell(p, lines, reason, &error)) {
    if (reason[0] == '\0')
      fail(reason, "publish ports: the port server has ended");
    if (fresh || error == 0)
      stop_child(p);
    if (!fresh && error == 0)
      loop_arm(&s->loop, &p->again, p->again_ms);
    goto failed;
  }
  loop_disarm(&s->loop, &p->again);
  loop_watch(&s->loop, &p->source, EPOLLIN);
  if (p->lines != NULL)
    forget(p->lines, lines);
  free(p->lines);
  p->lines = copy;
  p->news = true;
  return true;
failed:
  free(copy);
  if (p != NULL && p->lines == NULL)
    ports_close(s);
  errno = error;
  return false;
}

void ports_opened(struct shim *s) {
  static const uint8_t families[] = {AF_INET, AF_INET6}, protocols[] = {IPPROTO_UDP, IPPROTO_SCTP};
  struct ports *p = s->ports;
  char line[160];
  struct listener port;
  if (p == NULL || !p->news)
    return;
  p->news = false;
  uint8_t *bits = strstr(p->lines, "udp ") == NULL && strstr(p->lines, "sctp ") == NULL ? NULL : malloc(PORT_BITS);
  for (int i = 0; bits != NULL && i < 4; i++) {
    bool any = false;
    memset(bits, 0, PORT_BITS);
    for (const char *at = p->lines; next_line(&at, line) != NULL;)
      if (ports_parse_line(&port, line) && port.protocol == protocols[i / 2] && port.at.any.sa_family == families[i % 2]) {
        unsigned number = ntohs(port.at.v4.sin_port); // where sin6_port is, too
        bits[number / 8] |= (uint8_t)(1 << number % 8);
        any = true;
      }
    if (any)
      ports_forget_host(families[i % 2], protocols[i / 2], bits);
  }
  free(bits);
}

void ports_close(struct shim *s) {
  struct ports *p = s->ports;
  if (p == NULL)
    return;
  loop_disarm(&s->loop, &p->again);
  stop_child(p);
  if (p->lines != NULL)
    forget(p->lines, "");
  free(p->lines);
  free(p);
  s->ports = NULL;
}
