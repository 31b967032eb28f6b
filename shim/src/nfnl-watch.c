// Hearing of changed nft rules, so that what somebody flushed can be mended. Elements are what shims add and remove all the time:
// they are not looked at. A transaction's messages come in a row.

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>

#include "nfnl.h"

enum { WATCH_BYTES = 1 << 20 };

int nfnl_watch(void) {
  struct sockaddr_nl address = {.nl_family = AF_NETLINK, .nl_groups = 1u << (NFNLGRP_NFTABLES - 1)};
  int bytes = WATCH_BYTES, fd = netlink_socket(NETLINK_NETFILTER, SOCK_NONBLOCK);
  if (fd < 0)
    return -1;
  if (bind(fd, (struct sockaddr *)&address, sizeof address) != 0) {
    close(fd);
    return -1;
  }
  setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof bytes);
  return fd;
}

static bool is_rule_change(uint16_t type) {
  if (type >> 8 != NFNL_SUBSYS_NFTABLES)
    return false;
  switch (type & 0xff) {
  case NFT_MSG_NEWTABLE:
  case NFT_MSG_DELTABLE:
  case NFT_MSG_NEWCHAIN:
  case NFT_MSG_DELCHAIN:
  case NFT_MSG_NEWRULE:
  case NFT_MSG_DELRULE:
  case NFT_MSG_NEWSET:
  case NFT_MSG_DELSET:
    return true;
  default:
    return false;
  }
}

// NFTA_TABLE_NAME, NFTA_CHAIN_TABLE, NFTA_RULE_TABLE and NFTA_SET_TABLE are the same number.
static bool is_ours(const struct nlmsghdr *h) {
  const struct nfgenmsg *head = NLMSG_DATA(h);
  size_t at = NLMSG_LENGTH(sizeof *head);
  if (h->nlmsg_len < at || (head->nfgen_family != NFPROTO_INET && head->nfgen_family != NFPROTO_BRIDGE))
    return false;
  while (at + NLA_HDRLEN <= h->nlmsg_len) {
    struct nlattr a;
    const char *name = (const char *)h + at + NLA_HDRLEN;
    memcpy(&a, (const char *)h + at, sizeof a);
    if (a.nla_len < NLA_HDRLEN || a.nla_len > h->nlmsg_len - at)
      return false;
    if ((a.nla_type & NLA_TYPE_MASK) == NFTA_TABLE_NAME)
      return a.nla_len == NLA_HDRLEN + sizeof "gantry" && memcmp(name, "gantry", sizeof "gantry") == 0;
    at += NLA_ALIGN(a.nla_len);
  }
  return false;
}

bool nfnl_changed(int fd) {
  static _Alignas(struct nlmsghdr) uint8_t bytes[65536];
  bool changed = false;
  for (;;) {
    ssize_t n = recv(fd, bytes, sizeof bytes, MSG_DONTWAIT);
    if (n < 0 && errno == EINTR)
      continue;
    if (n < 0 && errno == ENOBUFS) { // some were lost
      changed = true;
      continue;
    }
    if (n <= 0)
      return changed;
    size_t left = (size_t)n;
    for (struct nlmsghdr *h = (struct nlmsghdr *)bytes; !changed && NLMSG_OK(h, left); h = NLMSG_NEXT(h, left))
      changed = is_rule_change(h->nlmsg_type) && is_ours(h);
  }
}
