// Limits of disk space hold for what root writes on somebody's behalf, too.
// Source: capabilities(7), CAP_SYS_RESOURCE: "override disk quota limits"; capset(2).

#include <linux/capability.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "layer.h"

void respect_quotas(void) {
  struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
  struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];
  if (syscall(SYS_capget, &header, data) < 0) return;
  data[CAP_TO_INDEX(CAP_SYS_RESOURCE)].effective &= ~CAP_TO_MASK(CAP_SYS_RESOURCE);
  syscall(SYS_capset, &header, data);
}
