// Unit tests of the json-file log: escaping, splitting, tails, rotation, repair, a full disk.

#include <assert.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shim.h"

static char dir[] = "/tmp/gantry-log-XXXXXX", path[64];
static char content[1 << 20];

static void fresh(struct log *l, int64_t max_bytes, int64_t max_files) {
  char name[80];
  unlink(path);
  for (int i = 1; i < 5; i++) {
    snprintf(name, sizeof name, "%s.%d", path, i);
    unlink(name);
  }
  assert(log_open(l, path, max_bytes, max_files));
}

static size_t slurp(const char *file) {
  ssize_t n = read_file(file, content, sizeof content);
  return n < 0 ? 0 : (size_t)n;
}

/** Content with the times cut out: `<text of "log">|<stream>` per line. */
static const char *lines(void) {
  static char out[1 << 20];
  char *o = out;
  slurp(path);
  for (char *line = strtok(content, "\n"); line != NULL; line = strtok(NULL, "\n")) {
    char *end = strstr(line, "\",\"stream\":\"");
    assert(strncmp(line, "{\"log\":\"", 8) == 0 && end != NULL && strstr(end, "Z\"}") != NULL);
    o += sprintf(o, "%.*s|%.6s\n", (int)(end - line - 8), line + 8, end + 12);
  }
  *o = '\0';
  return out;
}

#define PUT(l, t, text) log_write((l), (t), 1, (text), sizeof(text) - 1)

static void escapes_as_docker_does(void) {
  struct log l;
  struct tail t = {0};
  fresh(&l, 0, 1);
  PUT(&l, &t, "\x00\x01\b\t\x0b\f\r\x1f \"\\<>&'/\x7f\n");
  PUT(&l, &t, "\xe2\x80\xa8 \xe2\x80\xa9 \xe2\x80\xaa \xc3\xa9 \xf0\x9f\x98\x80\n");
  PUT(&l, &t, "\xed\xa0\x80|\xc0\x80|\xf5\x80\x80\x80|\xe2\x82|\xff|\x80|\xf4\x90\x80\x80|\xe0\x9f\xbf\n");
  assert(strcmp(lines(),
                "\\u0000\\u0001\\u0008\\u0009\\u000b\\u000c\\r\\u001f \\\"\\\\\\u003c\\u003e\\u0026'/\x7f\\n|stdout\n"
                "\\u2028 \\u2029 \xe2\x80\xaa \xc3\xa9 \xf0\x9f\x98\x80\\n|stdout\n"
                "\\ufffd\\ufffd\\ufffd|\\ufffd\\ufffd|\\ufffd\\ufffd\\ufffd\\ufffd|\\ufffd\\ufffd|\\ufffd|\\ufffd|"
                "\\ufffd\\ufffd\\ufffd\\ufffd|\\ufffd\\ufffd\\ufffd\\n|stdout\n") == 0);
  log_close(&l);
}

// Every position of a special byte within and across the words that the fast path takes.
static void finds_special_bytes_at_every_offset(void) {
  static const char *const specials[] = {"\"", "\\", "<", ">", "&", "\x01", "\xff", "\x1f"};
  static const char *const escaped[] = {"\\\"", "\\\\", "\\u003c", "\\u003e", "\\u0026", "\\u0001", "\\ufffd", "\\u001f"};
  struct log l;
  for (int i = 0; i < 8; i++)
    for (int before = 0; before < 18; before++) {
      struct tail t = {0};
      char text[64], want[96];
      fresh(&l, 0, 1);
      int n = snprintf(text, sizeof text, "%.*s%s%s\n", before, "abcdefghijklmnopqrs", specials[i], "0123456789;=?z");
      snprintf(want, sizeof want, "%.*s%s%s\\n|stdout\n", before, "abcdefghijklmnopqrs", escaped[i], "0123456789;=?z");
      log_write(&l, &t, 1, text, (size_t)n);
      assert(strcmp(lines(), want) == 0);
      log_close(&l);
    }
}

static void joins_lines_from_pieces(void) {
  struct log l;
  struct tail out = {0}, err = {0};
  fresh(&l, 0, 1);
  PUT(&l, &out, "a");
  PUT(&l, &out, "b");
  log_write(&l, &err, 2, "E\nF", 3);
  assert(l.size == (int64_t)slurp(path) && out.size == 2);
  PUT(&l, &out, "c\nd\n\ne");
  assert(strcmp(lines(), "E\\n|stderr\nabc\\n|stdout\nd\\n|stdout\n\\n|stdout\n") == 0);
  log_finish(&l, &out, 1);
  log_finish(&l, &err, 2);
  assert(strstr(lines(), "e|stdout\nF|stderr\n") != NULL);
  assert(out.size == 0 && out.bytes == NULL);
  log_close(&l);
}

static void splits_at_16_kib(void) {
  static char text[40000];
  struct log l;
  struct tail t = {0};
  fresh(&l, 0, 1);
  memset(text, 'x', sizeof text);
  text[39999] = '\n';
  for (size_t at = 0; at < sizeof text; at += 7777)
    log_write(&l, &t, 1, text + at, sizeof text - at < 7777 ? sizeof text - at : 7777);
  text[16384] = '\n'; // exactly 16 KiB, then the newline: dockerd writes an empty line
  log_write(&l, &t, 1, text, 16385);
  const char *got = lines();
  assert(strlen(got) == 39999 + 16384 + 2 + 2 + 5 * 8);
  assert(strspn(got, "x") == 16384 && strncmp(got + 16384, "|stdout\n", 8) == 0);
  assert(strcmp(got + strlen(got) - 18, "|stdout\n\\n|stdout\n") == 0);
  log_close(&l);
}

