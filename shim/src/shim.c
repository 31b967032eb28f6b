// The life of a shim between fork and exit.

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shim.h"

static void idle(void *context) {
  struct shim *s = context;
  chunk_release_idle();
  log_idle(&s->log);
}

static void detach(void) {
  static const int ignored[] = {SIGHUP, SIGPIPE, SIGTERM, SIGINT, SIGQUIT};
  setsid();
  for (size_t i = 0; i < sizeof ignored / sizeof *ignored; i++)
    signal(ignored[i], SIG_IGN);
  signal(SIGCHLD, SIG_DFL);
  umask(022);
  prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
  write_file("/proc/self/oom_score_adj", "-999"); // needs CAP_SYS_RESOURCE
}

static bool set_up(struct shim *s) {
  struct options *o = &s->options;
  if (o->log_path != NULL && !log_open(&s->log, o->log_path, o->log_max_bytes, o->log_max_files)) {
    fail(s->setup_error, "open log %s: %s", o->log_path, strerror(errno));
    return false;
  }
  s->init.logged = o->log_path != NULL;
  return process_open(&s->init, s->setup_error) && mount_private(s, s->setup_error) && mount_root(s, s->setup_error) &&
         net_setup(s, s->setup_error, &s->setup_conflict);
}

// The lists of a container with many ports, at the request's end, have been taken over: their pages go back. The request begins
// at a page (spawner.c).
static void trim_request(struct fields *f) {
  static const char *const lists[] = {"firewall=", "ports="};
  size_t at = 0, lists_at = 0;
  while (at < f->size) {
    bool list = strncmp(f->base + at, lists[0], strlen(lists[0])) == 0 || strncmp(f->base + at, lists[1], strlen(lists[1])) == 0;
    if (list && lists_at == 0)
      lists_at = at;
    else if (!list)
      lists_at = 0;
    at += strlen(f->base + at) + 1;
  }
  size_t page = (size_t)sysconf(_SC_PAGESIZE), keep = (lists_at + page - 1) / page * page;
  if (lists_at == 0)
    return;
  if (keep < f->size)
    munmap((char *)f->base + keep, f->size - keep);
  f->size = lists_at;
}

_Noreturn void shim_main(const struct options *options, int listener, int program, char *title, size_t title_size) {
  static struct shim shim;
  struct shim *s = &shim;
  s->options = *options;
  s->program = program;
  s->log.fd = s->host_mounts = -1;
  s->title = title;
  s->title_size = title_size;
  memset(title, 0, title_size);
  snprintf(title, title_size, "gantry-shim %.12s", s->options.id);
  memcpy(s->init.id, "init", 5);
  s->init.shim = s;
  s->init.tty = options->tty;
  s->init.stdin_open = options->stdin_open;
  s->init.stdin_once = options->stdin_once;
  s->init.rows = (unsigned short)options->rows;
  s->init.columns = (unsigned short)options->columns;
  detach();
  s->run_fd = open(options->run_dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (s->run_fd < 0 || !loop_open(&s->loop) || !reap_open(s))
    _exit(1);
  if (!set_up(s)) {
    if (s->setup_error[0] == '\0')
      fail(s->setup_error, "set up the container's stdio, mounts and network");
    net_remove(s);
  }
  trim_request(&s->options.request);
  control_open(s, listener);
  while (!s->left)
    loop_turn(&s->loop, idle, s);
  // The kernel may take its time to close netlink sockets; the daemon need not wait for that.
  for (struct connection *c = s->connections; c != NULL; c = c->next)
    shutdown(c->source.fd, SHUT_RDWR);
  _exit(0);
}
