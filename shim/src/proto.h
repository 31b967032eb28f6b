// Frames of the spawner's and the shim's protocol: u32 big-endian length, then NUL-terminated key=value strings.
// Nothing is allocated; fields point into the frame. Source: docs/shim-protocol.md.
#ifndef GANTRY_PROTO_H
#define GANTRY_PROTO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
  FRAME_HEADER = 4,
  FRAME_MAX_CONTROL = 8192,
  FRAME_MAX_SPAWN = 8 << 20, // and of op=network: a container may publish thousands of ports
  FIELDS_MAX = 8192, // a step sees the layers of several images
};

/** The body of a frame that proto_check accepted. */
struct fields {
  const char *base;
  size_t size;
};

/** Reads exactly `size` bytes; false at the end of the stream, or when it fails. */
bool read_all(int fd, void *memory, size_t size);

uint32_t proto_length(const uint8_t header[FRAME_HEADER]);

/** Accepts a body: 1 to FIELDS_MAX strings, each `key=value`, keys of [a-zA-Z0-9.-], the last byte NUL. */
bool proto_check(const void *body, size_t size, struct fields *out);

/** The value of the first `key`, or NULL. */
const char *field_get(const struct fields *f, const char *key);

/** The value of the next `key` after `*cursor` (start with 0), or NULL. */
const char *field_next(const struct fields *f, const char *key, size_t *cursor);

/** The fields from the next `key` up to the first that is not `key.…`; a group begins with its `key`. */
bool field_group(const struct fields *f, const char *key, size_t *cursor, struct fields *group);

/** A decimal number within [min, max]; `fallback` when the key is absent. False when it is malformed. */
bool field_number(const struct fields *f, const char *key, int64_t min, int64_t max, int64_t fallback, int64_t *out);

/** True when the value is exactly "1". */
bool field_flag(const struct fields *f, const char *key);

/** A frame being written into memory of the caller; too long a frame sets `overflow` and stays well-formed. */
struct message {
  uint8_t *bytes;
  size_t size;
  size_t capacity;
  bool overflow;
};

void message_begin(struct message *m, void *memory, size_t capacity);
/** Control characters but newline and tab in `value` are written as '?', so that any text can be carried. */
void message_add(struct message *m, const char *key, const char *value);
void message_add_text(struct message *m, const char *key, const char *value, size_t size);
void message_add_number(struct message *m, const char *key, int64_t value);
/** Writes the length; the frame is `bytes[0..size)`. */
void message_end(struct message *m);

#endif
