// What the files of nft over netlink share.
#ifndef GANTRY_NFNL_H
#define GANTRY_NFNL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "netlink.h"
#include "shim.h"

enum { ELEMENT_BYTES_MAX = 64, SET_NAME_MAX = 255 };

/** An element as a line has it. */
struct element {
  uint8_t family; // NFPROTO_INET or NFPROTO_BRIDGE
  char set[SET_NAME_MAX + 1];
  uint8_t key[ELEMENT_BYTES_MAX], data[ELEMENT_BYTES_MAX];
  size_t key_size, data_size; // data 0: of a set
};

/** Parses one line, which ends with a newline or the text: its length with the newline, 0 where it is malformed. */
size_t element_parse(const char *line, struct element *out);

/** Begins a message of nf_tables. @param type NFT_MSG_… */
void nfnl_begin(struct netlink_buffer *, uint8_t type, uint16_t flags, uint32_t sequence, uint8_t family);
/** @param end the batch's end instead of its beginning */
void nfnl_batch(struct netlink_buffer *, bool end);

#endif
