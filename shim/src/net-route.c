// Default routes of a container's namespace. Source: rtnetlink(7).

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include <linux/rtnetlink.h>

#include "net.h"

static int change(int fd, int family, const struct route *r, int index, uint16_t type, uint16_t flags, bool on_link) {
  _Alignas(8) uint8_t memory[LINK_REQUEST_BYTES];
  struct netlink_buffer b;
  struct rtmsg message = {.rtm_family = (uint8_t)family,
                          .rtm_table = RT_TABLE_MAIN,
                          .rtm_protocol = RTPROT_BOOT,
                          .rtm_scope = r->has_via ? RT_SCOPE_UNIVERSE : RT_SCOPE_LINK,
                          .rtm_type = RTN_UNICAST,
                          .rtm_flags = on_link ? RTNH_F_ONLINK : 0};
  netlink_open_buffer(&b, memory, sizeof memory);
  netlink_begin(&b, type, flags, 0, &message, sizeof message);
  if (r->has_via)
    netlink_add(&b, RTA_GATEWAY, r->via, family == AF_INET ? 4 : 16);
  netlink_add_u32(&b, RTA_OIF, (uint32_t)index);
  return netlink_ask(fd, &b);
}

bool route_apply(int fd, int family, const char *is, const char *wanted, char reason[REASON_SIZE]) {
  static const uint16_t flags = NLM_F_CREATE | NLM_F_REPLACE;
  struct route r;
  if (wanted == NULL) {
    // Where the interface has gone, its routes went with it.
    if (is != NULL && route_parse(is, family, &r))
      change(fd, family, &r, link_index(fd, r.interface), RTM_DELROUTE, 0, false);
    return true;
  }
  route_parse(wanted, family, &r);
  int index = link_index(fd, r.interface), error = change(fd, family, &r, index, RTM_NEWROUTE, flags, false);
  if (r.has_via && (error == ENETUNREACH || error == EHOSTUNREACH)) // outside of the subnets
    error = change(fd, family, &r, index, RTM_NEWROUTE, flags, true);
  if (error != 0) {
    const char *via = strchr(wanted, ' ');
    fail(reason, "add default route%s%s dev %s: %s", via == NULL ? "" : " via", via == NULL ? "" : via, r.interface,
         strerror(error));
  }
  return error == 0;
}
