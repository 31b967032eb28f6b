// Lists of lines, compared.

#include <stdlib.h>
#include <string.h>

#include "net.h"

/** A line with its length; the text is not the list's own. */
struct line {
  const char *text;
  size_t size;
};

static int compare(const void *a, const void *b) {
  const struct line *x = a, *y = b;
  int order = memcmp(x->text, y->text, x->size < y->size ? x->size : y->size);
  return order != 0 ? order : x->size < y->size ? -1 : x->size > y->size;
}

/** Its lines in order; NULL without memory. */
static struct line *sorted(const char *lines, size_t *count) {
  size_t n = 0;
  for (const char *at = lines; *at != '\0'; n++)
    at += strcspn(at, "\n") + (at[strcspn(at, "\n")] == '\n');
  struct line *out = malloc((n + 1) * sizeof *out);
  if (out == NULL)
    return NULL;
  *count = 0;
  for (const char *at = lines; *at != '\0';) {
    size_t size = strcspn(at, "\n");
    if (size > 0)
      out[(*count)++] = (struct line){at, size};
    at += size + (at[size] == '\n');
  }
  qsort(out, *count, sizeof *out, compare);
  return out;
}

char *lines_without(const char *lines, const char *other) {
  size_t count = 0, other_count = 0, at = 0, size = 0;
  struct line *mine = sorted(lines, &count), *theirs = sorted(other, &other_count);
  char *out = mine == NULL || theirs == NULL ? NULL : malloc(strlen(lines) + 2);
  for (size_t i = 0; out != NULL && i < count; i++) {
    if (i > 0 && compare(&mine[i], &mine[i - 1]) == 0)
      continue;
    while (at < other_count && compare(&theirs[at], &mine[i]) < 0)
      at++;
    if (at < other_count && compare(&theirs[at], &mine[i]) == 0)
      continue;
    memcpy(out + size, mine[i].text, mine[i].size);
    size += mine[i].size;
    out[size++] = '\n';
  }
  if (out != NULL)
    out[size] = '\0';
  free(mine);
  free(theirs);
  return out;
}
