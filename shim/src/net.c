// The container's network namespace and all that is its own: interfaces, routes, elements of the engine's nft sets, listeners of
// published ports, the name server's sockets. No process is spawned. The daemon says how all of it shall be; what is there and wanted
// stays. The namespace's file is bound at <runDir>/netns in the shim's own mount namespace, where the runtime finds it.

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/netlink.h>

#include "net.h"
#include "nfnl.h"

enum { ANNOUNCE_MS = 10, ANNOUNCE_TRIES = 8 }; // the pause doubles

// ---- the parts of a change ----

static bool stays(const struct net *n, const struct interface *i) {
  for (const struct link *l = n->links; l != NULL; l = l->next)
    if (l->size == i->group.size && memcmp(l->group, i->group.base, l->size) == 0)
      return true;
  return false;
}

static bool wanted(const struct fields *f, const struct link *l) {
  struct interface i;
  size_t cursor = 0;
  while (interface_next(f, &cursor, &i))
    if (l->size == i.group.size && memcmp(l->group, i.group.base, l->size) == 0)
      return true;
  return false;
}

static void forget_route(struct net *n, int which) {
  free(n->routes[which]);
  n->routes[which] = NULL;
}

static bool leaves_by(const char *route, const char *name) {
  size_t size = strlen(name);
  return route != NULL && strncmp(route, name, size) == 0 && (route[size] == ' ' || route[size] == '\0');
}

static void remove_links(struct net *n, const struct fields *f, int host, int inside) {
  for (struct link **at = &n->links; *at != NULL;) {
    struct link *l = *at;
    if (l->complete && wanted(f, l)) {
      at = &l->next;
      continue;
    }
    for (int i = 0; i < 2; i++)
      if (leaves_by(n->routes[i], l->name))
        forget_route(n, i);
    link_delete(host, inside, l);
    *at = l->next;
    free(l);
  }
}

/** In the container's namespace. */
static bool make_links(struct net *n, const struct fields *f, int host, int inside, char reason[REASON_SIZE]) {
  struct interface i;
  size_t cursor = 0;
  while (interface_next(f, &cursor, &i)) {
    if (stays(n, &i))
      continue;
    struct link *l = link_create(host, n->namespace, &i, reason);
    if (l == NULL)
      return false;
    l->next = n->links;
    n->links = l;
    l->index = link_index(inside, l->name);
    if (!link_configure(inside, &i, reason))
      return false;
  }
  return true;
}

static bool make_routes(struct net *n, const struct fields *f, int inside, char reason[REASON_SIZE]) {
  static const char *const keys[] = {"gateway4", "gateway6"};
  static const int families[] = {AF_INET, AF_INET6};
  for (int i = 0; i < 2; i++) {
    const char *is = n->routes[i], *text = field_get(f, keys[i]);
    if (is != NULL && text != NULL && strcmp(is, text) == 0)
      continue;
    if (!route_apply(inside, families[i], is, text, reason))
      return false;
    forget_route(n, i);
    n->routes[i] = text == NULL ? NULL : strdup(text);
  }
  return true;
}

/** What is to be deleted and added, and afterwards perhaps there. */
struct elements {
  char *old, *new, *all;
};

static bool plan_elements(const struct net *n, const char *lines, struct elements *out) {
  const char *is = n->elements == NULL ? "" : n->elements;
  out->old = lines_without(is, lines);
  out->new = lines_without(lines, n->elements_uncertain ? "" : is);
  size_t size = out->old == NULL ? 0 : strlen(out->old);
  out->all = malloc(size + strlen(lines) + 1);
  if (out->old == NULL || out->new == NULL || out->all == NULL)
    return false;
  memcpy(out->all, out->old, size);
  strcpy(out->all + size, lines);
  return true;
}

/** Announces the interfaces that are new, each as soon as it can send; what cannot yet is tried again. */
static void announce(struct net *n, int host, int inside) {
  bool rest = false;
  for (struct link *l = n->links; l != NULL; l = l->next) {
    if (!l->announced && link_settled(host, inside, l)) {
      link_announce(inside, l);
      l->announced = true;
    }
    rest |= !l->announced;
  }
  if (rest && n->announce_tries < ANNOUNCE_TRIES)
    loop_arm(&n->shim->loop, &n->announce, ANNOUNCE_MS << n->announce_tries++);
}

