// Children: the runtime's processes, the container's first process, execs, and whatever else is reparented to the subreaper.
// A process may end before the runtime has told its pid: the last strangers are remembered while a runtime runs.

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "shim.h"

ssize_t read_file(const char *path, char *out, size_t size) {
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  ssize_t n = fd < 0 ? -1 : read(fd, out, size - 1);
  if (fd >= 0)
    close(fd);
  out[n > 0 ? n : 0] = '\0';
  return n;
}

bool write_file(const char *path, const char *text) {
  int fd = open(path, O_WRONLY | O_CLOEXEC);
  if (fd < 0)
    return false;
  bool ok = write(fd, text, strlen(text)) == (ssize_t)strlen(text);
  return close(fd) == 0 && ok;
}

void time_rfc3339(char out[40]) {
  struct timespec t;
  struct tm tm;
  clock_gettime(CLOCK_REALTIME, &t);
  gmtime_r(&t.tv_sec, &tm);
  size_t n = (size_t)snprintf(out, 40, "%04d-%02d-%02dT%02d:%02d:%02d.%09ld", (tm.tm_year + 1900) % 10000, tm.tm_mon + 1,
                              tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, t.tv_nsec);
  while (out[n - 1] == '0')
    n--;
  if (out[n - 1] == '.')
    n--;
  out[n] = 'Z';
  out[n + 1] = '\0';
}

// Field 22 of /proc/pid/stat, in clock ticks since boot; valid for a zombie too.
uint64_t process_start_time(pid_t pid) {
  char path[32], text[1024];
  snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
  if (read_file(path, text, sizeof text) <= 0)
    return 0;
  const char *at = strrchr(text, ')');
  for (int field = 2; at != NULL && field < 22; field++) {
    at = strchr(at + 1, ' ');
  }
  return at == NULL ? 0 : strtoull(at, NULL, 10);
}

static bool runtime_runs(const struct shim *s) {
  if (s->init.runtime_pid > 0)
    return true;
  for (const struct process *p = s->execs; p != NULL; p = p->next)
    if (p->runtime_pid > 0)
      return true;
  return false;
}

bool reap_take_stranger(struct shim *s, pid_t pid, uint64_t *start_time, int *status) {
  for (int i = 0; i < STRANGERS_MAX; i++)
    if (s->strangers[i].pid == pid) {
      *start_time = s->strangers[i].start_time;
      *status = s->strangers[i].status;
      s->strangers[i].pid = 0;
      return true;
    }
  return false;
}

void reaped(struct process *p, int status) {
  p->reaped = true;
  p->wait_status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  if (p == &p->shim->init) {
    p->shim->exit.signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
    net_end(p->shim); // addresses and ports may be somebody else's as soon as the exit is told
    exit_begin(p->shim);
  }
  process_ended(p);
}

static struct process *process_of(struct shim *s, pid_t pid) {
  if (s->init.pid == pid && !s->init.reaped)
    return &s->init;
  for (struct process *p = s->execs; p != NULL; p = p->next)
    if (p->pid == pid && !p->reaped && p->phase == RUNNING)
      return p;
  return NULL;
}

void reap_kill_children(void) {
  char path[64], text[1024];
  snprintf(path, sizeof path, "/proc/self/task/%d/children", (int)getpid());
  for (int tries = 0; tries < 1000 && read_file(path, text, sizeof text) > 0; tries++) {
    for (char *at = text, *end; (end = strchr(at, ' ')) != NULL; at = end + 1)
      if (atoi(at) > 1)
        kill(atoi(at), SIGKILL);
    while (waitpid(-1, NULL, WNOHANG) > 0)
      continue;
    usleep(1000);
  }
}

static void reap_all(struct shim *s) {
  siginfo_t info;
  int status;
  for (;;) {
    info.si_pid = 0;
    if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) != 0 || info.si_pid == 0)
      return;
    pid_t pid = info.si_pid;
    struct process *p = process_of(s, pid);
    bool keep = p == NULL && runtime_runs(s);
    uint64_t start_time = keep ? process_start_time(pid) : 0;
    if (waitpid(pid, &status, WNOHANG) != pid)
      return;
    if (p != NULL) {
      reaped(p, status);
    } else if (pid == s->delete_pid) {
      s->delete_pid = 0;
      cleanup_deleted(s);
    } else if (!runtime_ended(s, pid, status) && keep) {
      s->strangers[s->stranger_at++ % STRANGERS_MAX] = (struct stranger){pid, start_time, status};
    }
  }
}

static void signals_ready(struct source *source, uint32_t events) {
  struct shim *s = (struct shim *)((char *)source - offsetof(struct shim, signals));
  struct signalfd_siginfo info;
  (void)events;
  while (read(source->fd, &info, sizeof info) > 0)
    continue;
  reap_all(s);
}

bool reap_open(struct shim *s) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGCHLD);
  sigprocmask(SIG_SETMASK, &set, NULL);
  s->signals.fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
  s->signals.ready = signals_ready;
  if (s->signals.fd < 0)
    return false;
  loop_watch(&s->loop, &s->signals, EPOLLIN);
  return true;
}
