// A host and an input for the tests of this room: fixed facts, a handful of devices, no look at the machine.

import { parseContainerId } from "../../base/ids.ts";
import type { ContainerConfig, HostConfig } from "../../spec/docker/container.ts";
import { capabilityNames } from "./capabilities.ts";
import type { HostFacts, SpecInput } from "./index.ts";
import type { HostDevice, SpecHost } from "./spec-host.ts";

export const v1Facts: HostFacts = {
  cgroupVersion: 1,
  cgroupMounts: Object.fromEntries(
    ["memory", "cpu", "cpuset", "pids", "devices"].map((name) => [name, `/sys/fs/cgroup/${name}`]),
  ),
  hybrid: false,
  cpuCount: 2,
  memoryBytes: 4 * 2 ** 30,
  architecture: "amd64",
  kernelVersion: "6.1.0-13-amd64",
  canRaiseLimits: true,
  appArmor: false,
  seLinux: false,
  seccomp: true,
};

export const v2Facts: HostFacts = { ...v1Facts, cgroupVersion: 2, cgroupMounts: { "": "/sys/fs/cgroup" } };

function device(path: string, type: "c" | "b", major: number, minor: number): HostDevice {
  return { path, type, major, minor, mode: 0o660, uid: 0, gid: 6 };
}

const devices = [
  device("/dev/null", "c", 1, 3),
  device("/dev/vda", "b", 254, 0),
  device("/dev/snd/timer", "c", 116, 33),
  device("/dev/snd/seq", "c", 116, 1),
];

export const fakeHost: SpecHost = {
  capabilities: capabilityNames,
  rlimits: new Map([["nofile", 20_000]]),
  deviceAt: (path) =>
    devices.find((each) => each.path === path) ?? (path === "/dev/snd" || path === "/etc" ? "other" : "missing"),
  devicesUnder: (directory) => devices.filter((each) => each.path.startsWith(`${directory}/`)),
  propagationOf: (path) => ({ mountPoint: "/", shared: path.startsWith("/shared"), slave: path.startsWith("/slave") }),
  isDirectory: (path) => !path.startsWith("/file"),
  readText: (path) => (path.endsWith("cgroup.controllers") ? "cpuset cpu io memory pids\n" : ""),
};

export const testId = parseContainerId("5a".repeat(32));

/** A container of the image's command `sh`, joined to a network namespace of its own. */
export function specInput(
  hostConfig: HostConfig = {},
  config: ContainerConfig = {},
  changes: Partial<SpecInput> = {},
): SpecInput {
  return {
    id: testId,
    config,
    hostConfig,
    args: ["sh"],
    user: { uid: 0, gid: 0, additionalGids: [0], home: "/root" },
    hostname: "box",
    rootfsPath: "/run/gantry/rootfs",
    namespaces: { network: "/proc/7/ns/net", pid: undefined, ipc: undefined, uts: undefined, cgroup: undefined },
    files: { hosts: "/data/hosts", hostname: "/data/hostname", resolvConf: "/data/resolv.conf" },
    shmPath: undefined,
    initPath: "/usr/bin/tini-static",
    cgroupsPath: "/gantry/5a5a",
    seccomp: "unconfined",
    facts: v1Facts,
    runtimeTakesBpf: true,
    ...changes,
  };
}