static void announce_again(struct timer *t) {
  struct net *n = (struct net *)((char *)t - offsetof(struct net, announce));
  int host_ns = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC), inside = -1, host = netlink_socket(NETLINK_ROUTE, 0);
  if (host_ns >= 0 && setns(n->namespace, CLONE_NEWNET) == 0) {
    inside = netlink_socket(NETLINK_ROUTE, 0);
    setns(host_ns, CLONE_NEWNET);
  }
  if (inside >= 0 && host >= 0)
    announce(n, host, inside);
  int all[] = {host_ns, inside, host};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++)
    if (all[i] >= 0)
      close(all[i]);
}

/** In the host's namespace: what makes the container reachable. */
static bool publish(struct net *n, const struct fields *f, const struct elements *e, char reason[REASON_SIZE], bool *taken) {
  const char *ports = field_get(f, "ports"), *dns = field_get(f, "dns"), *lines = field_get(f, "firewall");
  if (!ports_apply(n->shim, ports == NULL ? "" : ports, reason)) {
    *taken = errno == EADDRINUSE;
    return false;
  }
  if (!nfnl_elements(e->new, true, reason))
    return false;
  free(n->elements);
  n->elements = strdup(lines == NULL ? "" : lines);
  n->elements_uncertain = n->elements == NULL;
  ports_opened(n->shim);
  return dns == NULL || dns_start(n->shim, n->namespace, dns, reason);
}

static bool open_links(struct net *n, const struct fields *f, int host, int inside, char reason[REASON_SIZE]) {
  const char *ports = field_get(f, "ports");
  for (struct link *l = n->links; l != NULL; l = l->next) {
    if (!link_open(host, l, reason))
      return false;
    if (ports != NULL && ports[0] != '\0')
      link_return(host, l);
  }
  n->announce_tries = 0;
  announce(n, host, inside);
  return true;
}

// ---- the namespace ----

static bool bind_namespace(struct shim *s, char reason[REASON_SIZE]) {
  char path[PATH_SIZE];
  run_path(s, "netns", path);
  int file = open(path, O_RDONLY | O_CREAT | O_CLOEXEC, 0400);
  bool ok = file >= 0 && mount("/proc/self/ns/net", path, NULL, MS_BIND, NULL) == 0;
  if (!ok)
    fail(reason, "bind the network namespace at %s: %s", path, strerror(errno));
  if (file >= 0)
    close(file);
  return ok;
}

/** A new namespace, entered, with lo up. */
static bool make_namespace(struct shim *s, int *inside, char reason[REASON_SIZE]) {
  int error;
  if (unshare(CLONE_NEWNET) != 0) {
    fail(reason, "make a network namespace: %s", strerror(errno));
    return false;
  }
  *inside = netlink_socket(NETLINK_ROUTE, 0);
  if (*inside < 0) {
    fail(reason, "open a netlink socket: %s", strerror(errno));
    return false;
  }
  if ((error = link_set_up(*inside, 1)) != 0) {
    fail(reason, "bring lo up: %s", strerror(error));
    return false;
  }
  return bind_namespace(s, reason);
}

static bool enter_namespace(struct net *n, int *inside, char reason[REASON_SIZE]) {
  bool ok = setns(n->namespace, CLONE_NEWNET) == 0 && (*inside = netlink_socket(NETLINK_ROUTE, 0)) >= 0;
  if (!ok)
    fail(reason, "enter the container's network namespace: %s", strerror(errno));
  return ok;
}

/**
 * Makes the network what the fields say.
 *
 * @param fresh the namespace is to be made
 */
