// nft over netlink, without a process: elements (nfnl.c), the name server's port (nfnl-dns.c), changed rules (nfnl-watch.c).
#ifndef GANTRY_NFNL_H
#define GANTRY_NFNL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "netlink.h"
#include "shim.h"

/**
 * Adds (or deletes) elements, in one transaction where it can: lines `family set keyhex[ datahex]` of the tables named gantry in the
 * current network namespace. A table or set that is missing, an element to delete that is not there: no error. One that is there with
 * other data is replaced.
 */
bool nfnl_elements(const char *lines, bool add, char reason[REASON_SIZE]);
/** In the current network namespace: what is sent to 127.0.0.11:53 goes to these ports of 127.0.0.11, and comes back from 53. Stateless. */
bool nfnl_redirect_dns(uint16_t udp_port, uint16_t tcp_port, char reason[REASON_SIZE]);
/** A netlink socket that hears of changed rules, or −1. */
int nfnl_watch(void);
/** Reads what has come. True: a table, chain, rule or set of ours was made or deleted, by whomever; elements do not count. */
bool nfnl_changed(int fd);

// ---- what its own files share ----

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
