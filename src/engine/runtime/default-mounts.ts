// The mounts, masked and read-only paths that every container gets, with the reasons that they differ for a
// privileged one. Source: runtime-spec config-linux.md; cgroups(7); CVE notes beside the paths.

import type { HostConfig } from "../../spec/docker/container.ts";
import type { OciMount } from "../../spec/oci/runtime.ts";
import { ipcModeOf } from "./namespace-modes.ts";

/** /dev/shm where ShmSize is 0. */
export const defaultShmBytes = 64 * 1024 * 1024;

/**
 * Covered with nothing: they leak host secrets or timings, or crash hosts. powercap: GHSA-jq35-85cj-fj4p (energy side
 * channel); interrupts and thermal_throttle: GHSA-6fw5-f8r9-fgfm (keystroke timing); keys, timer_list: leaks of other
 * namespaces; scsi: CVE-2017-16539; acpi: CVE-2018-10892.
 */
export const defaultMaskedPaths: readonly string[] = [
  "/proc/acpi",
  "/proc/asound",
  "/proc/interrupts",
  "/proc/kcore",
  "/proc/keys",
  "/proc/latency_stats",
  "/proc/sched_debug",
  "/proc/scsi",
  "/proc/timer_list",
  "/proc/timer_stats",
  "/sys/devices/virtual/powercap",
  "/sys/firmware",
];

/** Writable only for the host's root: sysctls, the magic key, bus and interrupt settings. */
export const defaultReadonlyPaths: readonly string[] = [
  "/proc/bus",
  "/proc/fs",
  "/proc/irq",
  "/proc/sys",
  "/proc/sysrq-trigger",
];

/** The default masked paths, and with them one directory per CPU; the runtime leaves out what is missing. */
export function withThermalThrottle(masked: readonly string[], cpuCount: number): readonly string[] {
  if (!defaultMaskedPaths.every((path) => masked.includes(path))) return masked;
  const perCpu = Array.from(
    { length: Math.min(cpuCount, 512) },
    (_, cpu) => `/sys/devices/system/cpu/cpu${cpu}/thermal_throttle`,
  );
  return [...masked, ...perCpu.filter((path) => !masked.includes(path))];
}

/**
 * The mounts below everything that the client asked for.
 *
 * @param writableSys  privileged: /sys writable
 * @param writableCgroups  /sys/fs/cgroup writable
 * @param shmPath host path of another container's /dev/shm, or undefined for a new one
 */
export function planDefaultMounts(
  hostConfig: HostConfig,
  options: {
    readonly writableSys: boolean;
    readonly writableCgroups: boolean;
    readonly shmPath: string | undefined;
  },
): readonly OciMount[] {
  const access = (writable: boolean): readonly string[] => (writable ? [] : ["ro"]);
  const mounts: OciMount[] = [
    { destination: "/proc", type: "proc", source: "proc", options: ["nosuid", "noexec", "nodev"] },
    {
      destination: "/dev",
      type: "tmpfs",
      source: "tmpfs",
      options: ["nosuid", "strictatime", "mode=755", "size=65536k"],
    },
    {
      destination: "/dev/pts",
      type: "devpts",
      source: "devpts",
      options: ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"],
    },
    {
      destination: "/sys",
      type: "sysfs",
      source: "sysfs",
      options: ["nosuid", "noexec", "nodev", ...access(options.writableSys)],
    },
    {
      destination: "/sys/fs/cgroup",
      type: "cgroup",
      source: "cgroup",
      options: [...access(options.writableCgroups), "nosuid", "noexec", "nodev"],
    },
  ];
  const ipc = ipcModeOf(hostConfig);
  // In the host's ipc namespace this is the host's queue file system, whether or not the host has it mounted.
  mounts.push({ destination: "/dev/mqueue", type: "mqueue", source: "mqueue", options: ["nosuid", "noexec", "nodev"] });
  const shm = ipc === "host" ? "/dev/shm" : options.shmPath;
  if (shm !== undefined) {
    mounts.push({
      destination: "/dev/shm",
      type: "bind",
      source: shm,
      options: ["rbind", "nosuid", "noexec", "nodev"],
    });
  } else if (ipc !== "none") {
    mounts.push({
      destination: "/dev/shm",
      type: "tmpfs",
      source: "shm",
      options: ["nosuid", "noexec", "nodev", "mode=1777", `size=${hostConfig.ShmSize || defaultShmBytes}`],
    });
  }
  return mounts;
}

/** Default mounts without those that the client replaces; whoever replaces /dev gets none of what belongs inside it. */
export function withoutReplaced(defaults: readonly OciMount[], destinations: readonly string[]): readonly OciMount[] {
  const replaced = new Set(destinations);
  return defaults.filter(
    ({ destination }) => !replaced.has(destination) && !(replaced.has("/dev") && destination.startsWith("/dev/")),
  );
}
