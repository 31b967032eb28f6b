// Fuzz target of everything that parses bytes from a socket or a pipe: frames, fields, spawn options.
// With clang: libFuzzer. Standalone: `fuzz RUNS [SEED]` mutates valid frames at random.

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shim.h"

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
    if (options_parse(&o, &f, reason) && (strlen(o.id) != 64 || o.run_dir[0] != '/'))
      abort();
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
  static const char seed[] =
      "tag=1\0id=0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\0run=/run/x\0exit=/var/x/exit\0upper=/u\0work=/w\0"
      "ro=0\0net=bridge\0net.host=veth0\0net.bridge=br0\0net.name=eth0\0net.mac=02:00:00:00:00:01\0net.address=10.0.0.2/16\0"
      "net.gateway=10.0.0.1\0net.mtu=1500\0runtime=/usr/bin/crun\0runtime.arg=--x\0runtime.root=/r\0tty=1\0rows=24\0columns=80\0"
      "log=/var/x/log\0log.max=100\0log.files=3\0cgroup=/sys/fs/cgroup/x\0lower=/a\0lower=/b\0";
  uint8_t body[1024];
  long runs = argc > 1 ? atol(argv[1]) : 100000;
  state = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;
  for (long i = 0; i < runs; i++) {
    size_t size = sizeof seed - 1;
    memcpy(body, seed, size);
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
