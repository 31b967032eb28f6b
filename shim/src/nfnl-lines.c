// The line form of an nft element: `family set keyhex[ datahex]`. Trusts nothing: it is fuzzed by test/fuzz.c.

#include <string.h>

#include <linux/netfilter.h>

#include "nfnl.h"

static int digit(char c) {
  return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool is_name_char(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-' || c == '.';
}

/** Bytes of a hexadecimal word; 0 where it is none. */
static size_t parse_hex(const char **at, uint8_t out[ELEMENT_BYTES_MAX]) {
  const char *p = *at;
  size_t size = 0;
  while (digit(p[0]) >= 0) {
    if (digit(p[1]) < 0 || size == ELEMENT_BYTES_MAX)
      return 0;
    out[size++] = (uint8_t)(digit(p[0]) << 4 | digit(p[1]));
    p += 2;
  }
  *at = p;
  return size;
}

size_t element_parse(const char *line, struct element *out) {
  const char *at = line;
  size_t name = 0;
  if (strncmp(at, "inet ", 5) == 0) {
    out->family = NFPROTO_INET;
    at += 5;
  } else if (strncmp(at, "bridge ", 7) == 0) {
    out->family = NFPROTO_BRIDGE;
    at += 7;
  } else {
    return 0;
  }
  while (is_name_char(at[name]) && name < SET_NAME_MAX)
    name++;
  if (name == 0 || at[name] != ' ')
    return 0;
  memcpy(out->set, at, name);
  out->set[name] = '\0';
  at += name + 1;
  out->key_size = parse_hex(&at, out->key);
  out->data_size = 0;
  if (out->key_size == 0)
    return 0;
  if (*at == ' ') {
    at++;
    if ((out->data_size = parse_hex(&at, out->data)) == 0)
      return 0;
  }
  if (*at != '\n' && *at != '\0')
    return 0;
  return (size_t)(at - line) + (*at == '\n');
}
