// What the kernel's connection tracking remembers of datagrams that were led to a container. A client that goes on sending from one
// port would be led to the container's old address for as long as it does: to nobody, or to whoever has that address next.
// TCP needs none of this, its next connection is a new one. Entries are listed, filtered by the kernel from Linux 5.8, and deleted
// one by one, as flushing by filter came with Linux 6.8. Source: linux/netfilter/nfnetlink_conntrack.h.

#include <arpa/inet.h>
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

/** False: the kernel does not know the filter, or not conntrack at all. */
static bool list_and_delete(int list, int remove, const union address *a, uint8_t protocol, bool filtered) {
  static char buffer[32768] __attribute__((aligned(NLMSG_ALIGNTO)));
  bool ip4 = a->any.sa_family == AF_INET;
  const void *ip = ip4 ? (const void *)&a->v4.sin_addr : &a->v6.sin6_addr;
  size_t ip_size = ip4 ? sizeof a->v4.sin_addr : sizeof a->v6.sin6_addr;
  uint16_t source = ip4 ? CTA_IP_V4_SRC : CTA_IP_V6_SRC;
  struct question m;
  begin(&m, IPCTNL_MSG_CT_GET, NLM_F_DUMP, (uint8_t)a->any.sa_family);
  if (filtered) {
    uint32_t none = 0, by = FILTER_IP_SRC | FILTER_PROTO_NUM;
    struct nlattr *tuple = open_nest(&m, CTA_TUPLE_REPLY), *part = open_nest(&m, CTA_TUPLE_IP);
    put(&m, source, ip, ip_size);
    close_nest(&m, part);
    part = open_nest(&m, CTA_TUPLE_PROTO);
    put(&m, CTA_PROTO_NUM, &protocol, sizeof protocol);
    close_nest(&m, part);
    close_nest(&m, tuple);
    part = open_nest(&m, CTA_FILTER);
    put(&m, CTA_FILTER_ORIG_FLAGS, &none, sizeof none);
    put(&m, CTA_FILTER_REPLY_FLAGS, &by, sizeof by);
    close_nest(&m, part);
  }
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
      const struct nlattr *reply = find(attributes, size, CTA_TUPLE_REPLY);
      const struct nlattr *original = find(attributes, size, CTA_TUPLE_ORIG);
      if (original != NULL && is(inside(inside(reply, CTA_TUPLE_IP), source), ip, ip_size) &&
          is(inside(inside(reply, CTA_TUPLE_PROTO), CTA_PROTO_NUM), &protocol, sizeof protocol))
        delete_entry(remove, (uint8_t)a->any.sa_family, original, find(attributes, size, CTA_ZONE));
    }
  }
}

void ports_forget(const union address *address, uint8_t protocol) {
  int list = open_socket(), remove = open_socket();
  if (list >= 0 && remove >= 0 && !list_and_delete(list, remove, address, protocol, true))
    list_and_delete(list, remove, address, protocol, false);
  if (list >= 0)
    close(list);
  if (remove >= 0)
    close(remove);
}
