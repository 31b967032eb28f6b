// Fuzz target of everything that parses bytes from a socket or a pipe: frames, fields, spawn options, networks, lists of elements.
// With clang: libFuzzer. Standalone: `fuzz RUNS [SEED]` mutates valid frames at random.

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "net.h"
#include "shim.h"

static void walk_network(const struct fields *f) {
  const char *firewall = field_get(f, "firewall"), *text, *value;
  char reason[REASON_SIZE], path[256];
  struct interface i;
  struct prefix p;
  size_t cursor = 0;
  if (wish_check(f, reason))
    while (interface_next(f, &cursor, &i)) {
      size_t at = 0;
      while ((text = field_next(&i.group, "if.address", &at)) != NULL)
        if (!prefix_parse(text, &p) || p.bits > 128)
          abort();
      at = 0;
      while ((text = field_next(&i.group, "if.sysctl", &at)) != NULL)
        if (!sysctl_parse(text, path, &value) || strncmp(path, "/proc/sys/net/", 14) != 0 || strstr(path, "..") != NULL)
          abort();
    }
  if (firewall == NULL)
    return;
  char *all = lines_without(firewall, ""), *none = lines_without(firewall, firewall);
  if (all == NULL || none == NULL || none[0] != '\0')
    abort();
  free(all);
  free(none);
}

// Of a request that was accepted: as many views as it has groups, each of one kind.
static void walk_views(const struct fields *f, bool step) {
  struct fields group;
  struct view v;
  size_t cursor = 0, at = 0;
  int groups = 0, views = 0;
  while (field_group(f, "view", &at, &group))
    groups++;
  while (view_next(f, &cursor, &v)) {
    views++;
    if (v.name[0] < '0' || v.name[0] > '9' || strlen(v.name) > 4 || (v.path != NULL) + (v.layers > 0) + v.tmpfs != 1 ||
        (v.path != NULL && v.path[0] != '/') || v.layers >= LOWER_MAX || (!step && v.target != NULL))
      abort();
  }
  if (views != groups || views > VIEWS_MAX)
    abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct fields f;
  struct options o;
  char reason[REASON_SIZE];
  int64_t n;
  size_t cursor = 0;
  // A copy of the exact size lets ASan see every byte read beyond it.
  uint8_t *body = malloc(size == 0 ? 1 : size);
  if (body == NULL)
    return 0;
  if (size > 0)
    memcpy(body, data, size);
  if (proto_check(body, size, &f)) {
    while (field_next(&f, "lower", &cursor) != NULL)
      continue;
    (void)field_flag(&f, "tty");
    (void)field_number(&f, "signal", 0, 64, -1, &n);
    if (options_parse(&o, &f, reason)) {
      if (strlen(o.id) != 64 || o.run_dir[0] != '/' || (o.stubs != NULL && o.stubs[0] != '/'))
        abort();
      walk_views(&f, o.stubs != NULL);
    }
    walk_network(&f);
  }
  free(body);
  return 0;
}

#ifdef STANDALONE
static uint64_t state;

static uint32_t next(uint32_t below) {
  state = state * 6364136223846793005u + 1442695040888963407u;
  return (uint32_t)(state >> 33) % below;
}

int main(int argc, char **argv) {
  static const char step[] =
      "tag=1\0id=0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\0run=/run/x\0exit=/var/x/exit\0upper=/u\0work=/w\0"
      "ro=0\0net=own\0if=eth0\0if.kind=veth\0if.parent=br0\0if.host=veth0\0if.mac=02:00:00:00:00:01\0if.mtu=1500\0"
      "if.address=10.0.0.2/16\0if.address=fd00::2/64\0if.sysctl=net/ipv4/conf/eth0/log_martians 1\0if=eth1\0if.kind=ipvlan\0"
      "if.parent=ens3\0if.mode=l3s\0if.flag=vepa\0gateway4=eth0 10.0.0.1\0gateway6=eth1\0dns=/run/dns.sock\0"
      "firewall=inet a_b 0a0b 01\nbridge c 00\n\0ports=tcp 0.0.0.0 80 10.0.0.2 80\n\0runtime=/usr/bin/crun\0runtime.arg=--x\0runtime.root=/r\0tty=1\0rows=24\0columns=80\0"
      "log=/var/x/log\0log.max=100\0log.files=3\0cgroup=/sys/fs/cgroup/x\0lower=/a\0lower=/b\0"
      "stubs=/s\0cwd=/w\0view=0\0view.lower=/l\0view.lower=/m\0view.source=../a/b\0view.target=/t\0view.ro=1\0"
      "view=1\0view.path=/c\0view.target=/root/.cache\0view=2\0view.tmpfs=1024\0view.target=x\0"
      "view=13\0view.lower=/l\0view.upper=/u\0view.work=/w\0view=4\0view.path=/p\0view.socket=1\0";
  static const char container[] =
      "id=0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\0run=/run/x\0exit=/var/x/exit\0upper=/u\0work=/w\0ro=0\0"
      "runtime=/usr/bin/crun\0runtime.root=/r\0lower=/a\0view=0\0view.path=/v/_data\0view.source=a/../b\0view.ro=1\0"
      "view=1\0view.lower=/l\0view=2\0view.lower=/l\0view.lower=/m\0view.source=etc\0view=3\0view.path=/v/_data\0net=none\0";
  uint8_t body[2048];
  long runs = argc > 1 ? atol(argv[1]) : 100000;
  state = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;
  for (long i = 0; i < runs; i++) {
    bool odd = (i & 1) != 0;
    size_t size = odd ? sizeof container - 1 : sizeof step - 1;
    memcpy(body, odd ? container : step, size);
    for (uint32_t n = next(8); n > 0; n--) {
      uint32_t at = next((uint32_t)size), length = next(32);
      switch (next(5)) {
      case 0: body[at] = (uint8_t)next(256); break;
      case 1: size = at + 1; break;
      case 2: memmove(body + at, body + (at + length < size ? at + length : at), size - (at + length < size ? at + length : at)); break;
      case 3: body[at] = '\0'; break;
      default: body[at] = '='; break;
      }
    }
    LLVMFuzzerTestOneInput(body, size);
  }
  printf("fuzz: %ld inputs\n", runs);
  return 0;
}
#endif
