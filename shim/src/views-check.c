// Views of a spawn request: other trees and files that a build's step or a container sees in its root. Pure.
// Source: docs/shim-protocol.md, "Views".

#include <string.h>

#include "shim.h"

static bool is_plain_path(const char *path) {
  return path != NULL && path[0] == '/' && strlen(path) < PATH_SIZE - 64;
}

// Any path inside of a tree: where it leads is decided when it is resolved, confined.
static bool is_inner_path(const char *path) {
  return path == NULL || (path[0] != '\0' && strlen(path) < PATH_SIZE / 2);
}

static bool is_name(const char *name) {
  size_t size = strlen(name);
  return size > 0 && size <= 4 && strspn(name, "0123456789") == size;
}

static const char *parse(const struct fields *group, struct view *out) {
  const char *lower, *name = field_get(group, "view");
  size_t cursor = 0;
  *out = (struct view){
      .group = *group,
      .name = name,
      .path = field_get(group, "view.path"),
      .upper = field_get(group, "view.upper"),
      .work = field_get(group, "view.work"),
      .source = field_get(group, "view.source"),
      .target = field_get(group, "view.target"),
      .readonly = field_flag(group, "view.ro"),
      .socket = field_flag(group, "view.socket"),
  };
  while ((lower = field_next(group, "view.lower", &cursor)) != NULL) {
    if (!is_plain_path(lower) || ++out->layers >= LOWER_MAX)
      return "lower";
  }
  out->tmpfs = field_get(group, "view.tmpfs") != NULL;
  if (!is_name(name))
    return "name";
  if ((out->path != NULL) + (out->layers > 0) + out->tmpfs != 1)
    return "kind";
  if (out->path != NULL && !is_plain_path(out->path))
    return "path";
  if ((out->upper == NULL) != (out->work == NULL) || (out->upper != NULL && out->layers == 0))
    return "upper or work";
  if (out->upper != NULL && (!is_plain_path(out->upper) || !is_plain_path(out->work)))
    return "upper or work";
  if (!is_inner_path(out->source) || !is_inner_path(out->target))
    return "source or target";
  if (!field_number(group, "view.tmpfs", 0, INT64_MAX, 0, &out->tmpfs_bytes))
    return "tmpfs";
  return NULL;
}

bool view_next(const struct fields *f, size_t *cursor, struct view *out) {
  struct fields group;
  return field_group(f, "view", cursor, &group) && parse(&group, out) == NULL;
}

bool views_check(const struct fields *f, bool step, char reason[REASON_SIZE]) {
  struct fields group;
  struct view view;
  size_t cursor = 0;
  for (int count = 0; field_group(f, "view", &cursor, &group); count++) {
    const char *wrong = count == VIEWS_MAX ? "number" : parse(&group, &view);
    if (wrong == NULL && !step && view.target != NULL)
      wrong = "target";
    if (wrong == NULL)
      continue;
    fail(reason, "invalid %s of a view", wrong);
    return false;
  }
  return true;
}
