// What the kernel's connection tracking remembers of datagrams. A client that goes on sending from one port is led for as long as it does
// to where it was led first: to a container's old address, which nobody has or somebody else, or to the host, when it began
// before the port was published. TCP needs none of this, its next connection is a new one. Entries are listed, filtered by the kernel from Linux 5.8, and deleted
// one by one, as flushing by filter came with Linux 6.8. Source: linux/netfilter/nfnetlink_conntrack.h.

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <linux/netlink.h>

#include "ports.h"

enum { ANSWER_LIMIT_S = 5, FILTER_IP_SRC = 1 << 0, FILTER_PROTO_NUM = 1 << 3 };

struct question {
  struct nlmsghdr header;
  struct nfgenmsg family;
  char body[512];
};

static struct nlattr *put(struct question *m, uint16_t type, const void *value, size_t size) {
  struct nlattr *a = (struct nlattr *)((char *)m + m->header.nlmsg_len);
  *a = (struct nlattr){.nla_len = (uint16_t)(NLA_HDRLEN + size), .nla_type = type};
  if (size > 0)
    memcpy((char *)a + NLA_HDRLEN, value, size);
  m->header.nlmsg_len += NLA_ALIGN(NLA_HDRLEN + size);
  return a;
}

static struct nlattr *open_nest(struct question *m, uint16_t type) { return put(m, type | NLA_F_NESTED, NULL, 0); }

static void close_nest(struct question *m, struct nlattr *nest) {
  nest->nla_len = (uint16_t)((char *)m + m->header.nlmsg_len - (char *)nest);
}

static void begin(struct question *m, uint16_t type, uint16_t flags, uint8_t family) {
  memset(m, 0, sizeof *m);
  m->header.nlmsg_len = NLMSG_LENGTH(sizeof m->family);
  m->header.nlmsg_type = (NFNL_SUBSYS_CTNETLINK << 8) | type;
  m->header.nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags);
  m->family.nfgen_family = family;
}

static const struct nlattr *find(const void *attributes, size_t size, uint16_t type) {
  for (const char *at = attributes; size >= NLA_HDRLEN;) {
    const struct nlattr *a = (const struct nlattr *)at;
    if (a->nla_len < NLA_HDRLEN || a->nla_len > size)
      return NULL;
    if ((a->nla_type & NLA_TYPE_MASK) == type)
      return a;
    size_t step = NLA_ALIGN(a->nla_len);
    if (step > size)
      return NULL;
    at += step;
    size -= step;
  }
  return NULL;
}

static const struct nlattr *inside(const struct nlattr *nest, uint16_t type) {
  return nest == NULL ? NULL : find((const char *)nest + NLA_HDRLEN, nest->nla_len - NLA_HDRLEN, type);
}

static bool is(const struct nlattr *a, const void *value, size_t size) {
  return a != NULL && a->nla_len == NLA_HDRLEN + size && memcmp((const char *)a + NLA_HDRLEN, value, size) == 0;
}

static int open_socket(void) {
  struct timeval limit = {.tv_sec = ANSWER_LIMIT_S};
  int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER);
  if (fd >= 0)
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  return fd;
}

static void delete_entry(int fd, uint8_t family, const struct nlattr *original, const struct nlattr *zone) {
  struct question m;
  char answer[1024];
  begin(&m, IPCTNL_MSG_CT_DELETE, NLM_F_ACK, family);
  if (original->nla_len > 256)
    return;
  put(&m, original->nla_type | NLA_F_NESTED, (const char *)original + NLA_HDRLEN, original->nla_len - NLA_HDRLEN);
  if (zone != NULL && zone->nla_len == NLA_HDRLEN + 2)
    put(&m, zone->nla_type, (const char *)zone + NLA_HDRLEN, 2);
  if (send(fd, &m, m.header.nlmsg_len, 0) > 0)
    while (recv(fd, answer, sizeof answer, 0) < 0 && errno == EINTR)
      continue;
}

/** What is to be forgotten: what comes back from `address`; or, where that is NULL, what goes to one of `ports` of the host itself. */
struct wanted {
  uint8_t family, protocol;
  const union address *address;
  const uint8_t *ports; // a bit for each
};

static const void *address_bytes(const union address *a, size_t *size) {
  *size = a->any.sa_family == AF_INET ? sizeof a->v4.sin_addr : sizeof a->v6.sin6_addr;
  return a->any.sa_family == AF_INET ? (const void *)&a->v4.sin_addr : &a->v6.sin6_addr;
}

static uint16_t source_type(uint8_t family) { return family == AF_INET ? CTA_IP_V4_SRC : CTA_IP_V6_SRC; }

static uint16_t target_type(uint8_t family) { return family == AF_INET ? CTA_IP_V4_DST : CTA_IP_V6_DST; }

static bool same(const struct nlattr *a, const struct nlattr *b) {
  return a != NULL && b != NULL && is(a, (const char *)b + NLA_HDRLEN, b->nla_len - NLA_HDRLEN);
}

