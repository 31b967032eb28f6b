// Linux capabilities: the names, Docker's default set, and CapAdd/CapDrop/Privileged worked out to one list.
// Source: capabilities(7), include/uapi/linux/capability.h; Engine API 1.51, HostConfig.CapAdd and CapDrop.

/** Every capability, at the index that is its number in the kernel. */
export const capabilityNames = [
  "CAP_CHOWN",
  "CAP_DAC_OVERRIDE",
  "CAP_DAC_READ_SEARCH",
  "CAP_FOWNER",
  "CAP_FSETID",
  "CAP_KILL",
  "CAP_SETGID",
  "CAP_SETUID",
  "CAP_SETPCAP",
  "CAP_LINUX_IMMUTABLE",
  "CAP_NET_BIND_SERVICE",
  "CAP_NET_BROADCAST",
  "CAP_NET_ADMIN",
  "CAP_NET_RAW",
  "CAP_IPC_LOCK",
  "CAP_IPC_OWNER",
  "CAP_SYS_MODULE",
  "CAP_SYS_RAWIO",
  "CAP_SYS_CHROOT",
  "CAP_SYS_PTRACE",
  "CAP_SYS_PACCT",
  "CAP_SYS_ADMIN",
  "CAP_SYS_BOOT",
  "CAP_SYS_NICE",
  "CAP_SYS_RESOURCE",
  "CAP_SYS_TIME",
  "CAP_SYS_TTY_CONFIG",
  "CAP_MKNOD",
  "CAP_LEASE",
  "CAP_AUDIT_WRITE",
  "CAP_AUDIT_CONTROL",
  "CAP_SETFCAP",
  "CAP_MAC_OVERRIDE",
  "CAP_MAC_ADMIN",
  "CAP_SYSLOG",
  "CAP_WAKE_ALARM",
  "CAP_BLOCK_SUSPEND",
  "CAP_AUDIT_READ",
  "CAP_PERFMON",
  "CAP_BPF",
  "CAP_CHECKPOINT_RESTORE",
] as const;

/** What a container has unless it says otherwise; the same 14 as Docker's, in the kernel's order. */
export const defaultCapabilities: readonly string[] = [
  "CAP_CHOWN",
  "CAP_DAC_OVERRIDE",
  "CAP_FOWNER",
  "CAP_FSETID",
  "CAP_KILL",
  "CAP_SETGID",
  "CAP_SETUID",
  "CAP_SETPCAP",
  "CAP_NET_BIND_SERVICE",
  "CAP_NET_RAW",
  "CAP_SYS_CHROOT",
  "CAP_MKNOD",
  "CAP_AUDIT_WRITE",
  "CAP_SETFCAP",
];

const known: ReadonlySet<string> = new Set(capabilityNames);

/** Names of the bits of a mask as /proc/<pid>/status writes it (hexadecimal); bits without a name are left out. */
export function parseCapabilityMask(hex: string): readonly string[] {
  const mask = /^[0-9a-f]{1,16}$/i.test(hex) ? BigInt(`0x${hex}`) : 0n;
  return capabilityNames.filter((_, bit) => ((mask >> BigInt(bit)) & 1n) === 1n);
}

/** What CapAdd, CapDrop and Privileged ask for. */
export interface CapabilityRequest {
  readonly add: readonly string[];
  readonly drop: readonly string[];
  readonly privileged: boolean;
}

/** "net_admin", "NET_ADMIN" and "CAP_NET_ADMIN" are one; "ALL" stays. */
function normalise(name: string): string {
  const upper = name.toUpperCase();
  return upper === "ALL" || upper.startsWith("CAP_") ? upper : `CAP_${upper}`;
}

/**
 * Complaints about unknown and unobtainable names, in dockerd's words; an empty list is consent.
 *
 * @param available what the engine itself may pass on
 */
export function checkCapabilities(request: CapabilityRequest, available: readonly string[]): readonly string[] {
  for (const [field, names] of [
    ["CapAdd", request.add],
    ["CapDrop", request.drop],
  ] as const) {
    for (const name of names) {
      const wanted = normalise(name);
      if (wanted === "ALL") continue;
      if (!known.has(wanted)) return [`invalid ${field}: unknown capability: ${JSON.stringify(wanted)}`];
      if (field === "CapAdd" && !available.includes(wanted)) {
        return [
          `invalid CapAdd: capability not supported by your kernel or not available in the current environment: ${JSON.stringify(wanted)}`,
        ];
      }
    }
  }
  return [];
}

/**
 * The capabilities of the container's processes, in the kernel's order.
 *
 * @param available what the engine itself may pass on; a container cannot have more
 * Rules as dockerd's: a dropped capability that is also added stays, except under "add ALL", where drop wins.
 */
export function resolveCapabilities(request: CapabilityRequest, available: readonly string[]): readonly string[] {
  const add = request.add.map(normalise);
  const drop = request.drop.map(normalise);
  const wanted = (name: string): boolean => {
    if (request.privileged) return true;
    if (add.includes("ALL")) return !drop.includes(name);
    if (add.includes(name)) return true;
    return !drop.includes("ALL") && !drop.includes(name) && defaultCapabilities.includes(name);
  };
  return capabilityNames.filter((name) => available.includes(name) && wanted(name));
}