static void worst_case_fits(void) {
  static char text[3 * LINE_MAX_BYTES];
  struct log l;
  struct tail t = {0};
  fresh(&l, 0, 1);
  memset(text, 1, sizeof text);
  for (int i = 0; i < 4; i++)
    log_write(&l, &t, 1, text, sizeof text);
  // The times' length varies by what zeros they end with.
  assert(t.size == 0 && l.size > 12 * (6 * LINE_MAX_BYTES + 50) && l.size < 12 * (6 * LINE_MAX_BYTES + 80));
  log_close(&l);
}

static size_t file_size(const char *suffix) {
  char name[96];
  struct stat st;
  snprintf(name, sizeof name, "%s%s", path, suffix);
  return stat(name, &st) == 0 ? (size_t)st.st_size : 0;
}

static void rotates_as_docker_does(void) {
  struct log l;
  struct tail t = {0};
  fresh(&l, 200, 3);
  for (int i = 0; i < 20; i++)
    PUT(&l, &t, "0123456789\n");
  // A file is closed when it has reached the limit, so it is at most one line longer.
  assert(l.generation == 6 && l.size == (int64_t)file_size(""));
  assert(file_size(".1") >= 200 && file_size(".1") < 300 && file_size(".2") >= 200 && file_size(".3") == 0);
  log_close(&l);
}

static void one_file_is_cut(void) {
  struct log l;
  struct tail t = {0};
  fresh(&l, 200, 1);
  for (int i = 0; i < 20; i++)
    PUT(&l, &t, "0123456789\n");
  assert(file_size("") > 0 && file_size("") < 300 && file_size(".1") == 0);
  log_close(&l);
}

static void goes_on_after_an_interrupted_rotation(void) {
  char from[96], to[96];
  struct log l;
  struct tail t = {0};
  fresh(&l, 200, 3);
  for (int i = 0; i < 7; i++)
    PUT(&l, &t, "0123456789\n");
  log_close(&l);
  snprintf(from, sizeof from, "%s.1", path);
  snprintf(to, sizeof to, "%s.2", path);
  rename(from, to); // died here: path.1 is missing
  assert(log_open(&l, path, 200, 3));
  for (int i = 0; i < 3; i++)
    PUT(&l, &t, "0123456789\n");
  assert(file_size("") > 0 && file_size(".1") >= 200 && file_size(".2") >= 200);
  log_close(&l);
  rename(path, from); // died here: path is missing
  assert(log_open(&l, path, 200, 3) && l.size == 0);
  PUT(&l, &t, "after\n");
  assert(file_size("") > 0 && file_size(".1") > 0);
  log_close(&l);
}

// A directory in the new file's place: no file can be made, so nothing may move and no line may be lost.
static void keeps_everything_when_rotation_fails(void) {
  char name[96];
  struct log l;
  struct tail t = {0};
  fresh(&l, 200, 3);
  snprintf(name, sizeof name, "%s.new", path);
  assert(mkdir(name, 0700) == 0);
  for (int i = 0; i < 20; i++)
    PUT(&l, &t, "0123456789\n");
  assert(l.generation == 0 && file_size(".1") == 0 && strlen(lines()) == 20 * 20);
  assert(rmdir(name) == 0);
  for (int i = 0; i < 4; i++)
    PUT(&l, &t, "0123456789\n");
  assert(l.generation == 1 && file_size(".1") > 1000 && file_size("") == (size_t)l.size);
  log_close(&l);
}

static void repairs_half_a_line(void) {
  struct log l;
  struct tail t = {0};
  fresh(&l, 0, 1);
  PUT(&l, &t, "whole\n");
  int64_t whole = l.size;
  assert(write(l.fd, "{\"log\":\"hal", 11) == 11);
  log_close(&l);
  assert(log_open(&l, path, 0, 1) && l.size == whole);
  PUT(&l, &t, "next\n");
  assert(strcmp(lines(), "whole\\n|stdout\nnext\\n|stdout\n") == 0);
  log_close(&l);
}

// RLIMIT_FSIZE makes write(2) fail half-way as a full disk does.
static void survives_a_full_disk(void) {
  struct log l;
  struct tail t = {0};
  struct rlimit old, small;
  fresh(&l, 0, 1);
  PUT(&l, &t, "before\n");
  int64_t before = l.size;
  getrlimit(RLIMIT_FSIZE, &old);
  small = old;
  small.rlim_cur = (rlim_t)before + 100;
  signal(SIGXFSZ, SIG_IGN);
  setrlimit(RLIMIT_FSIZE, &small);
  PUT(&l, &t, "one that fits\ntwo that does not\nthree\n");
  assert(l.dropped == 1 && l.size > before && l.size == (int64_t)file_size(""));
  PUT(&l, &t, "lost\n");
  assert(l.dropped == 2);
  setrlimit(RLIMIT_FSIZE, &old);
  PUT(&l, &t, "after\n");
  assert(strcmp(lines(), "before\\n|stdout\none that fits\\n|stdout\nafter\\n|stdout\n") == 0);
  log_close(&l);
}

int main(void) {
  assert(mkdtemp(dir) != NULL);
  snprintf(path, sizeof path, "%s/json.log", dir);
  escapes_as_docker_does();
  finds_special_bytes_at_every_offset();
  joins_lines_from_pieces();
  splits_at_16_kib();
  worst_case_fits();
  rotates_as_docker_does();
  one_file_is_cut();
  goes_on_after_an_interrupted_rotation();
  keeps_everything_when_rotation_fails();
  repairs_half_a_line();
  survives_a_full_disk();
  struct log l;
  fresh(&l, 0, 1);
  log_close(&l);
  unlink(path);
  return rmdir(dir);
}
