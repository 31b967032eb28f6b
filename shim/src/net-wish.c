// The network part of a request, checked once at the door. Trusts nothing: it is fuzzed by test/fuzz.c.
// Form: docs/shim-protocol.md, "A container's own network".

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <linux/if_link.h>

#include "net.h"
#include "nfnl.h"

struct word {
  const char *text;
  uint32_t value;
};

static const struct word macvlan_modes[] = {{"bridge", MACVLAN_MODE_BRIDGE},
                                            {"private", MACVLAN_MODE_PRIVATE},
                                            {"vepa", MACVLAN_MODE_VEPA},
                                            {"passthru", MACVLAN_MODE_PASSTHRU},
                                            {NULL, 0}};
static const struct word ipvlan_modes[] = {
    {"l2", IPVLAN_MODE_L2}, {"l3", IPVLAN_MODE_L3}, {"l3s", IPVLAN_MODE_L3S}, {NULL, 0}};
static const struct word ipvlan_flags[] = {
    {"bridge", 0}, {"private", IPVLAN_F_PRIVATE}, {"vepa", IPVLAN_F_VEPA}, {NULL, 0}};

/** An absent text is the first word. */
static bool word_value(const struct word *words, const char *text, uint32_t *out) {
  for (const struct word *w = words; w->text != NULL; w++)
    if (text == NULL || strcmp(w->text, text) == 0) {
      *out = w->value;
      return true;
    }
  return false;
}

static bool is_interface_name(const char *name) {
  return name != NULL && name[0] != '\0' && strlen(name) < INTERFACE_NAME_SIZE && strpbrk(name, "/: \t\n\v\f\r") == NULL &&
         strcmp(name, ".") != 0 && strcmp(name, "..") != 0;
}

static bool parse_mac(const char *text, uint8_t mac[6]) {
  if (strlen(text) != 17)
    return false;
  for (int i = 0; i < 6; i++) {
    char digits[3] = {text[i * 3], text[i * 3 + 1], '\0'};
    if (strspn(digits, "0123456789abcdefABCDEF") != 2 || (i < 5 && text[i * 3 + 2] != ':'))
      return false;
    mac[i] = (uint8_t)strtoul(digits, NULL, 16);
  }
  return true;
}

bool prefix_parse(const char *text, struct prefix *out) {
  char address[INET6_ADDRSTRLEN];
  const char *slash = strchr(text, '/');
  size_t size = slash == NULL ? 0 : (size_t)(slash - text), digits = slash == NULL ? 0 : strspn(slash + 1, "0123456789");
  if (size == 0 || size >= sizeof address || digits == 0 || digits > 3 || slash[1 + digits] != '\0')
    return false;
  memcpy(address, text, size);
  address[size] = '\0';
  out->family = strchr(address, ':') == NULL ? AF_INET : AF_INET6;
  long bits = strtol(slash + 1, NULL, 10);
  out->bits = (uint8_t)bits;
  memset(out->bytes, 0, sizeof out->bytes);
  return bits <= (out->family == AF_INET ? 32 : 128) && inet_pton(out->family, address, out->bytes) == 1;
}

bool route_parse(const char *text, int family, struct route *out) {
  size_t size = strcspn(text, " ");
  memset(out, 0, sizeof *out);
  if (size == 0 || size >= sizeof out->interface)
    return false;
  memcpy(out->interface, text, size);
  out->has_via = text[size] == ' ';
  return !out->has_via || inet_pton(family, text + size + 1, out->via) == 1;
}

bool sysctl_parse(const char *text, char path[256], const char **value) {
  static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./";
  size_t size = strcspn(text, " ");
  if (strncmp(text, "net/", 4) != 0 || text[size] != ' ' || strspn(text, allowed) != size || size > 200)
    return false;
  snprintf(path, 256, "/proc/sys/%.*s", (int)size, text);
  *value = text + size + 1;
  return strstr(path, "..") == NULL && strlen(*value) < 4096;
}

