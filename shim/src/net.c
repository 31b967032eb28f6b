// The container's network namespace and its interface, in one netlink conversation: no process is spawned.
// The namespace's file is bound at <runDir>/netns in the shim's own mount namespace, where the runtime finds it.
// Sources: rtnetlink(7), veth(4), Documentation/networking/ip-sysctl.rst.

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>

#include "shim.h"

struct request {
  struct nlmsghdr header;
  char body[1020];
};

static void begin(struct request *r, uint16_t type, uint16_t flags, const void *fixed, size_t size) {
  memset(r, 0, sizeof *r);
  r->header.nlmsg_type = type;
  r->header.nlmsg_flags = (uint16_t)(NLM_F_REQUEST | NLM_F_ACK | flags);
  r->header.nlmsg_len = (uint32_t)NLMSG_LENGTH(size);
  memcpy(NLMSG_DATA(&r->header), fixed, size);
}

static struct rtattr *add(struct request *r, uint16_t type, const void *value, size_t size) {
  struct rtattr *a = (struct rtattr *)((char *)r + NLMSG_ALIGN(r->header.nlmsg_len));
  a->rta_type = type;
  a->rta_len = (uint16_t)RTA_LENGTH(size);
  if (size > 0)
    memcpy(RTA_DATA(a), value, size);
  r->header.nlmsg_len = NLMSG_ALIGN(r->header.nlmsg_len) + (uint32_t)RTA_ALIGN(a->rta_len);
  return a;
}

static void nest_end(struct request *r, struct rtattr *a) {
  a->rta_len = (uint16_t)((char *)r + r->header.nlmsg_len - (char *)a);
}

static void add_text(struct request *r, uint16_t type, const char *text) {
  add(r, type, text, strlen(text) + 1);
}

static void add_number(struct request *r, uint16_t type, uint32_t value) {
  add(r, type, &value, sizeof value);
}

