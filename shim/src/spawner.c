// The spawner: started once by the daemon, forks a shim per request. It is small so that its fork is cheap, it binds the shim's
// socket before the fork so that the daemon can connect at once, and it ends when the daemon's end of the pipe closes.
// Beside it lives the warmer: a write to cgroup.procs makes the kernel wait for a grace period (cgroup_threadgroup_rwsem)
// unless another write has just done so. The warmer's write begins that wait when a request arrives, so that it passes
// while the shim sets up and the runtime finds it over.

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "nfnl.h"
#include "shim.h"

enum { RULES_PAUSE_MS = 50 };

static bool write_all(int fd, const uint8_t *at, size_t size) {
  while (size > 0) {
    ssize_t n = write(fd, at, size);
    if (n < 0 && errno == EINTR)
      continue;
    if (n <= 0)
      return false;
    at += n;
    size -= (size_t)n;
  }
  return true;
}

// ---- the warmer ----

// "N:controllers:/path" per line; the hierarchy is mounted at /sys/fs/cgroup[/controllers].
static int open_own_cgroup(void) {
  char text[4096], path[PATH_SIZE + 64];
  if (read_file("/proc/self/cgroup", text, sizeof text) <= 0)
    return -1;
  for (char *save = NULL, *line = strtok_r(text, "\n", &save); line != NULL; line = strtok_r(NULL, "\n", &save)) {
    char *controllers = strchr(line, ':'), *own = controllers == NULL ? NULL : strchr(controllers + 1, ':');
    if (own == NULL)
      continue;
    *own++ = '\0';
    controllers++;
    if (strncmp(controllers, "name=", 5) == 0)
      controllers += 5;
    snprintf(path, sizeof path, "/sys/fs/cgroup/%s/%s/cgroup.procs", controllers, own);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd >= 0)
      return fd;
  }
  return -1;
}

static int start_warmer(void) {
  int pipes[2];
  char bytes[64];
  if (pipe2(pipes, O_CLOEXEC) != 0)
    return -1;
  pid_t pid = fork();
  if (pid != 0) {
    close(pipes[0]);
    if (pid > 0)
      return pipes[1];
    close(pipes[1]);
    return -1;
  }
  close(pipes[1]);
  close(0);
  close(1);
  int cgroup = open_own_cgroup();
  while (read(pipes[0], bytes, sizeof bytes) > 0)
    if (cgroup >= 0 && write(cgroup, "0", 1) < 0)
      continue; // its only effect is the time that it takes
  _exit(0);
}

// ---- requests ----