static bool parse_interface(const struct fields *group, struct interface *out, char reason[REASON_SIZE]) {
  struct prefix prefix;
  char path[256];
  const char *text, *value, *wrong = NULL;
  size_t cursor = 0;
  int64_t mtu;
  uint32_t flag = 0;
  memset(out, 0, sizeof *out);
  out->group = *group;
  out->name = field_get(group, "if");
  out->kind_name = field_get(group, "if.kind");
  out->parent = field_get(group, "if.parent");
  out->host = field_get(group, "if.host");
  const char *kind = out->kind_name == NULL ? "" : out->kind_name, *mac = field_get(group, "if.mac");
  const char *mode = field_get(group, "if.mode");
  bool known = true;
  out->has_mac = mac != NULL;
  if (strcmp(kind, "veth") == 0)
    out->kind = LINK_VETH;
  else if (strcmp(kind, "macvlan") == 0)
    out->kind = LINK_MACVLAN;
  else if (strcmp(kind, "ipvlan") == 0)
    out->kind = LINK_IPVLAN;
  else
    known = false;
  if (!is_interface_name(out->name))
    wrong = "name";
  else if (!known)
    wrong = "kind";
  else if (!is_interface_name(out->parent))
    wrong = "parent";
  else if (out->kind == LINK_VETH ? !is_interface_name(out->host) : out->host != NULL)
    wrong = "host end";
  else if (out->kind == LINK_MACVLAN && !word_value(macvlan_modes, mode, &out->mode))
    wrong = "mode";
  else if (out->kind == LINK_IPVLAN && !word_value(ipvlan_modes, mode, &out->mode))
    wrong = "mode";
  else if (out->kind == LINK_IPVLAN && !word_value(ipvlan_flags, field_get(group, "if.flag"), &flag))
    wrong = "flag";
  else if (out->has_mac && !parse_mac(mac, out->mac))
    wrong = "MAC";
  else if (!field_number(group, "if.mtu", 68, 65535, 0, &mtu))
    wrong = "MTU";
  while (wrong == NULL && (text = field_next(group, "if.address", &cursor)) != NULL) {
    if (!prefix_parse(text, &prefix))
      wrong = "address";
    out->has_ipv4 |= prefix.family == AF_INET;
    out->has_ipv6 |= prefix.family == AF_INET6;
  }
  cursor = 0;
  while (wrong == NULL && (text = field_next(group, "if.sysctl", &cursor)) != NULL)
    if (!sysctl_parse(text, path, &value))
      wrong = "sysctl";
  if (wrong != NULL) {
    fail(reason, "invalid %s of interface %.32s", wrong, out->name == NULL ? "" : out->name);
    return false;
  }
  out->flag = (uint16_t)flag;
  out->mtu = (uint32_t)mtu;
  return true;
}

bool interface_next(const struct fields *f, size_t *cursor, struct interface *out) {
  char reason[REASON_SIZE];
  struct fields group;
  return field_group(f, "if", cursor, &group) && parse_interface(&group, out, reason);
}

static bool check_route(const struct fields *f, const char *key, int family, char reason[REASON_SIZE]) {
  const char *text = field_get(f, key);
  struct fields group;
  struct route route;
  size_t cursor = 0;
  if (text == NULL)
    return true;
  bool ok = route_parse(text, family, &route), found = false;
  while (ok && field_group(f, "if", &cursor, &group))
    found |= strcmp(field_get(&group, "if"), route.interface) == 0;
  if (!found)
    fail(reason, "invalid %s", key);
  return found;
}

bool wish_check(const struct fields *f, char reason[REASON_SIZE]) {
  const char *names[INTERFACES_MAX], *lines = field_get(f, "firewall"), *dns = field_get(f, "dns");
  struct interface interface;
  struct fields group;
  struct element element;
  size_t cursor = 0, n;
  int count = 0;
  while (field_group(f, "if", &cursor, &group)) {
    if (count == INTERFACES_MAX) {
      fail(reason, "too many interfaces");
      return false;
    }
    if (!parse_interface(&group, &interface, reason))
      return false;
    for (int i = 0; i < count; i++)
      if (strcmp(names[i], interface.name) == 0) {
        fail(reason, "two interfaces are named %s", interface.name);
        return false;
      }
    names[count++] = interface.name;
  }
  if (!check_route(f, "gateway4", AF_INET, reason) || !check_route(f, "gateway6", AF_INET6, reason))
    return false;
  for (; lines != NULL && *lines != '\0'; lines += n)
    if ((n = element_parse(lines, &element)) == 0) {
      fail(reason, "malformed nft element: %.80s", lines);
      return false;
    }
  if (dns != NULL && dns[0] != '/') {
    fail(reason, "invalid dns");
    return false;
  }
  return true;
}
