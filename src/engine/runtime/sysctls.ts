// HostConfig.Sysctls: only those that belong to a namespace of the container's own. A name is taken apart by exact
// rules so that nothing is smuggled past the list (CVE-2022-0811: "a=1+kernel.core_pattern=…").
// Source: sysctl(7), namespaces(7), ipc_namespaces(7); texts as runc gives them through dockerd.

import type { HostConfig } from "../../spec/docker/container.ts";

/** System V and POSIX queues: the sysctls of an ipc namespace. Source: ipc_namespaces(7). */
const ipcSysctls: ReadonlySet<string> = new Set([
  "kernel.msgmax",
  "kernel.msgmnb",
  "kernel.msgmni",
  "kernel.sem",
  "kernel.shmall",
  "kernel.shmmax",
  "kernel.shmmni",
  "kernel.shm_rmid_forced",
]);

const namePattern = /^[a-z0-9_]+(?:[./][A-Za-z0-9_@:-]+)+$/;

/** Slashes and dots swapped where the first separator is a slash, as sysctl(8) does: "net/ipv4/conf/eth0.1/x". */
function canonical(name: string): string {
  const first = /[./]/.exec(name)?.[0];
  if (first !== "/") return name;
  return name.replaceAll(/[./]/g, (c) => (c === "/" ? "." : "/"));
}

/** Complaints about names and values, in the words that dockerd's clients see. */
export function checkSysctls(hostConfig: HostConfig): readonly string[] {
  const errors: string[] = [];
  const hostNetwork = hostConfig.NetworkMode === "host";
  const hostIpc = hostConfig.IpcMode === "host";
  for (const [given, value] of Object.entries(hostConfig.Sysctls ?? {})) {
    const name = canonical(given);
    const quoted = `sysctl ${JSON.stringify(given)}`;
    if (/[^\P{Cc}\t]/u.test(value)) errors.push(`${quoted} has control characters in its value`);
    if (!namePattern.test(name) || name.includes("..")) errors.push(`${quoted} is not in a separate kernel namespace`);
    else if (ipcSysctls.has(name) || name.startsWith("fs.mqueue.")) {
      if (hostIpc) errors.push(`${quoted} is not allowed in the hosts ipc namespace`);
    } else if (name.startsWith("net.")) {
      if (hostNetwork) errors.push(`${quoted} not allowed in host network namespace`);
    } else if (name === "kernel.hostname") {
      errors.push(`${quoted} is not allowed as it conflicts with the OCI "hostname" field`);
    } else if (name !== "kernel.domainname" || hostConfig.UTSMode === "host") {
      errors.push(`${quoted} is not in a separate kernel namespace`);
    }
  }
  return errors;
}

/**
 * What is written: the client's sysctls over the defaults, which let unprivileged processes bind low ports and ping.
 *
 * @param ownNetwork the container has a network namespace of its own (not the host's, not another container's)
 */
export function planSysctls(
  hostConfig: HostConfig,
  domainname: string,
  ownNetwork: boolean,
): Readonly<Record<string, string>> {
  const sysctls = new Map<string, string>();
  if (ownNetwork) {
    sysctls.set("net.ipv4.ip_unprivileged_port_start", "0");
    sysctls.set("net.ipv4.ping_group_range", "0 2147483647");
  }
  if (domainname !== "" && hostConfig.UTSMode !== "host") sysctls.set("kernel.domainname", domainname);
  for (const [name, value] of Object.entries(hostConfig.Sysctls ?? {})) sysctls.set(canonical(name), value);
  return Object.fromEntries(sysctls);
}
