// The end of a container, in this order: network given back, OOM count, rest of the output, exit record on disk, everybody told,
// runtime state deleted, cgroups removed, network link removed, files removed, gone. Each step can be repeated by a daemon that finds it undone.

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "shim.h"

enum { DELETE_LIMIT_MS = 10000, CGROUP_RETRY_MS = 10, CGROUP_TRIES = 300, DEPTH_MAX = 16 };

// v1: "oom_kill N" in memory.oom_control; v2: in memory.events. Absent: nothing was killed.
static bool oom_killed(const struct shim *s) {
  static const char *const files[] = {"memory.oom_control", "memory.events"};
  const char *cgroup;
  size_t cursor = 0;
  while ((cgroup = field_next(&s->options.request, "cgroup", &cursor)) != NULL)
    for (int i = 0; i < 2; i++) {
      char path[PATH_SIZE + 32], text[512];
      snprintf(path, sizeof path, "%s/%s", cgroup, files[i]);
      if (read_file(path, text, sizeof text) <= 0)
        continue;
      const char *line = strstr(text, "oom_kill ");
      if (line != NULL && strtoull(line + 9, NULL, 10) > 0)
        return true;
    }
  return false;
}

void exit_begin(struct shim *s) {
  s->exit.code = s->init.wait_status;
  s->exit.oom_killed = oom_killed(s);
  time_rfc3339(s->exit.finished_at);
}

static bool write_record(const struct shim *s) {
  char temporary[PATH_SIZE + 8], text[256], *slash;
  int n = snprintf(text, sizeof text, "version=1\nexitCode=%d\nsignal=%d\noomKilled=%d\nfinishedAt=%s\n", s->exit.code,
                   s->exit.signal, s->exit.oom_killed, s->exit.finished_at);
  snprintf(temporary, sizeof temporary, "%s.tmp", s->options.exit_file);
  int fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd < 0)
    return false;
  bool ok = write(fd, text, (size_t)n) == n && fsync(fd) == 0;
  ok = close(fd) == 0 && ok && rename(temporary, s->options.exit_file) == 0;
  slash = strrchr(temporary, '/');
  slash[slash == temporary] = '\0';
  int dir = ok ? open(temporary, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
  ok = ok && dir >= 0 && fsync(dir) == 0;
  if (dir >= 0)
    close(dir);
  return ok;
}

void exit_record(struct shim *s) {
  // A full disk: the exit is told all the same, the connected daemon has its own store.
  write_record(s);
  s->exit.written = true;
  control_exit_event(s);
  cleanup_begin(s);
}

// ---- clean-up ----

// The runtime's own record of a container that has ended: a directory of files. What cannot be taken away like this is
// the runtime's to delete.
static bool remove_state(const char *path) {
  int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
  DIR *dir = fd < 0 ? NULL : fdopendir(fd);
  if (dir == NULL) {
    if (fd >= 0)
      close(fd);
    return false;
  }
  struct dirent *e;
  while ((e = readdir(dir)) != NULL)
    if (e->d_type != DT_DIR)
      unlinkat(fd, e->d_name, 0);
  closedir(dir);
  return rmdir(path) == 0;
}

static void cleanup_step(struct timer *t);

void cleanup_begin(struct shim *s) {
  const char *tail[] = {"delete", "--force", s->options.id, NULL};
  static const int none[3] = {-1, -1, -1};
  if (s->cleaning)
    return;
  s->cleaning = true;
  net_end(s);
  s->cleanup.fire = cleanup_step;
  loop_disarm(&s->loop, &s->lonely);
  if (!s->init.drained) {
    s->init.drained = true;
    s->init.logged = false;
    process_close(&s->init);
  }
  unlinkat(s->run_fd, "runtime.log", 0);
  if (s->ran && s->init.pid == 0)
    reap_kill_children();
  // A start that failed may have left more than its record.
  bool removed = s->init.pid > 0 && s->options.state != NULL && remove_state(s->options.state);
  if (s->ran && !removed)
    s->delete_pid = runtime_launch(s, tail, none, true);
  if (s->delete_pid > 0) {
    loop_arm(&s->loop, &s->cleanup, DELETE_LIMIT_MS);
    return;
  }
  s->delete_pid = 0;
  cleanup_deleted(s);
}

void cleanup_deleted(struct shim *s) {
  loop_arm(&s->loop, &s->cleanup, 0);
}

// Removes a cgroup and those below it; what still runs there is killed and waited for.
static bool remove_cgroup(int parent, const char *name, int depth) {
  if (unlinkat(parent, name, AT_REMOVEDIR) == 0 || errno == ENOENT)
    return true;
  int fd = depth < DEPTH_MAX ? openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW) : -1;
  DIR *dir = fd < 0 ? NULL : fdopendir(fd);
  if (dir == NULL) {
    if (fd >= 0)
      close(fd);
    return errno == ENOENT;
  }
  struct dirent *e;
  while ((e = readdir(dir)) != NULL)
    if (e->d_type == DT_DIR && e->d_name[0] != '.')
      remove_cgroup(fd, e->d_name, depth + 1);
  int procs = openat(fd, "cgroup.procs", O_RDONLY | O_CLOEXEC);
  if (procs >= 0) {
    char text[4096];
    ssize_t n = read(procs, text, sizeof text - 1);
    close(procs);
    text[n > 0 ? n : 0] = '\0';
    for (char *at = text, *end; (end = strchr(at, '\n')) != NULL; at = end + 1)
      if (atoi(at) > 1)
        kill(atoi(at), SIGKILL);
  }
  closedir(dir);
  return unlinkat(parent, name, AT_REMOVEDIR) == 0 || errno == ENOENT;
}

static void leave(struct shim *s) {
  static const char *const files[] = {"console.sock", "init.pid", "runtime.log", "netns", "shim.sock"};
  net_remove(s);
  mount_leave(s);
  unlinkat(s->run_fd, "rootfs", AT_REMOVEDIR);
  views_remove(s);
  for (size_t i = 0; i < sizeof files / sizeof *files; i++)
    unlinkat(s->run_fd, files[i], 0);
  s->left = true;
}

static void cleanup_step(struct timer *t) {
  struct shim *s = (struct shim *)((char *)t - offsetof(struct shim, cleanup));
  const char *cgroup;
  size_t cursor = 0;
  bool done = true;
  if (s->delete_pid > 0) {
    kill(s->delete_pid, SIGKILL); // its end comes back here
    loop_arm(&s->loop, t, DELETE_LIMIT_MS);
    return;
  }
  while ((cgroup = field_next(&s->options.request, "cgroup", &cursor)) != NULL)
    done = remove_cgroup(AT_FDCWD, cgroup, 0) && done;
  if (!done && ++s->cleanup_tries < CGROUP_TRIES)
    loop_arm(&s->loop, t, CGROUP_RETRY_MS);
  else
    leave(s);
}
