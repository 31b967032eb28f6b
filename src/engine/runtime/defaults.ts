// What dockerd fills into a HostConfig before it is stored, so that inspect shows what is in force.

import type { HostConfig } from "../../spec/docker/container.ts";
import { defaultMaskedPaths, defaultReadonlyPaths, defaultShmBytes } from "./default-mounts.ts";
import type { HostFacts } from "./index.ts";
import { cgroupnsModeOf, ipcModeOf } from "./namespace-modes.ts";
import { swapOf } from "./resources.ts";
import { parseSecurityOptions } from "./security-options.ts";

/** Options of SecurityOpt that are expressed by other fields and not shown again. */
function isPathOption(option: string): boolean {
  return /^systempaths[=:]unconfined$/.test(option);
}

/** HostConfig as it takes effect. Call after validate had nothing against it; the spec is the same with and without. */
export function applyDefaults(hostConfig: HostConfig, facts: HostFacts): HostConfig {
  const options = hostConfig.SecurityOpt ?? [];
  const unmasked = hostConfig.Privileged === true || parseSecurityOptions(options).unconfinedPaths;
  const swappiness = hostConfig.MemorySwappiness ?? -1;
  const pids = hostConfig.PidsLimit ?? 0;
  const { MemorySwappiness: _swappiness, PidsLimit: _pids, ...rest } = hostConfig;
  return {
    ...rest,
    NetworkMode:
      hostConfig.NetworkMode === undefined || hostConfig.NetworkMode === "default" || hostConfig.NetworkMode === ""
        ? "bridge"
        : hostConfig.NetworkMode,
    IpcMode: ipcModeOf(hostConfig),
    CgroupnsMode: cgroupnsModeOf(hostConfig, facts),
    ShmSize: hostConfig.ShmSize || defaultShmBytes,
    MemorySwap: swapOf(hostConfig),
    ...(swappiness === -1 ? {} : { MemorySwappiness: swappiness }),
    ...(pids > 0 ? { PidsLimit: pids } : { PidsLimit: null }),
    SecurityOpt: options.length === 0 ? null : options.filter((option) => !isPathOption(option)),
    MaskedPaths: hostConfig.MaskedPaths ?? (unmasked ? [] : defaultMaskedPaths),
    ReadonlyPaths: hostConfig.ReadonlyPaths ?? (unmasked ? [] : defaultReadonlyPaths),
    LogConfig: { Type: hostConfig.LogConfig?.Type || "json-file", Config: hostConfig.LogConfig?.Config ?? {} },
    RestartPolicy: {
      Name: hostConfig.RestartPolicy?.Name || "no",
      MaximumRetryCount: hostConfig.RestartPolicy?.MaximumRetryCount ?? 0,
    },
  };
}
