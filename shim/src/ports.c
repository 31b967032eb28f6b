// Listeners on the host for published ports.

#include "shim.h"

bool ports_apply(struct shim *s, const char *lines, char reason[REASON_SIZE]) {
  (void)s;
  if (lines[0] == '\0')
    return true;
  fail(reason, "port listeners are not built yet");
  return false;
}

void ports_close(struct shim *s) { (void)s; }
