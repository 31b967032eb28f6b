// Memory, CPU and process limits: dockerd's checks with dockerd's texts, and the OCI resources made of them.
// Units: Memory* bytes; NanoCpus 1e-9 CPU; CpuPeriod and CpuQuota µs. Source: Engine API 1.51, Resources.

import type { HostConfig } from "../../spec/docker/container.ts";
import type { OciResources } from "../../spec/oci/runtime.ts";
import { checkCpuset } from "./cpuset.ts";
import type { HostFacts } from "./index.ts";
import { checkUlimits, rlimitWarnings } from "./rlimits.ts";
import type { Rlimits } from "./rlimits.ts";

/** Memory below this keeps a container from starting at all: 6 MiB, "6MB" in dockerd's text. */
const minMemoryBytes = 6 * 1024 * 1024;
const defaultPeriodUs = 100_000;

function checkMemory(hostConfig: HostConfig): readonly string[] {
  const { Memory: memory = 0, MemorySwap: swap = 0, MemoryReservation: reservation = 0 } = hostConfig;
  const swappiness = hostConfig.MemorySwappiness ?? -1;
  const errors: string[] = [];
  if (memory !== 0 && memory < minMemoryBytes) errors.push("Minimum memory limit allowed is 6MB");
  if (memory > 0 && swap > 0 && swap < memory) {
    errors.push("Minimum memoryswap limit should be larger than memory limit, see usage");
  }
  if (memory === 0 && swap > 0) {
    errors.push("You should always set the Memory limit when using Memoryswap limit, see usage");
  }
  if (swappiness < -1 || swappiness > 100) {
    errors.push(`Invalid value: ${swappiness}, valid memory swappiness range is 0-100`);
  }
  if (reservation > 0 && reservation < minMemoryBytes) errors.push("Minimum memory reservation allowed is 6MB");
  if (memory > 0 && reservation > 0 && memory < reservation) {
    errors.push("Minimum memory limit can not be less than memory reservation limit, see usage");
  }
  return errors;
}

function checkCpu(hostConfig: HostConfig, facts: HostFacts): readonly string[] {
  const { NanoCpus: nano = 0, CpuPeriod: period = 0, CpuQuota: quota = 0, CpuShares: shares = 0 } = hostConfig;
  const errors: string[] = [];
  if (nano !== 0 && period !== 0) errors.push("Conflicting options: Nano CPUs and CPU Period cannot both be set");
  if (nano !== 0 && quota !== 0) errors.push("Conflicting options: Nano CPUs and CPU Quota cannot both be set");
  if (nano < 0 || nano > facts.cpuCount * 1e9) {
    const count = facts.cpuCount;
    errors.push(`range of CPUs is from 0.01 to ${count.toFixed(2)}, as there are only ${count} CPUs available`);
  }
  if (shares < 0) errors.push(`invalid CPU shares (${shares}): value must be a positive integer`);
  if (period !== 0 && (period < 1000 || period > 1_000_000)) {
    errors.push("CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)");
  }
  if (quota > 0 && quota < 1000) errors.push("CPU cfs quota can not be less than 1ms (i.e. 1000)");
  errors.push(...checkCpuset("cpus", hostConfig.CpusetCpus ?? "", facts.cpuCount));
  errors.push(...checkCpuset("mems", hostConfig.CpusetMems ?? "", undefined));
  return errors;
}

const wholeNumbers = [
  "Memory",
  "MemorySwap",
  "MemoryReservation",
  "MemorySwappiness",
  "NanoCpus",
  "CpuPeriod",
  "CpuQuota",
  "CpuShares",
  "PidsLimit",
  "OomScoreAdj",
  "ShmSize",
] as const satisfies readonly (keyof HostConfig)[];

