// Interfaces of a container: made straight into its namespace, configured there, taken away. Host ends of veth pairs come up last,
// so that nobody reaches an interface that is half made.
// Sources: rtnetlink(7), veth(4), Documentation/networking/ip-sysctl.rst, net/bridge/br_netlink.c (port states).

#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <linux/ethtool.h>
#include <linux/if_addr.h>
#include <linux/if_bridge.h>
#include <linux/if_link.h>
#include <linux/ip.h>
#include <linux/rtnetlink.h>
#include <linux/sockios.h>
#include <linux/veth.h>

#include "net.h"

int link_index(int fd, const char *name) {
  struct ifreq r;
  memset(&r, 0, sizeof r);
  snprintf(r.ifr_name, sizeof r.ifr_name, "%s", name);
  return ioctl(fd, SIOCGIFINDEX, &r) == 0 ? r.ifr_ifindex : 0;
}

int link_set_up(int fd, int index) {
  _Alignas(8) uint8_t memory[LINK_REQUEST_BYTES];
  struct netlink_buffer b;
  struct ifinfomsg link = {.ifi_index = index, .ifi_flags = IFF_UP, .ifi_change = IFF_UP};
  netlink_open_buffer(&b, memory, sizeof memory);
  netlink_begin(&b, RTM_NEWLINK, 0, 0, &link, sizeof link);
  return netlink_ask(fd, &b);
}

/** The kernel answers an address that is announced: gratuitous ARP when the interface comes up or its MAC is set. */
static int notify_of_arp(int fd, int index) {
  _Alignas(8) uint8_t memory[LINK_REQUEST_BYTES];
  struct netlink_buffer b;
  struct ifinfomsg link = {.ifi_index = index};
  netlink_open_buffer(&b, memory, sizeof memory);
  netlink_begin(&b, RTM_SETLINK, 0, 0, &link, sizeof link);
  size_t spec = netlink_nest(&b, IFLA_AF_SPEC), inet = netlink_nest(&b, AF_INET), conf = netlink_nest(&b, IFLA_INET_CONF);
  netlink_add_u32(&b, IPV4_DEVCONF_ARP_NOTIFY, 1);
  netlink_end(&b, conf);
  netlink_end(&b, inet);
  netlink_end(&b, spec);
  return netlink_ask(fd, &b);
}

// ---- making ----

static void add_names(struct netlink_buffer *b, const char *name, const struct interface *i, int namespace) {
  netlink_add_text(b, IFLA_IFNAME, name);
  if (i->mtu > 0)
    netlink_add_u32(b, IFLA_MTU, i->mtu);
  if (namespace >= 0 && i->has_mac && i->kind != LINK_IPVLAN)
    netlink_add(b, IFLA_ADDRESS, i->mac, sizeof i->mac);
  if (namespace >= 0)
    netlink_add_u32(b, IFLA_NET_NS_FD, (uint32_t)namespace);
}

static void add_kind(struct netlink_buffer *b, const struct interface *i, int namespace) {
  struct ifinfomsg peer = {0};
  size_t data, info = netlink_nest(b, IFLA_LINKINFO), far;
  netlink_add_text(b, IFLA_INFO_KIND, i->kind_name);
  data = netlink_nest(b, IFLA_INFO_DATA);
  switch (i->kind) {
  case LINK_VETH:
    far = b->size;
    netlink_add(b, VETH_INFO_PEER | NLA_F_NESTED, &peer, sizeof peer);
    add_names(b, i->name, i, namespace);
    netlink_end(b, far);
    break;
  case LINK_MACVLAN:
    netlink_add_u32(b, IFLA_MACVLAN_MODE, i->mode);
    break;
  case LINK_IPVLAN:
    netlink_add_u16(b, IFLA_IPVLAN_MODE, (uint16_t)i->mode);
    netlink_add_u16(b, IFLA_IPVLAN_FLAGS, i->flag);
    break;
  }
  netlink_end(b, data);
  netlink_end(b, info);
}

static int create(int host, int namespace, const struct interface *i, int parent) {
  _Alignas(8) uint8_t memory[LINK_REQUEST_BYTES];
  struct netlink_buffer b;
  struct ifinfomsg link = {0};
  netlink_open_buffer(&b, memory, sizeof memory);
  netlink_begin(&b, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, 0, &link, sizeof link);
  if (i->kind == LINK_VETH) {
    add_names(&b, i->host, i, -1);
    netlink_add_u32(&b, IFLA_MASTER, (uint32_t)parent);
  } else {
    add_names(&b, i->name, i, namespace);
    netlink_add_u32(&b, IFLA_LINK, (uint32_t)parent);
  }
  add_kind(&b, i, namespace);
  return netlink_ask(host, &b);
}