static int listen_at(const struct options *o, char reason[REASON_SIZE]) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  int dir = open(o->run_dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  snprintf(address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d/shim.sock", dir);
  if (dir < 0 || fd < 0) {
    fail(reason, "open %s: %s", o->run_dir, strerror(errno));
    goto failed;
  }
  // A dead shim's socket refuses; a live one accepts, or is busy (EAGAIN).
  if (connect(fd, (struct sockaddr *)&address, sizeof address) == 0 || (errno != ECONNREFUSED && errno != ENOENT)) {
    fail(reason, "a shim serves %s already", o->run_dir);
    goto failed;
  }
  unlinkat(dir, "shim.sock", 0);
  umask(0177);
  bool ok = bind(fd, (struct sockaddr *)&address, sizeof address) == 0 && listen(fd, 64) == 0;
  umask(077);
  if (ok) {
    close(dir);
    return fd;
  }
  fail(reason, "listen on %s/shim.sock: %s", o->run_dir, strerror(errno));
failed:
  close(dir);
  close(fd);
  return -1;
}

static _Noreturn void become_shim(const struct options *o, int listener, int program, char *title, size_t title_size) {
  int null = open("/dev/null", O_RDWR);
  listener = fcntl(listener, F_DUPFD_CLOEXEC, 10);
  program = program < 0 ? -1 : fcntl(program, F_DUPFD_CLOEXEC, 10);
  for (int i = 0; i < 3; i++)
    dup2(null, i);
  dup3(listener, 3, O_CLOEXEC);
  if (program >= 0)
    program = dup3(program, 4, O_CLOEXEC);
  unsigned rest = program < 0 ? 4 : 5;
  if (syscall(SYS_close_range, rest, ~0u, 0u) != 0)
    for (int fd = (int)rest; fd < 1024; fd++) // before Linux 5.9
      close(fd);
  shim_main(o, 3, program, title, title_size);
}

static pid_t spawn(const struct fields *f, char *title, size_t title_size, char reason[REASON_SIZE]) {
  static struct sealed sealed = {.fd = -1};
  struct options o;
  struct stat st;
  if (!options_parse(&o, f, reason))
    return -1;
  if (lstat(o.exit_file, &st) == 0) {
    fail(reason, "exit record %s exists", o.exit_file);
    return -1;
  }
  int listener = listen_at(&o, reason);
  if (listener < 0)
    return -1;
  int program = o.seals ? sealed_program(&sealed, o.runtime) : -1;
  pid_t pid = fork();
  if (pid == 0)
    become_shim(&o, listener, program, title, title_size);
  if (pid < 0)
    fail(reason, "fork: %s", strerror(errno));
  close(listener);
  return pid;
}

static bool serve(int warmer, char *title, size_t title_size) {
  uint8_t header[FRAME_HEADER], reply[REASON_SIZE + 128];
  char reason[REASON_SIZE] = "malformed request";
  struct fields f;
  struct message m;
  if (!read_all(0, header, sizeof header))
    return false;
  uint32_t size = proto_length(header);
  if (size > FRAME_MAX_SPAWN)
    return false;
  if (warmer >= 0 && write(warmer, "w", 1) < 0)
    warmer = -1;
  if (size == 0) // a hint alone: an exec will follow, through its container's shim
    return true;
  void *body = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (body == MAP_FAILED)
    return false;
  pid_t pid = -1;
  bool alive = read_all(0, body, size);
  if (alive) {
    bool well_formed = proto_check(body, size, &f);
    const char *tag = well_formed ? field_get(&f, "tag") : NULL;
    if (well_formed)
      pid = spawn(&f, title, title_size, reason);
    message_begin(&m, reply, sizeof reply);
    message_add_text(&m, "re", tag == NULL ? "" : tag, tag == NULL ? 0 : strnlen(tag, 32));
    if (pid > 0)
      message_add_number(&m, "pid", pid);
    else
      message_add(&m, "error", reason);
    message_end(&m);
    alive = write_all(1, m.bytes, m.size);
  }
  munmap(body, size);
  return alive;
}

// ---- changed rules ----

struct rules {
  int fd;          // −1: the kernel does not tell
  bool pending;    // a change that was not told yet
  int64_t next_ms; // when one may be told again
};

static bool tell_rules(struct rules *r) {
  uint8_t memory[64];
  struct message m;
  int64_t now = monotonic_ms();
  if (!r->pending || now < r->next_ms)
    return true;
  r->pending = false;
  r->next_ms = now + RULES_PAUSE_MS;
  message_begin(&m, memory, sizeof memory);
  message_add(&m, "event", "rules");
  message_end(&m);
  return write_all(1, m.bytes, m.size);
}

/** Waits for a request; tells changed rules meanwhile. False: nobody listens any more. */
static bool wait_for_request(struct rules *r) {
  for (;;) {
    struct pollfd fds[] = {{.fd = 0, .events = POLLIN}, {.fd = r->fd, .events = POLLIN}};
    int64_t pause = r->pending ? r->next_ms - monotonic_ms() : -1;
    if (poll(fds, 2, r->pending && pause < 0 ? 0 : (int)pause) < 0 && errno != EINTR)
      return false;
    if (fds[1].revents != 0)
      r->pending |= nfnl_changed(r->fd);
    if (!tell_rules(r))
      return false;
    if (fds[0].revents != 0)
      return true;
  }
}

int spawner_main(char *title, size_t title_size) {
  signal(SIGPIPE, SIG_IGN);
  signal(SIGHUP, SIG_IGN);
  signal(SIGINT, SIG_IGN); // a terminal's Ctrl-C is the daemon's affair
  signal(SIGCHLD, SIG_IGN); // shims leave no zombies here
  if (chdir("/") != 0)
    return 1;
  syscall(SYS_close_range, 3u, ~0u, 0u); // what the daemon's parent left open, or systemd passed
  int warmer = getenv("GANTRY_SHIM_COLD") == NULL ? start_warmer() : -1;
  if (warmer >= 0)
    fcntl(warmer, F_SETFL, O_NONBLOCK);
  struct rules rules = {.fd = nfnl_watch()};
  while (wait_for_request(&rules) && serve(warmer, title, title_size))
    continue;
  return 0;
}
