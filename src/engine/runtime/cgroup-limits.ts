// Which limits this host's cgroups can enforce, and what is told when one that was asked for cannot be.
// Source: cgroups(7), Documentation/admin-guide/cgroup-v1 and cgroup-v2; texts as dockerd gives them.

import { join } from "node:path";
import type { HostConfig } from "../../spec/docker/container.ts";
import type { HostFacts } from "./index.ts";
import type { SpecHost } from "./spec-host.ts";

export interface CgroupLimits {
  readonly memory: boolean;
  readonly swap: boolean;
  readonly cpu: boolean;
  readonly cpuset: boolean;
  readonly pids: boolean;
}

/** Reads at most two small files of the cgroup file system. */
export function readCgroupLimits(facts: HostFacts, host: SpecHost): CgroupLimits {
  const mount = facts.cgroupMounts[""] ?? "/sys/fs/cgroup";
  const has =
    facts.cgroupVersion === 1
      ? (controller: string): boolean => Object.hasOwn(facts.cgroupMounts, controller)
      : (
          (present) =>
          (controller: string): boolean =>
            present.includes(controller)
        )((host.readText(join(mount, "cgroup.controllers")) ?? "").trim().split(" "));
  const memory = has("memory");
  // memory.swap.max is missing in the root cgroup of v2, so the kernel's own word for it is asked: /proc/swaps exists with CONFIG_SWAP.
  const swapFile =
    facts.cgroupVersion === 1 ? join(facts.cgroupMounts["memory"] ?? "", "memory.memsw.limit_in_bytes") : "/proc/swaps";
  return {
    memory,
    swap: memory && host.readText(swapFile) !== undefined,
    cpu: has("cpu"),
    cpuset: has("cpuset"),
    pids: has("pids"),
  };
}

/** HostConfig without the limits that cannot be enforced, and one text for each that was asked for. */
export function withoutUnenforceable(
  hostConfig: HostConfig,
  limits: CgroupLimits,
): { readonly hostConfig: HostConfig; readonly warnings: readonly string[] } {
  const warnings: string[] = [];
  let result = hostConfig;
  const drop = (asked: boolean, text: string, without: Partial<HostConfig>): void => {
    if (!asked) return;
    warnings.push(text);
    result = { ...result, ...without };
  };
  const { Memory: memory = 0, MemoryReservation: reservation = 0, MemorySwap: swap = 0 } = hostConfig;
  const unsupported = (what: string, then: string): string =>
    `Your kernel does not support ${what} or the cgroup is not mounted. ${then}`;
  if (!limits.memory) {
    drop(memory > 0, unsupported("memory limit capabilities", "Limitation discarded."), { Memory: 0, MemorySwap: -1 });
    drop(reservation > 0, unsupported("memory soft limit capabilities", "Limitation discarded."), {
      MemoryReservation: 0,
    });
  } else if (!limits.swap) {
    drop(memory > 0 && swap !== -1, unsupported("swap limit capabilities", "Memory limited without swap."), {
      MemorySwap: -1,
    });
  }
  if (!limits.cpu) {
    drop((hostConfig.CpuShares ?? 0) > 0, unsupported("CPU shares", "Shares discarded."), { CpuShares: 0 });
    const cfs = (hostConfig.NanoCpus ?? 0) > 0 || (hostConfig.CpuPeriod ?? 0) > 0 || (hostConfig.CpuQuota ?? 0) > 0;
    drop(cfs, unsupported("CPU CFS scheduler", "Quota and period discarded."), {
      NanoCpus: 0,
      CpuPeriod: 0,
      CpuQuota: 0,
    });
  }
  if (!limits.cpuset) {
    const asked = (hostConfig.CpusetCpus ?? "") !== "" || (hostConfig.CpusetMems ?? "") !== "";
    drop(asked, unsupported("cpuset", "Cpuset discarded."), { CpusetCpus: "", CpusetMems: "" });
  }
  if (!limits.pids) {
    drop((hostConfig.PidsLimit ?? 0) > 0, unsupported("PIDs limit capabilities", "PIDs limit discarded."), {
      PidsLimit: null,
    });
  }
  return { hostConfig: result, warnings };
}
