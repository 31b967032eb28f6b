// Unit tests of the protocol frames.

#include <assert.h>
#include <string.h>

#include "proto.h"

#define BODY(text) (text), sizeof(text) - 1

static void accepts_fields_and_finds_them(void) {
  struct fields f;
  size_t cursor = 0;
  assert(proto_check(BODY("op=run\0lower=/a\0lower=/b=c\0empty=\0"), &f));
  assert(strcmp(field_get(&f, "op"), "run") == 0);
  assert(strcmp(field_next(&f, "lower", &cursor), "/a") == 0);
  assert(strcmp(field_next(&f, "lower", &cursor), "/b=c") == 0);
  assert(field_next(&f, "lower", &cursor) == NULL);
  assert(strcmp(field_get(&f, "empty"), "") == 0);
  assert(field_get(&f, "low") == NULL);
}

static void refuses_malformed_bodies(void) {
  struct fields f;
  assert(!proto_check(BODY(""), &f));
  assert(!proto_check(BODY("op=run"), &f));
  assert(!proto_check(BODY("=run\0"), &f));
  assert(!proto_check(BODY("op\0"), &f));
  assert(!proto_check(BODY("\0"), &f));
  assert(!proto_check(BODY("op=run\0\0"), &f));
  assert(!proto_check(BODY("o p=run\0"), &f));
  char many[(FIELDS_MAX + 1) * 3];
  for (size_t i = 0; i < sizeof many; i += 3)
    memcpy(many + i, "a=", 3);
  assert(!proto_check(many, sizeof many, &f));
  assert(proto_check(many, sizeof many - 3, &f));
}

static void reads_numbers_within_bounds(void) {
  struct fields f;
  int64_t n;
  assert(proto_check(BODY("a=65535\0b=\0c=-1\0d=9999999999999999999\0e=1x\0"), &f));
  assert(field_number(&f, "a", 0, 65535, 7, &n) && n == 65535);
  assert(!field_number(&f, "a", 0, 65534, 7, &n));
  assert(field_number(&f, "none", 0, 1, 7, &n) && n == 7);
  assert(!field_number(&f, "b", 0, 1, 7, &n));
  assert(!field_number(&f, "c", 0, 1, 7, &n));
  assert(!field_number(&f, "d", 0, INT64_MAX, 7, &n));
  assert(!field_number(&f, "e", 0, 9, 7, &n));
}

static void renders_what_it_parses(void) {
  uint8_t memory[64];
  struct message m;
  struct fields f;
  message_begin(&m, memory, sizeof memory);
  message_add(&m, "re", "1");
  message_add_number(&m, "n", -42);
  message_add_number(&m, "z", 0);
  message_add_text(&m, "t", "a\0b\n", 4);
  message_end(&m);
  assert(proto_length(m.bytes) == m.size - FRAME_HEADER && !m.overflow);
  assert(proto_check(m.bytes + FRAME_HEADER, m.size - FRAME_HEADER, &f));
  assert(strcmp(field_get(&f, "n"), "-42") == 0 && strcmp(field_get(&f, "z"), "0") == 0);
  assert(strcmp(field_get(&f, "t"), "a?b\n") == 0);
}

static void stays_well_formed_when_full(void) {
  uint8_t memory[16];
  struct message m;
  struct fields f;
  message_begin(&m, memory, sizeof memory);
  message_add(&m, "re", "1");
  message_add(&m, "long", "does not fit");
  message_end(&m);
  assert(m.overflow && proto_check(m.bytes + FRAME_HEADER, m.size - FRAME_HEADER, &f));
  assert(field_get(&f, "long") == NULL);
}

int main(void) {
  accepts_fields_and_finds_them();
  refuses_malformed_bodies();
  reads_numbers_within_bounds();
  renders_what_it_parses();
  stays_well_formed_when_full();
  return 0;
}
