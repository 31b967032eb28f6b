// Port 53 of 127.0.0.11, in a container's namespace, led to the ports of the name server's sockets, and back. Stateless: a port is
// written into the packet on its way out, before connection tracking, and port 53 itself stays free for the container.
//
//   table ip gantry-dns { chain output { type filter hook output priority raw;
//     ip daddr 127.0.0.11 udp dport 53 udp dport set U     ip saddr 127.0.0.11 udp sport U udp sport set 53     (and tcp) } }

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netlink.h>

#include "nfnl.h"

enum {
  PRIORITY_RAW = -300,
  ADDRESS_FROM = 12,
  ADDRESS_TO = 16, // in the IPv4 header
  PORT_FROM = 0,
  PORT_TO = 2,
  SUM_UDP = 6,
  SUM_TCP = 16, // in the transport's
  NAME_PORT = 53,
};

static const char table[] = "gantry-dns", chain[] = "output";

static size_t expression(struct netlink_buffer *b, const char *name, size_t *data) {
  size_t element = netlink_nest(b, NFTA_LIST_ELEM);
  netlink_add_text(b, NFTA_EXPR_NAME, name);
  *data = netlink_nest(b, NFTA_EXPR_DATA);
  return element;
}

static void finish(struct netlink_buffer *b, size_t element, size_t data) {
  netlink_end(b, data);
  netlink_end(b, element);
}

static void value(struct netlink_buffer *b, uint16_t type, const void *bytes, size_t size) {
  size_t nest = netlink_nest(b, type);
  netlink_add(b, NFTA_DATA_VALUE, bytes, size);
  netlink_end(b, nest);
}

static void equals(struct netlink_buffer *b, const void *bytes, size_t size) {
  size_t data, element = expression(b, "cmp", &data);
  netlink_add_be32(b, NFTA_CMP_SREG, NFT_REG_1);
  netlink_add_be32(b, NFTA_CMP_OP, NFT_CMP_EQ);
  value(b, NFTA_CMP_DATA, bytes, size);
  finish(b, element, data);
}

static void load(struct netlink_buffer *b, uint32_t base, uint32_t offset, uint32_t size) {
  size_t data, element = expression(b, "payload", &data);
  netlink_add_be32(b, NFTA_PAYLOAD_DREG, NFT_REG_1);
  netlink_add_be32(b, NFTA_PAYLOAD_BASE, base);
  netlink_add_be32(b, NFTA_PAYLOAD_OFFSET, offset);
  netlink_add_be32(b, NFTA_PAYLOAD_LEN, size);
  finish(b, element, data);
}

static void write_port(struct netlink_buffer *b, uint32_t offset, uint16_t port, uint32_t sum) {
  size_t data, element = expression(b, "immediate", &data);
  netlink_add_be32(b, NFTA_IMMEDIATE_DREG, NFT_REG_1);
  value(b, NFTA_IMMEDIATE_DATA, &port, sizeof port);
  finish(b, element, data);
  element = expression(b, "payload", &data);
  netlink_add_be32(b, NFTA_PAYLOAD_SREG, NFT_REG_1);
  netlink_add_be32(b, NFTA_PAYLOAD_BASE, NFT_PAYLOAD_TRANSPORT_HEADER);
  netlink_add_be32(b, NFTA_PAYLOAD_OFFSET, offset);
  netlink_add_be32(b, NFTA_PAYLOAD_LEN, sizeof port);
  netlink_add_be32(b, NFTA_PAYLOAD_CSUM_TYPE, NFT_PAYLOAD_CSUM_INET);
  netlink_add_be32(b, NFTA_PAYLOAD_CSUM_OFFSET, sum);
  finish(b, element, data);
}