struct link *link_create(int host, int namespace, const struct interface *i, char reason[REASON_SIZE]) {
  int parent = link_index(host, i->parent), error;
  if (parent == 0) {
    fail(reason, "find %s %s: %s", i->kind == LINK_VETH ? "bridge" : "parent device", i->parent, strerror(errno));
    return NULL;
  }
  struct link *link = calloc(1, sizeof *link + i->group.size);
  if (link == NULL) {
    fail(reason, "create %s: %s", i->name, strerror(ENOMEM));
    return NULL;
  }
  if ((error = create(host, namespace, i, parent)) != 0) {
    const char *why = error == EOPNOTSUPP ? "not supported by this kernel" : strerror(error);
    if (i->kind == LINK_VETH)
      fail(reason, "create veth pair %s with master %s: %s", i->host, i->parent, why);
    else
      fail(reason, "create %s %s on %s: %s", i->kind_name, i->name, i->parent, why);
    free(link);
    return NULL;
  }
  link->kind = i->kind;
  snprintf(link->name, sizeof link->name, "%s", i->name);
  link->host_index = i->kind == LINK_VETH ? link_index(host, i->host) : 0;
  link->size = i->group.size;
  memcpy(link->group, i->group.base, i->group.size);
  return link;
}

// ---- configuring ----

static int add_address(int fd, int index, const struct prefix *p) {
  _Alignas(8) uint8_t memory[LINK_REQUEST_BYTES];
  struct netlink_buffer b;
  bool ipv4 = p->family == AF_INET;
  size_t size = ipv4 ? 4 : 16;
  struct ifaddrmsg message = {.ifa_family = (uint8_t)p->family,
                              .ifa_prefixlen = p->bits,
                              .ifa_flags = ipv4 ? 0 : IFA_F_NODAD,
                              .ifa_index = (uint32_t)index};
  netlink_open_buffer(&b, memory, sizeof memory);
  netlink_begin(&b, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, 0, &message, sizeof message);
  netlink_add(&b, IFA_LOCAL, p->bytes, size);
  netlink_add(&b, IFA_ADDRESS, p->bytes, size);
  if (ipv4 && p->bits < 31) {
    uint8_t broadcast[4];
    for (int i = 0; i < 4; i++) {
      int own = p->bits - 8 * i; // bits of this byte that are the network's
      broadcast[i] = (uint8_t)(p->bytes[i] | (own >= 8 ? 0 : own <= 0 ? 0xff : 0xff >> own));
    }
    netlink_add(&b, IFA_BROADCAST, broadcast, sizeof broadcast);
  }
  return netlink_ask(fd, &b);
}

static bool add_addresses(int fd, int index, const struct interface *i, int family, char reason[REASON_SIZE]) {
  const char *text;
  size_t cursor = 0;
  while ((text = field_next(&i->group, "if.address", &cursor)) != NULL) {
    struct prefix p;
    int error = prefix_parse(text, &p) && p.family == family ? add_address(fd, index, &p) : 0;
    if (error != 0) {
      fail(reason, "add address %s to %s: %s", text, i->name,
           error == EOPNOTSUPP && family == AF_INET6 ? "IPv6 is not supported by this kernel" : strerror(error));
      return false;
    }
  }
  return true;
}

static bool set_ipv6(const char *interface, const char *name, const char *value) {
  char path[128];
  snprintf(path, sizeof path, "/proc/sys/net/ipv6/conf/%s/%s", interface, name);
  return write_file(path, value); // absent without IPv6, or where the MTU is too small for it
}

static bool set_sysctls(const struct interface *i, char reason[REASON_SIZE]) {
  const char *text, *value;
  size_t cursor = 0;
  char path[256];
  while ((text = field_next(&i->group, "if.sysctl", &cursor)) != NULL)
    if (sysctl_parse(text, path, &value) && !write_file(path, value)) {
      fail(reason, "write %s to %s: %s", value, path, strerror(errno));
      return false;
    }
  return true;
}

