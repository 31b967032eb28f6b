// Parses and renders protocol frames. The parser trusts nothing: it is fuzzed by test/fuzz.c.

#include "proto.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

uint32_t proto_length(const uint8_t h[FRAME_HEADER]) {
  return (uint32_t)h[0] << 24 | (uint32_t)h[1] << 16 | (uint32_t)h[2] << 8 | h[3];
}

static bool is_key_char(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '-';
}

bool proto_check(const void *body, size_t size, struct fields *out) {
  const char *base = body;
  size_t at = 0;
  unsigned count = 0;
  if (size == 0 || base[size - 1] != '\0')
    return false;
  while (at < size) {
    size_t key = at;
    while (is_key_char(base[at]))
      at++;
    if (at == key || base[at] != '=' || ++count > FIELDS_MAX)
      return false;
    at += strlen(base + at) + 1;
  }
  out->base = base;
  out->size = size;
  return true;
}

const char *field_next(const struct fields *f, const char *key, size_t *cursor) {
  size_t key_size = strlen(key);
  while (*cursor < f->size) {
    const char *entry = f->base + *cursor;
    *cursor += strlen(entry) + 1;
    if (strncmp(entry, key, key_size) == 0 && entry[key_size] == '=')
      return entry + key_size + 1;
  }
  return NULL;
}

const char *field_get(const struct fields *f, const char *key) {
  size_t cursor = 0;
  return field_next(f, key, &cursor);
}

bool field_number(const struct fields *f, const char *key, int64_t min, int64_t max, int64_t fallback, int64_t *out) {
  const char *text = field_get(f, key);
  int64_t value = 0;
  *out = fallback;
  if (text == NULL)
    return true;
  if (*text == '\0' || strlen(text) > 18)
    return false;
  for (; *text != '\0'; text++) {
    if (*text < '0' || *text > '9')
      return false;
    value = value * 10 + (*text - '0');
  }
  if (value < min || value > max)
    return false;
  *out = value;
  return true;
}

bool field_group(const struct fields *f, const char *key, size_t *cursor, struct fields *group) {
  size_t at = *cursor, size = strlen(key);
  while (at < f->size && (strncmp(f->base + at, key, size) != 0 || f->base[at + size] != '='))
    at += strlen(f->base + at) + 1;
  if (at >= f->size)
    return false;
  size_t end = at + strlen(f->base + at) + 1;
  while (end < f->size && strncmp(f->base + end, key, size) == 0 && f->base[end + size] == '.')
    end += strlen(f->base + end) + 1;
  *group = (struct fields){.base = f->base + at, .size = end - at};
  *cursor = end;
  return true;
}

bool field_flag(const struct fields *f, const char *key) {
  const char *text = field_get(f, key);
  return text != NULL && strcmp(text, "1") == 0;
}

void message_begin(struct message *m, void *memory, size_t capacity) {
  m->bytes = memory;
  m->capacity = capacity;
  m->size = FRAME_HEADER;
  m->overflow = false;
}

void message_add_text(struct message *m, const char *key, const char *value, size_t size) {
  size_t key_size = strlen(key);
  if (m->overflow || key_size + 2 > m->capacity - m->size || size > m->capacity - m->size - key_size - 2) {
    m->overflow = true;
    return;
  }
  memcpy(m->bytes + m->size, key, key_size);
  m->size += key_size;
  m->bytes[m->size++] = '=';
  for (size_t i = 0; i < size; i++) {
    uint8_t c = (uint8_t)value[i];
    m->bytes[m->size++] = (c < 0x20 && c != '\n' && c != '\t') ? '?' : c;
  }
  m->bytes[m->size++] = '\0';
}

void message_add(struct message *m, const char *key, const char *value) {
  message_add_text(m, key, value, strlen(value));
}

void message_add_number(struct message *m, const char *key, int64_t value) {
  char text[24];
  size_t at = sizeof text;
  uint64_t rest = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
  do
    text[--at] = (char)('0' + rest % 10);
  while ((rest /= 10) != 0);
  if (value < 0)
    text[--at] = '-';
  message_add_text(m, key, text + at, sizeof text - at);
}

void message_end(struct message *m) {
  uint32_t body = (uint32_t)(m->size - FRAME_HEADER);
  m->bytes[0] = (uint8_t)(body >> 24);
  m->bytes[1] = (uint8_t)(body >> 16);
  m->bytes[2] = (uint8_t)(body >> 8);
  m->bytes[3] = (uint8_t)body;
}

bool read_all(int fd, void *memory, size_t size) {
  char *at = memory;
  while (size > 0) {
    ssize_t n = read(fd, at, size);
    if (n < 0 && errno == EINTR)
      continue;
    if (n <= 0)
      return false;
    at += n;
    size -= (size_t)n;
  }
  return true;
}
