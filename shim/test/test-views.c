// Unit tests of the views in a spawn request: what is accepted of a step and of a container.

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shim.h"

#define CHECK(text, step) wrong_of(text, sizeof(text) - 1, step)

static char reason[REASON_SIZE];

// "" where the request is right.
static const char *wrong_of(const char *text, size_t size, bool step) {
  struct fields f;
  assert(proto_check(text, size, &f));
  reason[0] = '\0';
  assert(views_check(&f, step, reason) == (reason[0] == '\0'));
  return reason;
}

static void only_steps_have_targets(void) {
  assert(strcmp(CHECK("view=0\0view.path=/p\0view.target=/t\0", true), "") == 0);
  assert(strcmp(CHECK("view=0\0view.path=/p\0view.target=/t\0", false), "invalid target of a view") == 0);
  assert(strcmp(CHECK("view=0\0view.path=/p\0view=1\0view.path=/p\0view.target=/t\0", false), "invalid target of a view") == 0);
}

static void one_layer_is_enough(void) {
  struct fields f;
  struct view v;
  size_t cursor = 0;
  static const char text[] = "view=7\0view.lower=/l\0view.source=a/../b\0view.ro=1\0";
  assert(strcmp(CHECK("view=0\0view.lower=/l\0", false), "") == 0);
  assert(proto_check(text, sizeof text - 1, &f) && view_next(&f, &cursor, &v));
  assert(v.layers == 1 && v.readonly && v.path == NULL && v.target == NULL && strcmp(v.source, "a/../b") == 0);
  assert(!view_next(&f, &cursor, &v));
}

static void refuses_what_is_not_one_tree(void) {
  assert(strcmp(CHECK("view=0\0", false), "invalid kind of a view") == 0);
  assert(strcmp(CHECK("view=0\0view.path=/p\0view.lower=/l\0", false), "invalid kind of a view") == 0);
  assert(strcmp(CHECK("view=0\0view.path=p\0", false), "invalid path of a view") == 0);
  assert(strcmp(CHECK("view=0\0view.lower=l\0", false), "invalid lower of a view") == 0);
  assert(strcmp(CHECK("view=0\0view.path=/p\0view.upper=/u\0view.work=/w\0", false), "invalid upper or work of a view") == 0);
  assert(strcmp(CHECK("view=0\0view.path=/p\0view.source=\0", false), "invalid source or target of a view") == 0);
  assert(strcmp(CHECK("view=../0\0view.path=/p\0", false), "invalid name of a view") == 0);
  assert(strcmp(CHECK("view=00000\0view.path=/p\0", false), "invalid name of a view") == 0);
  assert(strcmp(CHECK("view=none\0view.path=/p\0", false), "invalid name of a view") == 0);
}

static void counts_views(void) {
  char text[(VIEWS_MAX + 1) * 32];
  size_t size = 0, enough = 0;
  for (int i = 0; i <= VIEWS_MAX; i++) {
    enough = size;
    size += (size_t)sprintf(text + size, "view=%d%cview.path=/p", i, 0) + 1;
  }
  assert(strcmp(wrong_of(text, enough, false), "") == 0);
  assert(strcmp(wrong_of(text, size, false), "invalid number of a view") == 0);
}

int main(void) {
  only_steps_have_targets();
  one_layer_is_enough();
  refuses_what_is_not_one_tree();
  counts_views();
  return 0;
}
