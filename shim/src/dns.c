// 127.0.0.11 in the container's namespace.

#include "shim.h"

bool dns_start(struct shim *s, int net_ns, const char *server, char reason[REASON_SIZE]) {
  (void)s, (void)net_ns, (void)server;
  fail(reason, "the name server's sockets are not built yet");
  return false;
}

void dns_stop(struct shim *s) { (void)s; }