/** Where the address and the port are these, the port becomes another. */
static void rule(struct netlink_buffer *b, uint8_t protocol, bool out, uint16_t port, uint16_t becomes) {
  static const uint8_t server[4] = {127, 0, 0, 11};
  uint16_t is = htons(port);
  size_t data, element;
  nfnl_begin(b, NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND, 1, NFPROTO_IPV4);
  netlink_add_text(b, NFTA_RULE_TABLE, table);
  netlink_add_text(b, NFTA_RULE_CHAIN, chain);
  size_t expressions = netlink_nest(b, NFTA_RULE_EXPRESSIONS);
  load(b, NFT_PAYLOAD_NETWORK_HEADER, out ? ADDRESS_TO : ADDRESS_FROM, sizeof server);
  equals(b, server, sizeof server);
  element = expression(b, "meta", &data);
  netlink_add_be32(b, NFTA_META_DREG, NFT_REG_1);
  netlink_add_be32(b, NFTA_META_KEY, NFT_META_L4PROTO);
  finish(b, element, data);
  equals(b, &protocol, sizeof protocol);
  load(b, NFT_PAYLOAD_TRANSPORT_HEADER, out ? PORT_TO : PORT_FROM, sizeof is);
  equals(b, &is, sizeof is);
  write_port(b, out ? PORT_TO : PORT_FROM, htons(becomes), protocol == IPPROTO_TCP ? SUM_TCP : SUM_UDP);
  netlink_end(b, expressions);
}

static void table_message(struct netlink_buffer *b, uint8_t type) {
  nfnl_begin(b, type, type == NFT_MSG_NEWTABLE ? NLM_F_CREATE | NLM_F_EXCL : 0, 1, NFPROTO_IPV4);
  netlink_add_text(b, NFTA_TABLE_NAME, table);
}

static void chain_message(struct netlink_buffer *b) {
  nfnl_begin(b, NFT_MSG_NEWCHAIN, NLM_F_CREATE, 1, NFPROTO_IPV4);
  netlink_add_text(b, NFTA_CHAIN_TABLE, table);
  netlink_add_text(b, NFTA_CHAIN_NAME, chain);
  size_t hook = netlink_nest(b, NFTA_CHAIN_HOOK);
  netlink_add_be32(b, NFTA_HOOK_HOOKNUM, NF_INET_LOCAL_OUT);
  netlink_add_be32(b, NFTA_HOOK_PRIORITY, (uint32_t)PRIORITY_RAW);
  netlink_end(b, hook);
  netlink_add_be32(b, NFTA_CHAIN_POLICY, NF_ACCEPT);
  netlink_add_text(b, NFTA_CHAIN_TYPE, "filter");
}

static int redirect(int fd, uint16_t udp_port, uint16_t tcp_port, bool again) {
  _Alignas(8) uint8_t memory[8192], reply[4096];
  struct netlink_buffer b;
  int error = 0;
  netlink_open_buffer(&b, memory, sizeof memory);
  nfnl_batch(&b, false);
  if (again)
    table_message(&b, NFT_MSG_DELTABLE);
  table_message(&b, NFT_MSG_NEWTABLE);
  chain_message(&b);
  rule(&b, IPPROTO_UDP, true, NAME_PORT, udp_port);
  rule(&b, IPPROTO_UDP, false, udp_port, NAME_PORT);
  rule(&b, IPPROTO_TCP, true, NAME_PORT, tcp_port);
  rule(&b, IPPROTO_TCP, false, tcp_port, NAME_PORT);
  nfnl_batch(&b, true);
  if (b.overflow || send(fd, b.bytes, b.size, 0) < 0)
    return b.overflow ? EMSGSIZE : errno;
  for (ssize_t n; (n = recv(fd, reply, sizeof reply, MSG_DONTWAIT)) > 0;) {
    const struct nlmsghdr *h = (const struct nlmsghdr *)reply;
    const struct nlmsgerr *e = NLMSG_DATA(h);
    if (error == 0 && n >= (ssize_t)NLMSG_LENGTH(sizeof *e) && h->nlmsg_type == NLMSG_ERROR)
      error = -e->error;
  }
  return error;
}

bool nfnl_redirect_dns(uint16_t udp_port, uint16_t tcp_port, char reason[REASON_SIZE]) {
  int fd = netlink_socket(NETLINK_NETFILTER, 0), error = fd < 0 ? errno : redirect(fd, udp_port, tcp_port, false);
  // Its close would wait for a grace period after a deletion, so the usual way is without one.
  if (error == EEXIST)
    error = redirect(fd, udp_port, tcp_port, true);
  if (fd >= 0)
    close(fd);
  if (error != 0)
    fail(reason, "redirect 127.0.0.11:53: %s",
         error == EPROTONOSUPPORT || error == EOPNOTSUPP ? "nf_tables is not supported by this kernel" : strerror(error));
  return error == 0;
}