static bool is_of_host(uint8_t family, const struct nlattr *address) {
  union address a;
  size_t size;
  memset(&a, 0, sizeof a);
  a.any.sa_family = family;
  void *bytes = (void *)(uintptr_t)address_bytes(&a, &size);
  int fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (address->nla_len == NLA_HDRLEN + size)
    memcpy(bytes, (const char *)address + NLA_HDRLEN, size);
  bool is_ours = fd >= 0 && bind(fd, &a.any, address_size(&a)) == 0;
  if (fd >= 0)
    close(fd);
  return is_ours;
}

static bool matches(const struct wanted *w, const struct nlattr *original, const struct nlattr *reply) {
  const struct nlattr *there = inside(original, CTA_TUPLE_IP), *back = inside(reply, CTA_TUPLE_IP);
  const struct nlattr *proto = inside(original, CTA_TUPLE_PROTO), *port = inside(proto, CTA_PROTO_DST_PORT);
  uint16_t source = source_type(w->family), target = target_type(w->family), number;
  size_t size;
  if (!is(inside(proto, CTA_PROTO_NUM), &w->protocol, sizeof w->protocol))
    return false;
  if (w->address != NULL) {
    const void *bytes = address_bytes(w->address, &size);
    return is(inside(back, source), bytes, size);
  }
  if (port == NULL || port->nla_len != NLA_HDRLEN + sizeof number)
    return false;
  memcpy(&number, (const char *)port + NLA_HDRLEN, sizeof number);
  number = ntohs(number);
  return (w->ports[number / 8] & 1 << number % 8) != 0 && same(inside(there, target), inside(back, source)) &&
         same(inside(there, source), inside(back, target)) && is_of_host(w->family, inside(there, target));
}

static void put_filter(struct question *m, const struct wanted *w) {
  uint32_t none = 0, by = FILTER_PROTO_NUM | (w->address == NULL ? 0 : FILTER_IP_SRC);
  bool reply = w->address != NULL;
  struct nlattr *tuple = open_nest(m, reply ? CTA_TUPLE_REPLY : CTA_TUPLE_ORIG), *part;
  if (reply) {
    size_t size;
    const void *bytes = address_bytes(w->address, &size);
    part = open_nest(m, CTA_TUPLE_IP);
    put(m, source_type(w->family), bytes, size);
    close_nest(m, part);
  }
  part = open_nest(m, CTA_TUPLE_PROTO);
  put(m, CTA_PROTO_NUM, &w->protocol, sizeof w->protocol);
  close_nest(m, part);
  close_nest(m, tuple);
  part = open_nest(m, CTA_FILTER);
  put(m, CTA_FILTER_ORIG_FLAGS, reply ? &none : &by, sizeof none);
  put(m, CTA_FILTER_REPLY_FLAGS, reply ? &by : &none, sizeof none);
  close_nest(m, part);
}

/** False: the kernel does not know the filter, or not conntrack at all. */
static bool list_and_delete(int list, int remove, const struct wanted *w, bool filtered) {
  static char buffer[32768] __attribute__((aligned(NLMSG_ALIGNTO)));
  struct question m;
  begin(&m, IPCTNL_MSG_CT_GET, NLM_F_DUMP, w->family);
  if (filtered)
    put_filter(&m, w);
  if (send(list, &m, m.header.nlmsg_len, 0) < 0)
    return false;
  for (;;) {
    ssize_t n = recv(list, buffer, sizeof buffer, 0);
    if (n < 0 && errno == EINTR)
      continue;
    if (n <= 0)
      return false;
    for (struct nlmsghdr *h = (struct nlmsghdr *)buffer; NLMSG_OK(h, n); h = NLMSG_NEXT(h, n)) {
      if (h->nlmsg_type == NLMSG_DONE)
        return true;
      if (h->nlmsg_type == NLMSG_ERROR)
        return false;
      size_t head = NLMSG_LENGTH(sizeof(struct nfgenmsg));
      if (h->nlmsg_len < head)
        continue;
      const char *attributes = (const char *)h + head;
      size_t size = h->nlmsg_len - head;
      const struct nlattr *original = find(attributes, size, CTA_TUPLE_ORIG);
      if (original != NULL && matches(w, original, find(attributes, size, CTA_TUPLE_REPLY)))
        delete_entry(remove, w->family, original, find(attributes, size, CTA_ZONE));
    }
  }
}

static void forget(const struct wanted *w) {
  int list = open_socket(), remove = open_socket();
  if (list >= 0 && remove >= 0 && !list_and_delete(list, remove, w, true))
    list_and_delete(list, remove, w, false);
  if (list >= 0)
    close(list);
  if (remove >= 0)
    close(remove);
}

void ports_forget_address(const union address *address, uint8_t protocol) {
  forget(&(struct wanted){.family = (uint8_t)address->any.sa_family, .protocol = protocol, .address = address});
}

void ports_forget_host(uint8_t family, uint8_t protocol, const uint8_t ports[PORT_BITS]) {
  forget(&(struct wanted){.family = family, .protocol = protocol, .ports = ports});
}
