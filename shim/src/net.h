// What the files of a container's own network share. net-wish.c parses what the daemon asks for, net-link.c makes interfaces,
// net-route.c default routes, net-lines.c compares lists, net.c puts it together.
#ifndef GANTRY_NET_H
#define GANTRY_NET_H

#include "netlink.h"
#include "shim.h"

enum { INTERFACES_MAX = 128, INTERFACE_NAME_SIZE = 16, LINK_REQUEST_BYTES = 1024 };

struct prefix {
  int family; // AF_INET or AF_INET6
  uint8_t bytes[16];
  uint8_t bits;
};

enum link_kind { LINK_VETH, LINK_MACVLAN, LINK_IPVLAN };

/** An interface that is wanted; its texts point into the request. */
struct interface {
  enum link_kind kind;
  const char *kind_name;
  const char *name, *parent;
  const char *host; // of veth, else NULL
  uint32_t mode;    // of macvlan and ipvlan
  uint16_t flag;    // of ipvlan
  bool has_mac, has_ipv4, has_ipv6;
  uint8_t mac[6];
  uint32_t mtu; // 0: the kernel's
  struct fields group; // its part of the request: if.address, if.sysctl
};

/** The next interface of a request that wish_check has accepted; false at the end. */
bool interface_next(const struct fields *, size_t *cursor, struct interface *out);
bool prefix_parse(const char *text, struct prefix *out);
/** `PATH VALUE` into a path below /proc/sys and its value. */
bool sysctl_parse(const char *text, char path[256], const char **value);

/** A default route. */
struct route {
  char interface[INTERFACE_NAME_SIZE];
  bool has_via;
  uint8_t via[16];
};

bool route_parse(const char *text, int family, struct route *out);

/** What a list has more than another, both of lines: for the caller to free, "" for nothing, NULL without memory. Sorted. */
char *lines_without(const char *lines, const char *other);

/** An interface that is there. */
struct link {
  struct link *next;
  enum link_kind kind;
  char name[INTERFACE_NAME_SIZE];
  int host_index; // of a veth's host end, else 0
  int index;      // in the namespace: who may, renames it there; 0: not found
  bool complete;  // made, configured and up; false where that has failed
  bool announced; // to its neighbours
  size_t size;
  char group[]; // as it was asked for
};

/** A container's own network as it is. */
struct net {
  struct shim *shim;
  int namespace;
  struct link *links;
  char *elements;          // lines that are in the kernel's sets, or may be
  bool elements_uncertain; // a change has failed: some of them are not
  char *routes[2];         // default routes as they were asked for, IPv4 and IPv6; NULL: none
  struct timer announce;
  int announce_tries;
};

int link_index(int fd, const char *name);
int link_set_up(int fd, int index);
/** Creates the interface in `namespace`, its parent being where `host` was opened. NULL: `reason` says why. */
struct link *link_create(int host, int namespace, const struct interface *, char reason[REASON_SIZE]);
/** In the namespace: sysctls, addresses, up. */
bool link_configure(int inside, const struct interface *, char reason[REASON_SIZE]);
void link_delete(int host, int inside, const struct link *);
/** Host end of a veth pair, in the host's namespace: from now on frames pass. */
bool link_open(int host, struct link *, char reason[REASON_SIZE]);
/**
 * Frames may leave by the port that they came from: where br_netfilter is on, what a container sends to its own published port is led
 * back within the bridge, and never reaches the host's routing.
 */
void link_return(int host, const struct link *);
/** No frame passes its host end any more; at once, and without the kernel's waiting. */
void link_shut(int host, const struct link *);
/** Whether its frames pass already: the kernel takes note of a carrier by itself, and at once where it is asked (Linux 6.8). */
bool link_settled(int host, int inside, const struct link *);
/** Makes neighbours forget who had the addresses before. `inside`: a socket of the namespace. */
void link_announce(int inside, const struct link *);

/** In the namespace: makes the default route what is wanted; "" or NULL: none. @param is as it is now */
bool route_apply(int inside, int family, const char *is, const char *wanted, char reason[REASON_SIZE]);

#endif
