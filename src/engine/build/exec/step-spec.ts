// A step as network/ and runtime/ want to see it: a container that nobody lists. Pure.

import type { ContainerId } from "../../../base/ids.ts";
import type { ContainerConfig, HostConfig } from "../../../spec/docker/container.ts";
import type { NetworkRequest } from "../../network/index.ts";
import type { ExecOp } from "../graph/index.ts";
import type { ExecDeps } from "./index.ts";

/** BuildKit's. */
const defaultHostname = "buildkitsandbox";

/** @param env with secrets, for the process alone */
export function configOf(op: ExecOp, env: readonly string[]): ContainerConfig {
  return {
    Hostname: op.hostname === "" ? defaultHostname : op.hostname,
    User: op.user,
    Env: [...env],
    WorkingDir: op.workingDirectory,
    Tty: false,
  };
}

/** As containers' NetworkMode. */
export function networkModeOf({ network, limits }: ExecOp): string {
  return network === "default" ? (limits.networkName ?? "bridge") : network;
}

const noCore = { Name: "core", Soft: 0, Hard: 0 } as const;

export function hostConfigOf(op: ExecOp, config: ExecDeps["config"]): HostConfig {
  const { limits } = op;
  const memory = limits.memoryBytes ?? 0;
  const swap = limits.memorySwapBytes ?? 0;
  const said = limits.ulimits.map(({ Name, Soft, Hard }) => ({ Name, Soft, Hard }));
  // The core file of a process that knows a secret would be in the layer.
  const hasSecrets = op.mounts.some(({ type }) => type === "secret");
  const asked = hasSecrets && !said.some(({ Name }) => Name === "core") ? [...said, noCore] : said;
  const defaults = config.ulimits.filter(({ Name }) => !asked.some((own) => own.Name === Name));
  return {
    NetworkMode: networkModeOf(op),
    ExtraHosts: [...limits.extraHosts],
    IpcMode: "private",
    Privileged: op.security === "insecure",
    ShmSize: limits.shmSizeBytes || config.shmSizeBytes,
    Memory: memory,
    MemorySwap: memory > 0 && swap === 0 ? memory * 2 : swap,
    CpuShares: limits.cpuShares ?? 0,
    CpuPeriod: limits.cpuPeriodUs ?? 0,
    CpuQuota: limits.cpuQuotaUs ?? 0,
    CpusetCpus: limits.cpusetCpus ?? "",
    CpusetMems: limits.cpusetMems ?? "",
    Ulimits: [...asked, ...defaults],
  };
}

export function networkRequestOf(id: ContainerId, config: ContainerConfig, hostConfig: HostConfig): NetworkRequest {
  return { id, name: `build-${id.slice(0, 12)}`, config, hostConfig, networkingConfig: {}, links: [] };
}

/** A cgroup of its own, under a name that no container has. */
export function cgroupOf(op: ExecOp, id: string, config: ExecDeps["config"]): string {
  const asked = op.limits.cgroupParent ?? "";
  const parent = asked === "" ? config.cgroupParent : asked.startsWith("/") ? asked : `/${asked}`;
  return `${parent.replace(/\/+$/, "")}/step-${id}`;
}
