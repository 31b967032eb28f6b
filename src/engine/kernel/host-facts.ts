// What the engine has to know about the host, read once at start-up. Sources: proc_meminfo(5), proc_pid_status(5),
// capabilities(7), and the places where AppArmor and SELinux show that they are switched on.

import { existsSync, readFileSync } from "node:fs";
import { arch, release } from "node:os";
import { type CgroupHierarchies, discoverCgroups } from "./cgroups.ts";
import { type Mount, readMounts } from "./mountinfo.ts";

/** Facts of the host; the same shape as HostFacts of runtime/. */
export interface KernelHostFacts {
  readonly cgroupVersion: 1 | 2;
  /** v1 or hybrid: mount point per controller; v2: one entry "" → mount point. */
  readonly cgroupMounts: Readonly<Record<string, string>>;
  /** v1 hierarchies beside a v2 one. */
  readonly hybrid: boolean;
  /** CPUs that this process may run on. */
  readonly cpuCount: number;
  readonly memoryBytes: number;
  /** In Go's words: amd64, arm64. */
  readonly architecture: string;
  readonly kernelVersion: string;
  /** CAP_SYS_RESOURCE is in the effective set. */
  readonly canRaiseLimits: boolean;
  readonly appArmor: boolean;
  readonly seLinux: boolean;
  readonly seccomp: boolean;
}

/** @throws System no cgroup hierarchy is mounted */
export function readHostFacts(): KernelHostFacts {
  const mounts = readMounts();
  return hostFacts({
    mounts,
    cgroups: discoverCgroups(mounts),
    status: readFileSync("/proc/self/status", "utf8"),
    meminfo: readFileSync("/proc/meminfo", "utf8"),
    appArmorEnabled: readIfThere("/sys/module/apparmor/parameters/enabled"),
    seccompFilters: existsSync("/proc/sys/kernel/seccomp/actions_avail"),
  });
}

/** What readHostFacts reads, so that the decision can be tested without the host. */
export interface HostReadings {
  readonly mounts: readonly Mount[];
  readonly cgroups: CgroupHierarchies;
  readonly status: string;
  readonly meminfo: string;
  readonly appArmorEnabled: string | undefined;
  readonly seccompFilters: boolean;
}

export function hostFacts(readings: HostReadings): KernelHostFacts {
  const { cgroups, status, meminfo } = readings;
  const capSysResource = 24n;
  const effective = BigInt(`0x${/^CapEff:\s*([0-9a-f]+)$/m.exec(status)?.[1] ?? "0"}`);
  return {
    cgroupVersion: cgroups.version,
    cgroupMounts: cgroups.mounts,
    hybrid: cgroups.hybrid,
    cpuCount: countCpus(/^Cpus_allowed_list:\s*(\S+)$/m.exec(status)?.[1] ?? "0"),
    memoryBytes: Number(/^MemTotal:\s*(\d+) kB$/m.exec(meminfo)?.[1] ?? "0") * 1024,
    architecture: goArchitecture(arch()),
    kernelVersion: release(),
    canRaiseLimits: ((effective >> capSysResource) & 1n) === 1n,
    appArmor: readings.appArmorEnabled?.trim() === "Y",
    seLinux: readings.mounts.some((mount) => mount.fsType === "selinuxfs"),
    seccomp: readings.seccompFilters,
  };
}

/** @param list as the kernel writes sets of CPUs: "0-3,8" */
function countCpus(list: string): number {
  return list
    .split(",")
    .map((range) => range.split("-").map(Number))
    .reduce((sum, [first = 0, last = first]) => sum + last - first + 1, 0);
}

function goArchitecture(nodeArchitecture: string): string {
  return nodeArchitecture === "x64" ? "amd64" : nodeArchitecture;
}

function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}
