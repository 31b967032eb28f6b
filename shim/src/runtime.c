// The OCI runtime as a child process: run, exec, delete. It gets descriptors 0, 1 and 2 and nothing else, a clean signal
// state and an ordinary oom_score_adj. Its log is passed on as text: nothing is parsed here.
// Source: the command line that runc(8) and crun(1) share.

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shim.h"

enum { TAIL_MAX = 16, LOG_BYTES = 4096, ERRORS_BYTES = 1024 };

extern char **environ;

// The daemon's Node has raised its soft limit to the hard one; programs that close every possible descriptor would crawl.
static void limit_files(void) {
  const char *text = getenv("GANTRY_SOFT_NOFILE");
  struct rlimit limit;
  unsigned long soft = text == NULL ? 0 : strtoul(text, NULL, 10);
  if (soft < 3 || getrlimit(RLIMIT_NOFILE, &limit) != 0 || soft >= limit.rlim_cur)
    return;
  limit.rlim_cur = soft;
  setrlimit(RLIMIT_NOFILE, &limit);
}

// In the vfork child: memory is the parent's, descriptors and signal handlers are not.
static _Noreturn void child(struct shim *s, const char **argv, const int fds[3], bool own_mounts, volatile int *error) {
  sigset_t none;
  sigemptyset(&none);
  signal(SIGPIPE, SIG_DFL);
  signal(SIGHUP, SIG_DFL);
  signal(SIGTERM, SIG_DFL);
  signal(SIGINT, SIG_DFL);
  signal(SIGQUIT, SIG_DFL);
  sigprocmask(SIG_SETMASK, &none, NULL);
  for (int i = 0; i < 3; i++)
    if (fds[i] >= 0)
      dup2(fds[i], i);
  int program = s->program < 0 ? -1 : dup3(s->program, 3, O_CLOEXEC);
  syscall(SYS_close_range, program < 0 ? 3u : 4u, ~0u, 0u);
  int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
  if (fd >= 0) {
    if (write(fd, "0", 1) < 0)
      *error = 0;
    close(fd);
  }
  limit_files();
  if (own_mounts && s->options.hides_unified && !s->own_mounts && unshare(CLONE_NEWNS) == 0)
    mount_hide_unified();
  if (program >= 0)
    syscall(SYS_execveat, program, "", argv, environ, AT_EMPTY_PATH);
  execve(argv[0], (char *const *)argv, environ);
  *error = errno;
  _exit(127);
}

pid_t runtime_launch(struct shim *s, const char *const *tail, const int fds[3], bool own_mounts) {
  const char *argv[8 + RUNTIME_ARGS_MAX + TAIL_MAX], *arg;
  char log[PATH_SIZE];
  volatile int error = 0;
  size_t n = 0, cursor = 0;
  run_path(s, "runtime.log", log);
  argv[n++] = s->options.runtime;
  while ((arg = field_next(&s->options.request, "runtime.arg", &cursor)) != NULL)
    argv[n++] = arg;
  argv[n++] = "--root";
  argv[n++] = s->options.state_root;
  argv[n++] = "--log";
  argv[n++] = log;
  argv[n++] = "--log-format";
  argv[n++] = "json";
  while (*tail != NULL)
    argv[n++] = *tail++;
  argv[n] = NULL;
  pid_t pid = vfork();
  if (pid == 0)
    child(s, argv, fds, own_mounts, &error);
  if (pid > 0 && error != 0) {
    errno = error;
    return -1; // the child is reaped as a stranger
  }
  return pid;
}

static void pid_file_name(const struct process *p, char out[32]) {
  if (p == &p->shim->init)
    snprintf(out, 32, "init.pid");
  else
    snprintf(out, 32, "exec-%.12s.pid", p->id);
}

