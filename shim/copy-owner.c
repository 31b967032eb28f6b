// Owners and modes. Names are looked up in the passwd and group of the tree that is written to. A user alone brings its group
// (by name) or the group of its number. Modes as chmod(1) takes them, without a umask.

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "copy.h"

enum { FILE_LIMIT = 16 << 20 };

static bool parse_id(const char *text, size_t size, uint32_t *id) {
  uint64_t value = 0;
  for (size_t i = 0; i < size; i++) {
    if (text[i] < '0' || text[i] > '9') return false;
    value = 10 * value + (uint64_t)(text[i] - '0');
    if (value > INT32_MAX) return false;
  }
  *id = (uint32_t)value;
  return size > 0;
}

// The line of passwd or group that begins with `name`, fields from the third on; NULL: there is none.
static char *find_line(int root, const char *file, const char *name, size_t size) {
  char path[PATH_LIMIT];
  resolve_path(root, file, true, path);
  struct stat st;
  if (stat_resolved(root, path, &st) < 0 || !S_ISREG(st.st_mode)) return NULL;
  int fd = open_resolved(root, path, O_RDONLY | O_NONBLOCK);
  if (fd < 0) return NULL;
  FILE *lines = fdopen(fd, "r");
  static char *line;
  static size_t room;
  if (lines == NULL) fail(EXIT_SYSTEM, "out of memory");
  char *fields = NULL;
  for (ssize_t n, total = 0; fields == NULL && total < FILE_LIMIT && (n = getline(&line, &room, lines)) >= 0; total += n) {
    if (strncmp(line, name, size) != 0 || line[size] != ':') continue;
    char *password = strchr(line + size + 1, ':');
    if (password != NULL) fields = password + 1;
  }
  fclose(lines);
  return fields;
}

static size_t field_size(const char *field) { return strcspn(field, ":\n"); }

static void look_up(int root, const char *chown, struct ownership *to) {
  size_t user = strcspn(chown, ":");
  const char *group = chown[user] == ':' ? chown + user + 1 : NULL;
  if (!parse_id(chown, user, &to->uid)) {
    if (root < 0) fail(EXIT_BAD_ARCHIVE, "invalid user index: -1");
    const char *fields = find_line(root, "etc/passwd", chown, user);
    size_t n = fields == NULL ? 0 : field_size(fields);
    if (fields == NULL || fields[n] != ':' || !parse_id(fields, n, &to->uid) || !parse_id(fields + n + 1, field_size(fields + n + 1), &to->gid))
      fail(EXIT_BAD_ARCHIVE, "unable to find user %.*s: no matching entries in passwd file", (int)user, chown);
  } else {
    to->gid = to->uid;
  }
  if (group == NULL || *group == 0 || parse_id(group, strlen(group), &to->gid)) return;
  if (root < 0) fail(EXIT_BAD_ARCHIVE, "invalid group index: -1");
  const char *fields = find_line(root, "etc/group", group, strlen(group));
  if (fields == NULL || !parse_id(fields, field_size(fields), &to->gid))
    fail(EXIT_BAD_ARCHIVE, "unable to find group %s: no matching entries in group file", group);
}

void next_ownership(int root, struct ownership *to) {
  const char *chown = next_word();
  *to = (struct ownership){.chown = *chown != 0, .chmod = next_word()};
  if (to->chown) look_up(root, chown, to);
  apply_chmod(to->chmod, S_IFREG);
}

_Noreturn static void bad_mode(const char *chmod) { fail(EXIT_BAD_ARCHIVE, "invalid chmod parameter: '%s'. it should be octal string and between 0 and 07777", chmod); }

static mode_t permissions(const char *letters, size_t size, mode_t mode, mode_t who, bool *special) {
  mode_t bits = 0;
  for (size_t i = 0; i < size; i++) {
    switch (letters[i]) {
      case 'r': bits |= 0444; break;
      case 'w': bits |= 0222; break;
      case 'x': bits |= 0111; break;
      case 'X': bits |= S_ISDIR(mode) || (mode & 0111) != 0 ? 0111 : 0; break;
      case 's': bits |= (who & 0700 ? 04000u : 0) | (who & 0070 ? 02000u : 0), *special = true; break;
      case 't': bits |= 01000, *special = true; break;
      case 'u': bits |= (mode >> 6 & 7) * 0111; break;
      case 'g': bits |= (mode >> 3 & 7) * 0111; break;
      case 'o': bits |= (mode & 7) * 0111; break;
    }
  }
  return bits & (who | 07000);
}

// One clause: [ugoa]*([+-=][rwxXstugo]*)+
static mode_t apply_clause(const char *chmod, const char *clause, const char *end, mode_t mode) {
  mode_t who = 0;
  for (; clause < end && strchr("ugoa", *clause) != NULL; clause++)
    who |= *clause == 'u' ? 0700u : *clause == 'g' ? 0070u : *clause == 'o' ? 0007u : 0777u;
  if (who == 0) who = 0777;
  if (clause == end) bad_mode(chmod);
  while (clause < end) {
    char operation = *clause++;
    if (strchr("+-=", operation) == NULL) bad_mode(chmod);
    const char *letters = clause;
    while (clause < end && strchr("rwxXstugo", *clause) != NULL) clause++;
    bool special = false;
    mode_t bits = permissions(letters, (size_t)(clause - letters), mode, who, &special);
    // A directory keeps its special bits unless they are spoken of, as GNU has it; files lose them with "=".
    if (operation == '+') mode |= bits;
    else if (operation == '-') mode &= ~bits;
    else mode = (mode & ~(who | (S_ISDIR(mode) ? 0 : (who & 0700 ? 04000u : 0) | (who & 0070 ? 02000u : 0)))) | bits;
  }
  return mode;
}

mode_t apply_chmod(const char *chmod, mode_t mode) {
  if (*chmod == 0) return mode;
  if (*chmod >= '0' && *chmod <= '9') {
    char *end;
    unsigned long bits = strtoul(chmod, &end, 8);
    if (*end != 0 || bits > 07777) bad_mode(chmod);
    return (mode & S_IFMT) | (mode_t)bits;
  }
  for (const char *clause = chmod;; clause++) {
    const char *end = clause + strcspn(clause, ",");
    mode = apply_clause(chmod, clause, end, mode);
    clause = end;
    if (*clause == 0) return mode;
  }
}
