// Building of netlink messages and the plain request with an acknowledgement.

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include <linux/netlink.h>

#include "netlink.h"

enum { ALIGN = 4 };

static size_t aligned(size_t size) { return (size + ALIGN - 1) & ~(size_t)(ALIGN - 1); }

void netlink_open_buffer(struct netlink_buffer *b, void *memory, size_t capacity) {
  *b = (struct netlink_buffer){.bytes = memory, .capacity = capacity};
}

/** Room for so many bytes, padded with zeros, or NULL. */
static uint8_t *take(struct netlink_buffer *b, size_t size) {
  size_t all = aligned(size);
  if (b->overflow || all > b->capacity - b->size) {
    b->overflow = true;
    return NULL;
  }
  uint8_t *at = b->bytes + b->size;
  memset(at, 0, all);
  b->size += all;
  return at;
}

static void close_message(struct netlink_buffer *b) {
  uint32_t size = (uint32_t)(b->size - b->message);
  memcpy(b->bytes + b->message, &size, sizeof size);
}

void netlink_begin(struct netlink_buffer *b, uint16_t type, uint16_t flags, uint32_t sequence, const void *fixed, size_t size) {
  size_t start = b->size;
  uint8_t *at = take(b, sizeof(struct nlmsghdr) + size);
  if (at == NULL)
    return;
  struct nlmsghdr header = {.nlmsg_type = type, .nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags), .nlmsg_seq = sequence};
  memcpy(at, &header, sizeof header);
  memcpy(at + sizeof header, fixed, size);
  b->message = start;
  close_message(b);
}

void netlink_add(struct netlink_buffer *b, uint16_t type, const void *value, size_t size) {
  struct nlattr head = {.nla_type = type, .nla_len = (uint16_t)(NLA_HDRLEN + size)};
  uint8_t *at = size > UINT16_MAX - NLA_HDRLEN ? NULL : take(b, NLA_HDRLEN + size);
  if (at == NULL) {
    b->overflow = true;
    return;
  }
  memcpy(at, &head, sizeof head);
  if (size > 0)
    memcpy(at + NLA_HDRLEN, value, size);
  close_message(b);
}

void netlink_add_text(struct netlink_buffer *b, uint16_t type, const char *text) {
  netlink_add(b, type, text, strlen(text) + 1);
}

void netlink_add_u8(struct netlink_buffer *b, uint16_t type, uint8_t value) { netlink_add(b, type, &value, sizeof value); }

void netlink_add_u16(struct netlink_buffer *b, uint16_t type, uint16_t value) { netlink_add(b, type, &value, sizeof value); }

void netlink_add_u32(struct netlink_buffer *b, uint16_t type, uint32_t value) { netlink_add(b, type, &value, sizeof value); }

void netlink_add_be32(struct netlink_buffer *b, uint16_t type, uint32_t value) {
  netlink_add_u32(b, type, htonl(value));
}

size_t netlink_nest(struct netlink_buffer *b, uint16_t type) {
  size_t nest = b->size;
  netlink_add(b, type | NLA_F_NESTED, NULL, 0);
  return nest;
}

void netlink_end(struct netlink_buffer *b, size_t nest) {
  size_t size = b->size - nest;
  if (b->overflow || size > UINT16_MAX) {
    b->overflow = true;
    return;
  }
  uint16_t length = (uint16_t)size;
  memcpy(b->bytes + nest, &length, sizeof length);
}

int netlink_socket(int protocol, int flags) {
  int one = 1, fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | flags, protocol);
  if (fd >= 0)
    setsockopt(fd, SOL_NETLINK, NETLINK_CAP_ACK, &one, sizeof one);
  return fd;
}

int netlink_ask(int fd, struct netlink_buffer *b) {
  struct {
    struct nlmsghdr header;
    struct nlmsgerr error;
    char rest[1024];
  } reply;
  struct nlmsghdr *header = (struct nlmsghdr *)(b->bytes + b->message);
  if (b->overflow)
    return EMSGSIZE;
  header->nlmsg_flags |= NLM_F_ACK;
  if (send(fd, b->bytes, b->size, 0) < 0)
    return errno;
  for (;;) {
    ssize_t n = recv(fd, &reply, sizeof reply, 0);
    if (n < 0 && errno == EINTR)
      continue;
    if (n < (ssize_t)NLMSG_LENGTH(sizeof reply.error))
      return n < 0 ? errno : EPROTO;
    if (reply.header.nlmsg_type == NLMSG_ERROR)
      return -reply.error.error;
  }
}
