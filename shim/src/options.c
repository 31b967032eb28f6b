// A spawn request, checked once at the door. The strings stay in the request's block, which lives as long as the shim.

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "shim.h"

void fail(char reason[REASON_SIZE], const char *format, ...) {
  va_list args;
  va_start(args, format);
  vsnprintf(reason, REASON_SIZE, format, args);
  va_end(args);
}

static bool is_id(const char *id) {
  return id != NULL && strlen(id) == 64 && strspn(id, "0123456789abcdef") == 64;
}

static bool is_path(const char *path) {
  return path != NULL && path[0] == '/' && strlen(path) < PATH_SIZE - 64;
}

static bool all_paths(const struct fields *f, const char *key, int max, int *count) {
  const char *path;
  size_t cursor = 0;
  *count = 0;
  while ((path = field_next(f, key, &cursor)) != NULL)
    if (++*count > max || !is_path(path))
      return false;
  return true;
}

static bool parse_network(struct options *o, const struct fields *f, char reason[REASON_SIZE]) {
  o->network = field_get(f, "net");
  if (o->network == NULL)
    o->network = "none";
  if (strcmp(o->network, "none") == 0 || strcmp(o->network, "host") == 0 || strcmp(o->network, "join") == 0)
    return true;
  if (strcmp(o->network, "own") == 0)
    return wish_check(f, reason);
  fail(reason, "unknown kind of network: %.32s", o->network);
  return false;
}

bool options_parse(struct options *o, const struct fields *f, char reason[REASON_SIZE]) {
  int lower, cgroups, args = 0;
  size_t cursor = 0;
  memset(o, 0, sizeof *o);
  o->request = *f;
  o->id = field_get(f, "id");
  o->run_dir = field_get(f, "run");
  o->exit_file = field_get(f, "exit");
  o->upper = field_get(f, "upper");
  o->work = field_get(f, "work");
  o->readonly = field_flag(f, "ro");
  o->stubs = field_get(f, "stubs");
  o->cwd = field_get(f, "cwd");
  o->runtime = field_get(f, "runtime");
  o->state_root = field_get(f, "runtime.root");
  o->state = field_get(f, "runtime.state");
  o->seals = field_flag(f, "runtime.sealed");
  o->hides_unified = field_flag(f, "hide");
  o->tty = field_flag(f, "tty");
  o->stdin_open = field_flag(f, "stdin");
  o->stdin_once = field_flag(f, "once");
  o->log_path = field_get(f, "log");
  while (field_next(f, "runtime.arg", &cursor) != NULL)
    args++;
  const char *wrong = NULL;
  if (!is_id(o->id))
    wrong = "id";
  else if (!is_path(o->run_dir))
    wrong = "run";
  else if (!is_path(o->exit_file))
    wrong = "exit";
  else if (!is_path(o->upper) || !is_path(o->work))
    wrong = "upper or work";
  else if (!all_paths(f, "lower", 500, &lower) || lower == 0)
    wrong = "lower";
  else if (o->stubs != NULL && !is_path(o->stubs))
    wrong = "stubs";
  else if (o->cwd != NULL && !is_path(o->cwd))
    wrong = "cwd";
  else if (!all_paths(f, "cgroup", CGROUPS_MAX, &cgroups))
    wrong = "cgroup";
  else if (!is_path(o->runtime) || args > RUNTIME_ARGS_MAX)
    wrong = "runtime";
  else if (!is_path(o->state_root))
    wrong = "runtime.root";
  else if (o->state != NULL && !is_path(o->state))
    wrong = "runtime.state";
  else if (o->log_path != NULL && !is_path(o->log_path))
    wrong = "log";
  else if (!field_number(f, "log.max", 0, INT64_MAX, 0, &o->log_max_bytes))
    wrong = "log.max";
  else if (!field_number(f, "log.files", 1, 1000, 1, &o->log_max_files))
    wrong = "log.files";
  else if (!field_number(f, "rows", 0, 65535, 0, &o->rows) || !field_number(f, "columns", 0, 65535, 0, &o->columns))
    wrong = "rows or columns";
  if (wrong != NULL) {
    fail(reason, "invalid %s", wrong);
    return false;
  }
  return views_check(f, o->stubs != NULL, reason) && parse_network(o, f, reason);
}