static bool apply(struct shim *s, const struct fields *f, bool fresh, char reason[REASON_SIZE], bool *taken) {
  struct net *n = s->net;
  struct elements e = {0};
  const char *lines = f == NULL ? NULL : field_get(f, "firewall");
  int host_ns = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC), host = netlink_socket(NETLINK_ROUTE, 0), inside = -1;
  bool ok = host >= 0 && host_ns >= 0 && (n == NULL || plan_elements(n, lines == NULL ? "" : lines, &e));
  if (!ok)
    fail(reason, "prepare the container's network: %s", strerror(errno));
  if (ok && n != NULL) {
    // Until all of it is done nobody knows which elements are there.
    free(n->elements);
    n->elements = e.all;
    e.all = NULL;
    n->elements_uncertain = true;
    ok = nfnl_elements(e.old, false, reason);
  }
  if (ok) {
    ok = fresh ? make_namespace(s, &inside, reason) : enter_namespace(n, &inside, reason);
    if (ok && n != NULL && fresh && (n->namespace = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC)) < 0) {
      fail(reason, "keep the network namespace: %s", strerror(errno));
      ok = false;
    }
    if (ok && n != NULL) {
      remove_links(n, f, host, inside);
      ok = make_links(n, f, host, inside, reason) && make_routes(n, f, inside, reason);
    }
    if (setns(host_ns, CLONE_NEWNET) != 0 && ok) {
      fail(reason, "return to the host's network namespace: %s", strerror(errno));
      ok = false;
    }
  }
  ok = ok && (n == NULL || (publish(n, f, &e, reason, taken) && open_links(n, f, host, inside, reason)));
  free(e.old);
  free(e.new);
  free(e.all);
  if (inside >= 0)
    close(inside);
  if (host >= 0)
    close(host);
  if (host_ns >= 0)
    close(host_ns);
  return ok;
}

bool net_setup(struct shim *s, char reason[REASON_SIZE], bool *taken) {
  const char *kind = s->options.network;
  *taken = false;
  if (strcmp(kind, "host") == 0 || strcmp(kind, "join") == 0)
    return true;
  if (strcmp(kind, "own") != 0)
    return apply(s, NULL, true, reason, taken);
  s->net = calloc(1, sizeof *s->net);
  if (s->net == NULL) {
    fail(reason, "set up the network: %s", strerror(ENOMEM));
    return false;
  }
  s->net->shim = s;
  s->net->namespace = -1;
  s->net->announce.fire = announce_again;
  return apply(s, &s->options.request, true, reason, taken);
}

bool net_change(struct shim *s, const struct fields *f, char reason[REASON_SIZE], bool *taken) {
  *taken = false;
  return wish_check(f, reason) && apply(s, f, false, reason, taken);
}

bool net_is_live(const struct shim *s) { return s->net != NULL && s->net->namespace >= 0; }

// ---- the end ----

/** Interfaces without a host end hold their parent and answer for their addresses until they are deleted. */
static void delete_inside(struct net *n) {
  bool any = false;
  for (const struct link *l = n->links; l != NULL; l = l->next)
    any |= l->kind != LINK_VETH;
  int host_ns = any ? open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC) : -1, inside;
  if (host_ns < 0)
    return;
  if (setns(n->namespace, CLONE_NEWNET) == 0) {
    inside = netlink_socket(NETLINK_ROUTE, 0);
    setns(host_ns, CLONE_NEWNET);
    for (const struct link *l = n->links; l != NULL; l = l->next)
      if (l->kind != LINK_VETH)
        link_delete(-1, inside, l);
    if (inside >= 0)
      close(inside);
  }
  close(host_ns);
}

void net_end(struct shim *s) {
  struct net *n = s->net;
  char reason[REASON_SIZE];
  if (n == NULL)
    return;
  loop_disarm(&s->loop, &n->announce);
  int host = n->links == NULL ? -1 : netlink_socket(NETLINK_ROUTE, 0);
  for (const struct link *l = n->links; l != NULL && host >= 0; l = l->next)
    link_shut(host, l);
  if (host >= 0)
    close(host);
  if (n->elements != NULL)
    nfnl_elements(n->elements, false, reason); // where it fails, the daemon's next table is without them
  free(n->elements);
  n->elements = NULL;
  ports_close(s);
  dns_stop(s);
  if (n->namespace >= 0) {
    delete_inside(n);
    close(n->namespace);
  }
  n->namespace = -1;
}

void net_remove(struct shim *s) {
  struct net *n = s->net;
  if (n == NULL)
    return;
  net_end(s);
  int host = n->links == NULL ? -1 : netlink_socket(NETLINK_ROUTE, 0);
  for (struct link *l = n->links, *next; l != NULL; l = next) {
    next = l->next;
    if (host >= 0)
      link_delete(host, -1, l); // those without a host end have gone already
    free(l);
  }
  if (host >= 0)
    close(host);
  for (int i = 0; i < 2; i++)
    forget_route(n, i);
  free(n);
  s->net = NULL;
}