/** Sends one request and reads its acknowledgement: 0 or the kernel's errno. */
static int ask(int fd, struct request *r) {
  struct {
    struct nlmsghdr header;
    struct nlmsgerr error;
    char rest[1024];
  } reply;
  if (send(fd, r, r->header.nlmsg_len, 0) < 0)
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

static int index_of(int fd, const char *name) {
  struct ifreq r;
  memset(&r, 0, sizeof r);
  snprintf(r.ifr_name, sizeof r.ifr_name, "%s", name);
  return ioctl(fd, SIOCGIFINDEX, &r) == 0 ? r.ifr_ifindex : 0;
}

static int set_up(int fd, int index) {
  struct request r;
  struct ifinfomsg link = {.ifi_index = index, .ifi_flags = IFF_UP, .ifi_change = IFF_UP};
  begin(&r, RTM_NEWLINK, 0, &link, sizeof link);
  return ask(fd, &r);
}

static bool parse_mac(const char *text, uint8_t mac[6]) {
  unsigned v[6];
  char end;
  if (sscanf(text, "%2x:%2x:%2x:%2x:%2x:%2x%c", &v[0], &v[1], &v[2], &v[3], &v[4], &v[5], &end) != 6)
    return false;
  for (int i = 0; i < 6; i++)
    mac[i] = (uint8_t)v[i];
  return true;
}

static bool parse_address(const char *text, struct in_addr *address, uint8_t *prefix) {
  char copy[20], *slash, *end;
  snprintf(copy, sizeof copy, "%s", text);
  slash = strchr(copy, '/');
  if (slash == NULL)
    return false;
  *slash = '\0';
  long bits = strtol(slash + 1, &end, 10);
  *prefix = (uint8_t)bits;
  return *end == '\0' && bits >= 0 && bits <= 32 && inet_pton(AF_INET, copy, address) == 1;
}

static int create_pair(int fd, const struct options *o, int bridge, const uint8_t mac[6], int namespace) {
  struct request r;
  struct ifinfomsg link = {0};
  begin(&r, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, &link, sizeof link);
  add_text(&r, IFLA_IFNAME, o->host_interface);
  add_number(&r, IFLA_MTU, (uint32_t)o->mtu);
  add_number(&r, IFLA_MASTER, (uint32_t)bridge);
  struct rtattr *info = add(&r, IFLA_LINKINFO, NULL, 0);
  add_text(&r, IFLA_INFO_KIND, "veth");
  struct rtattr *data = add(&r, IFLA_INFO_DATA, NULL, 0);
  struct rtattr *peer = add(&r, VETH_INFO_PEER, &link, sizeof link);
  add_text(&r, IFLA_IFNAME, o->interface);
  add(&r, IFLA_ADDRESS, mac, 6);
  add_number(&r, IFLA_MTU, (uint32_t)o->mtu);
  add_number(&r, IFLA_NET_NS_FD, (uint32_t)namespace);
  nest_end(&r, peer);
  nest_end(&r, data);
  nest_end(&r, info);
  return ask(fd, &r);
}

static int add_address(int fd, int index, struct in_addr address, uint8_t prefix) {
  struct request r;
  struct ifaddrmsg message = {.ifa_family = AF_INET, .ifa_prefixlen = prefix, .ifa_index = (uint32_t)index};
  struct in_addr broadcast = address;
  begin(&r, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, &message, sizeof message);
  add(&r, IFA_LOCAL, &address, sizeof address);
  add(&r, IFA_ADDRESS, &address, sizeof address);
  if (prefix < 31) {
    broadcast.s_addr |= htonl(prefix == 0 ? 0xffffffffu : 0xffffffffu >> prefix);
    add(&r, IFA_BROADCAST, &broadcast, sizeof broadcast);
  }
  return ask(fd, &r);
}

static int add_default_route(int fd, int index, struct in_addr gateway) {
  struct request r;
  struct rtmsg message = {.rtm_family = AF_INET,
                          .rtm_table = RT_TABLE_MAIN,
                          .rtm_protocol = RTPROT_BOOT,
                          .rtm_scope = RT_SCOPE_UNIVERSE,
                          .rtm_type = RTN_UNICAST};
  begin(&r, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, &message, sizeof message);
  add(&r, RTA_GATEWAY, &gateway, sizeof gateway);
  add_number(&r, RTA_OIF, (uint32_t)index);
  return ask(fd, &r);
}

static void set_ipv6(const char *interface, const char *name, const char *value) {
  char path[128];
  snprintf(path, sizeof path, "/proc/sys/net/ipv6/conf/%s/%s", interface, name);
  write_file(path, value); // absent without IPv6
}

// In the new namespace: the interface's far end. The names of what is tried are for the error.
static bool configure(struct shim *s, int inside, char reason[REASON_SIZE]) {
  const struct options *o = &s->options;
  struct in_addr address, gateway;
  uint8_t prefix = 0;
  int index = index_of(inside, o->interface), error;
  if (index == 0) {
    fail(reason, "find interface %s in the new network namespace: %s", o->interface, strerror(errno));
    return false;
  }
  parse_address(o->address, &address, &prefix);
  set_ipv6(o->interface, "disable_ipv6", "1");
  if ((error = add_address(inside, index, address, prefix)) != 0)
    fail(reason, "add address %s to %s: %s", o->address, o->interface, strerror(error));
  else if ((error = set_up(inside, index)) != 0)
    fail(reason, "bring %s up: %s", o->interface, strerror(error));
  else if (o->gateway != NULL && inet_pton(AF_INET, o->gateway, &gateway) == 1 &&
           (error = add_default_route(inside, index, gateway)) != 0)
    fail(reason, "add default route via %s dev %s: %s", o->gateway, o->interface, strerror(error));
  return error == 0;
}

static bool connect_bridge(struct shim *s, int host, int inside, int host_ns, int new_ns, char reason[REASON_SIZE]) {
  const struct options *o = &s->options;
  struct in_addr address;
  uint8_t mac[6], prefix;
  int error, bridge = index_of(host, o->bridge);
  if (bridge == 0) {
    fail(reason, "find bridge %s: %s", o->bridge, strerror(errno));
    return false;
  }
  if (!parse_mac(o->mac, mac) || !parse_address(o->address, &address, &prefix)) {
    fail(reason, "invalid MAC %s or address %s", o->mac, o->address);
    return false;
  }
  if ((error = create_pair(host, o, bridge, mac, new_ns)) != 0) {
    fail(reason, "create veth pair %s with master %s: %s", o->host_interface, o->bridge, strerror(error));
    return false;
  }
  s->link_index = index_of(host, o->host_interface);
  if (!configure(s, inside, reason))
    return false;
  if (setns(host_ns, CLONE_NEWNET) != 0) {
    fail(reason, "return to the host's network namespace: %s", strerror(errno));
    return false;
  }
  set_ipv6(o->host_interface, "accept_ra", "0");
  if ((error = set_up(host, s->link_index)) != 0)
    fail(reason, "bring %s up: %s", o->host_interface, strerror(error));
  return error == 0;
}

bool net_setup(struct shim *s, char reason[REASON_SIZE]) {
  const char *kind = s->options.network;
  char path[PATH_SIZE];
  bool ok = false;
  if (strcmp(kind, "host") == 0 || strcmp(kind, "join") == 0)
    return true;
  int host = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
  int host_ns = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
  int inside = -1, new_ns = -1, error;
  if (host < 0 || host_ns < 0 || unshare(CLONE_NEWNET) != 0) {
    fail(reason, "make a network namespace: %s", strerror(errno));
    goto out;
  }
  inside = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
  new_ns = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
  if (inside < 0 || new_ns < 0) {
    fail(reason, "open a netlink socket: %s", strerror(errno));
    goto out;
  }
  if ((error = set_up(inside, 1)) != 0) {
    fail(reason, "bring lo up: %s", strerror(error));
    goto out;
  }
  run_path(s, "netns", path);
  int file = open(path, O_RDONLY | O_CREAT | O_CLOEXEC, 0400);
  if (file < 0 || mount("/proc/self/ns/net", path, NULL, MS_BIND, NULL) != 0) {
    fail(reason, "bind the network namespace at %s: %s", path, strerror(errno));
    close(file);
    goto out;
  }
  close(file);
  ok = strcmp(kind, "bridge") != 0 || connect_bridge(s, host, inside, host_ns, new_ns, reason);
out:
  if (host_ns >= 0 && setns(host_ns, CLONE_NEWNET) != 0 && ok) {
    fail(reason, "return to the host's network namespace: %s", strerror(errno));
    ok = false;
  }
  close(host);
  close(host_ns);
  close(inside);
  close(new_ns);
  return ok;
}

void net_remove(struct shim *s) {
  struct request r;
  struct ifinfomsg link = {.ifi_index = s->link_index};
  int fd = s->link_index > 0 ? socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE) : -1;
  if (fd < 0)
    return;
  begin(&r, RTM_DELLINK, 0, &link, sizeof link);
  ask(fd, &r); // ENODEV: the namespace's end took it away
  close(fd);
  s->link_index = 0;
}