bool link_configure(int inside, const struct interface *i, char reason[REASON_SIZE]) {
  int error, index = link_index(inside, i->name);
  if (index == 0) {
    fail(reason, "find interface %s in the container's network namespace: %s", i->name, strerror(errno));
    return false;
  }
  if (i->has_ipv6) {
    // It may be off by default in a new namespace; and it needs no autoconfiguration, no wait for duplicates.
    set_ipv6(i->name, "disable_ipv6", "0");
    set_ipv6(i->name, "accept_ra", "0");
    set_ipv6(i->name, "accept_dad", "0");
    set_ipv6(i->name, "ndisc_notify", "1");
  } else {
    set_ipv6(i->name, "disable_ipv6", "1");
  }
  if (i->has_ipv4)
    notify_of_arp(inside, index);
  if (!set_sysctls(i, reason) || !add_addresses(inside, index, i, AF_INET, reason))
    return false;
  if ((error = link_set_up(inside, index)) != 0) {
    fail(reason, "bring %s up: %s", i->name, strerror(error));
    return false;
  }
  // The routes of IPv6 addresses are made at once only where the interface is up.
  return add_addresses(inside, index, i, AF_INET6, reason);
}

bool link_open(int host, struct link *link, char reason[REASON_SIZE]) {
  char name[INTERFACE_NAME_SIZE];
  struct fields group = {.base = link->group, .size = link->size};
  if (!link->complete && link->kind == LINK_VETH) {
    snprintf(name, sizeof name, "%s", field_get(&group, "if.host"));
    set_ipv6(name, "accept_ra", "0");
    int error = link_set_up(host, link->host_index);
    if (error != 0) {
      fail(reason, "bring %s up: %s", name, strerror(error));
      return false;
    }
  }
  link->complete = true;
  return true;
}

static bool settled(int fd, const char *name) {
  struct ethtool_value value = {.cmd = ETHTOOL_GLINK};
  struct ifreq r;
  memset(&r, 0, sizeof r);
  snprintf(r.ifr_name, sizeof r.ifr_name, "%s", name);
  r.ifr_data = (void *)&value;
  ioctl(fd, SIOCETHTOOL, &r);
  return ioctl(fd, SIOCGIFFLAGS, &r) == 0 && (r.ifr_flags & IFF_RUNNING) != 0;
}

bool link_settled(int host, int inside, const struct link *link) {
  struct fields group = {.base = link->group, .size = link->size};
  bool near = link->kind != LINK_VETH || settled(host, field_get(&group, "if.host"));
  return settled(inside, link->name) && near;
}

void link_announce(int inside, const struct link *link) {
  struct ifreq r;
  memset(&r, 0, sizeof r);
  snprintf(r.ifr_name, sizeof r.ifr_name, "%s", link->name);
  // To the MAC that it has: the kernel then announces every address. An ipvlan's MAC is its parent's and cannot be set.
  if (link->kind != LINK_IPVLAN && ioctl(inside, SIOCGIFHWADDR, &r) == 0)
    ioctl(inside, SIOCSIFHWADDR, &r);
}

// ---- taking away ----

/** Of the port of a bridge. Other parents have none and refuse. */
static void set_port(int host, const struct link *link, uint16_t attribute, uint8_t value) {
  _Alignas(8) uint8_t memory[LINK_REQUEST_BYTES];
  struct netlink_buffer b;
  struct ifinfomsg message = {.ifi_family = AF_BRIDGE, .ifi_index = link->host_index};
  if (link->host_index == 0)
    return;
  netlink_open_buffer(&b, memory, sizeof memory);
  netlink_begin(&b, RTM_SETLINK, 0, 0, &message, sizeof message);
  size_t port = netlink_nest(&b, IFLA_PROTINFO);
  netlink_add_u8(&b, attribute, value);
  netlink_end(&b, port);
  netlink_ask(host, &b);
}

void link_return(int host, const struct link *link) { set_port(host, link, IFLA_BRPORT_MODE, 1); }

void link_shut(int host, const struct link *link) { set_port(host, link, IFLA_BRPORT_STATE, BR_STATE_DISABLED); }

void link_delete(int host, int inside, const struct link *link) {
  _Alignas(8) uint8_t memory[LINK_REQUEST_BYTES];
  struct netlink_buffer b;
  bool pair = link->kind == LINK_VETH;
  int fd = pair ? host : inside;
  struct ifinfomsg message = {.ifi_index = pair ? link->host_index : link->index};
  if (fd < 0 || message.ifi_index == 0)
    return;
  netlink_open_buffer(&b, memory, sizeof memory);
  netlink_begin(&b, RTM_DELLINK, 0, 0, &message, sizeof message);
  netlink_ask(fd, &b); // ENODEV: the namespace's end took it away
}
