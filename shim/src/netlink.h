// Netlink messages built in memory of the caller, and one conversation at a time. rtnl-*.c and nfnl*.c are its users.
// Sources: netlink(7), Documentation/userspace-api/netlink/intro.rst.
#ifndef GANTRY_NETLINK_H
#define GANTRY_NETLINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** Messages one after the other. What does not fit sets `overflow`, and the memory stays well-formed up to there. */
struct netlink_buffer {
  uint8_t *bytes;
  size_t size, capacity;
  size_t message; // offset of the message that is being built
  bool overflow;
};

void netlink_open_buffer(struct netlink_buffer *, void *memory, size_t capacity);
/** Begins a message (after what is there); NLM_F_REQUEST is understood. `fixed` is the header of its family. */
void netlink_begin(struct netlink_buffer *, uint16_t type, uint16_t flags, uint32_t sequence, const void *fixed, size_t size);
void netlink_add(struct netlink_buffer *, uint16_t type, const void *value, size_t size);
/** With its NUL. */
void netlink_add_text(struct netlink_buffer *, uint16_t type, const char *text);
void netlink_add_u8(struct netlink_buffer *, uint16_t type, uint8_t value);
void netlink_add_u16(struct netlink_buffer *, uint16_t type, uint16_t value);
void netlink_add_u32(struct netlink_buffer *, uint16_t type, uint32_t value);
/** As nf_tables wants numbers. */
void netlink_add_be32(struct netlink_buffer *, uint16_t type, uint32_t value);
/** Returns what netlink_end wants. */
size_t netlink_nest(struct netlink_buffer *, uint16_t type);
void netlink_end(struct netlink_buffer *, size_t nest);

/** A socket of this protocol in the current network namespace, or −1. Errors come without the request that they are about. */
int netlink_socket(int protocol, int flags);
/** Sends the one message of the buffer and reads its acknowledgement: 0 or the kernel's errno. */
int netlink_ask(int fd, struct netlink_buffer *);

#endif
