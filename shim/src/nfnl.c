// nft over netlink.

#include "shim.h"

bool nfnl_elements(const char *lines, bool add, char reason[REASON_SIZE]) {
  (void)lines, (void)add;
  fail(reason, "nft elements are not built yet");
  return false;
}

bool nfnl_redirect_dns(uint16_t udp_port, uint16_t tcp_port, char reason[REASON_SIZE]) {
  (void)udp_port, (void)tcp_port;
  fail(reason, "nft redirects are not built yet");
  return false;
}

int nfnl_watch(void) { return -1; }

bool nfnl_changed(int fd) {
  (void)fd;
  return false;
}