/** Complaints about every limit of the request. */
export function checkResources(hostConfig: HostConfig, facts: HostFacts): readonly string[] {
  const broken = wholeNumbers.filter((field) => !Number.isSafeInteger(hostConfig[field] ?? 0));
  if (broken.length > 0) return broken.map((field) => `invalid ${field}: ${hostConfig[field]} is not a whole number`);
  const errors = [...checkMemory(hostConfig), ...checkCpu(hostConfig, facts), ...checkUlimits(hostConfig)];
  const oom = hostConfig.OomScoreAdj ?? 0;
  if (oom < -1000 || oom > 1000) errors.push(`Invalid value ${oom}, range for oom score adj is [-1000, 1000]`);
  if ((hostConfig.ShmSize ?? 0) < 0) errors.push("SHM size can not be less than 0");
  return errors;
}

/** Things that are granted less than asked, or nothing at all, in dockerd's words where it has some. */
export function resourceWarnings(hostConfig: HostConfig, facts: HostFacts, rlimits: Rlimits): readonly string[] {
  const warnings: string[] = [];
  if (hostConfig.OomKillDisable === true) {
    if (facts.cgroupVersion === 2) {
      warnings.push("Your kernel does not support OomKillDisable. OomKillDisable discarded.");
    } else if ((hostConfig.Memory ?? 0) === 0) {
      warnings.push(
        "OOM killer is disabled for the container, but no memory limit is set, this can result in the system running out of resources.",
      );
    }
  }
  const swappiness = hostConfig.MemorySwappiness ?? -1;
  if (swappiness !== -1 && facts.cgroupVersion === 2) {
    warnings.push(
      "Your kernel does not support memory swappiness capabilities or the cgroup is not mounted. Memory swappiness discarded.",
    );
  }
  warnings.push(...rlimitWarnings(hostConfig, facts, rlimits));
  return warnings;
}

/** OCI resources without the devices. A memory limit without a swap limit allows as much swap again, as in Docker. */
export function planResources(hostConfig: HostConfig, facts: HostFacts): Omit<OciResources, "devices"> {
  const { Memory: limit = 0, MemoryReservation: reservation = 0, NanoCpus: nano = 0 } = hostConfig;
  const swap = swapOf(hostConfig);
  const swappiness = hostConfig.MemorySwappiness ?? -1;
  const memory = {
    ...(limit > 0 ? { limit } : {}),
    ...(reservation > 0 ? { reservation } : {}),
    ...(swap !== 0 && limit > 0 ? { swap } : {}),
    ...(swappiness >= 0 && facts.cgroupVersion === 1 ? { swappiness } : {}),
    ...(hostConfig.OomKillDisable === true && facts.cgroupVersion === 1 ? { disableOOMKiller: true } : {}),
  };
  const period = nano > 0 ? defaultPeriodUs : (hostConfig.CpuPeriod ?? 0);
  // The kernel's smallest quota is 1 ms: NanoCpus below 0.01 CPU mean that much.
  const quota = nano > 0 ? Math.max(1000, Math.floor((nano * defaultPeriodUs) / 1e9)) : (hostConfig.CpuQuota ?? 0);
  const cpu = {
    ...((hostConfig.CpuShares ?? 0) > 0 ? { shares: clampShares(hostConfig.CpuShares ?? 0) } : {}),
    ...(period > 0 ? { period } : {}),
    ...(quota === 0 ? {} : { quota: Math.max(-1, quota) }),
    ...(hostConfig.CpusetCpus ? { cpus: hostConfig.CpusetCpus } : {}),
    ...(hostConfig.CpusetMems ? { mems: hostConfig.CpusetMems } : {}),
  };
  const pids = hostConfig.PidsLimit ?? 0;
  return {
    ...(Object.keys(memory).length > 0 ? { memory } : {}),
    ...(Object.keys(cpu).length > 0 ? { cpu } : {}),
    ...(pids > 0 ? { pids: { limit: pids } } : {}),
  };
}

/** The kernel's range for cpu.shares. */
function clampShares(shares: number): number {
  return Math.min(262_144, Math.max(2, shares));
}

/** MemorySwap as it takes effect: twice the memory where none is given, -1 for unlimited, 0 for no limit. */
export function swapOf(hostConfig: HostConfig): number {
  const { Memory: memory = 0, MemorySwap: swap = 0 } = hostConfig;
  if (memory <= 0) return swap < 0 ? -1 : 0;
  return swap === 0 ? memory * 2 : Math.max(-1, swap);
}