static void reply_failed(struct process *p, int status, const char *text) {
  struct shim *s = p->shim;
  uint8_t memory[LOG_BYTES + ERRORS_BYTES + REASON_SIZE + 256];
  char path[PATH_SIZE], log[LOG_BYTES + 1], errors[ERRORS_BYTES];
  struct message m;
  message_begin(&m, memory, sizeof memory);
  message_add_number(&m, "re", (int64_t)p->asked_tag);
  message_add_number(&m, "failed", status);
  if (text != NULL) {
    message_add(&m, "reason", text);
  } else {
    run_path(s, "runtime.log", path);
    ssize_t n = read_file(path, log, sizeof log);
    message_add_text(&m, "log", log, n > 0 ? (size_t)n : 0);
    message_add_text(&m, "stderr", errors, process_discard(p, errors, sizeof errors));
  }
  if (p->asked_by != NULL)
    control_reply(p->asked_by, &m);
}

static void failed(struct process *p, int status, const char *text) {
  struct shim *s = p->shim;
  reply_failed(p, status, text);
  p->asked_by = NULL;
  p->phase = ENDED;
  p->logged = false; // what the runtime wrote is not the container's
  p->drained = true;
  process_close(p);
  if (p == &s->init)
    cleanup_begin(s);
  else
    exec_forget(p);
}

void runtime_start(struct process *p) {
  struct shim *s = p->shim;
  bool init = p == &s->init;
  char pid_file[PATH_SIZE], console[128], name[32], reason[REASON_SIZE];
  const char *tail[TAIL_MAX];
  int n = 0, pipes[2], null = open("/dev/null", O_RDWR | O_CLOEXEC);
  pid_file_name(p, name);
  run_path(s, name, pid_file);
  unlinkat(s->run_fd, name, 0);
  unlinkat(s->run_fd, "runtime.log", 0);
  tail[n++] = init ? "run" : "exec";
  tail[n++] = "--detach";
  if (init) {
    tail[n++] = "--bundle";
    tail[n++] = s->options.run_dir;
  } else {
    tail[n++] = "--process";
    tail[n++] = p->process_file;
  }
  tail[n++] = "--pid-file";
  tail[n++] = pid_file;
  if (p->tty) {
    tail[n++] = "--console-socket";
    console_path(p, console);
    tail[n++] = console;
    if (pipe2(pipes, O_CLOEXEC) == 0) {
      p->errors = pipes[0];
      p->out[1].child_fd = pipes[1];
    }
  }
  tail[n++] = s->options.id;
  tail[n] = NULL;
  int fds[3] = {p->input_child >= 0 ? p->input_child : null, p->tty ? null : p->out[0].child_fd, p->out[1].child_fd};
  p->phase = STARTING;
  s->ran = true;
  p->runtime_pid = runtime_launch(s, tail, fds, true);
  int error = errno;
  close(null);
  free(p->process_file);
  p->process_file = NULL;
  if (p->runtime_pid < 0) {
    p->runtime_pid = 0;
    snprintf(reason, sizeof reason, "execute %s: %s", s->options.runtime, strerror(error));
    failed(p, -1, reason);
  }
}

static void started(struct process *p) {
  struct shim *s = p->shim;
  uint8_t memory[256];
  struct message m;
  int status;
  p->phase = RUNNING;
  bool ended = reap_take_stranger(s, p->pid, &p->start_time, &status);
  if (!ended)
    p->start_time = process_start_time(p->pid);
  process_started(p);
  message_begin(&m, memory, sizeof memory);
  message_add_number(&m, "re", (int64_t)p->asked_tag);
  message_add_number(&m, "pid", p->pid);
  message_add_number(&m, "start", (int64_t)p->start_time);
  if (p->asked_by != NULL)
    control_reply(p->asked_by, &m);
  p->asked_by = NULL;
  if (p == &s->init)
    mount_leave(s);
  if (ended)
    reaped(p, status);
}

bool runtime_ended(struct shim *s, pid_t pid, int status) {
  struct process *p = s->init.runtime_pid == pid ? &s->init : s->execs;
  char name[32], path[PATH_SIZE], text[32];
  while (p != NULL && p->runtime_pid != pid)
    p = p->next;
  if (p == NULL)
    return false;
  p->runtime_pid = 0;
  pid_file_name(p, name);
  run_path(s, name, path);
  if (status == 0 && read_file(path, text, sizeof text) > 0 && (p->pid = (pid_t)strtol(text, NULL, 10)) > 0)
    started(p);
  else
    failed(p, WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status), NULL);
  if (p != &s->init)
    unlinkat(s->run_fd, name, 0);
  return true;
}
