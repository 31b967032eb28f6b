// Fields of a request that are valid Docker and not built yet. Each is named when it is set, and none is ever ignored.
// Source: Engine API 1.51, ContainerConfig and HostConfig.

import type { ContainerConfig, HostConfig } from "../../spec/docker/container.ts";
import type { HostFacts } from "./index.ts";
import { isRelabelledBind } from "./mount-binds.ts";
import { isRelabelledFrom } from "./volumes-from.ts";

/** Values by which a client says nothing: Go's zero values, empty lists and maps. */
function isEmpty(value: unknown): boolean {
  if (value === undefined || value === null || value === "" || value === 0 || value === false) return true;
  if (Array.isArray(value)) return value.length === 0;
  return typeof value === "object" && Object.keys(value).length === 0;
}

const hostFields = [
  "Cgroup",
  "BlkioWeight",
  "BlkioWeightDevice",
  "BlkioDeviceReadBps",
  "BlkioDeviceWriteBps",
  "BlkioDeviceReadIOps",
  "BlkioDeviceWriteIOps",
  "CpuRealtimePeriod",
  "CpuRealtimeRuntime",
  "DeviceRequests",
  "KernelMemoryTCP",
  "CpuCount",
  "CpuPercent",
  "IOMaximumIOps",
  "IOMaximumBandwidth",
] as const satisfies readonly (keyof HostConfig)[];

/** A health check that checks nothing is none: {"Test": ["NONE"]} or times alone. */
function hasHealthcheck(config: ContainerConfig): boolean {
  const kind = config.Healthcheck?.Test?.[0];
  return kind !== undefined && kind !== "" && kind !== "NONE";
}

/** The names of fields that are asked for and missing, for `<name> is not supported yet`. */
export function listUnsupported(config: ContainerConfig, hostConfig: HostConfig, facts: HostFacts): readonly string[] {
  const names: string[] = [];
  if (hasHealthcheck(config)) names.push("Config.Healthcheck");
  for (const field of hostFields) if (!isEmpty(hostConfig[field])) names.push(`HostConfig.${field}`);
  if (facts.seLinux && (hostConfig.Binds ?? []).some(isRelabelledBind)) names.push("HostConfig.Binds with z or Z");
  if (facts.seLinux && (hostConfig.VolumesFrom ?? []).some(isRelabelledFrom))
    names.push("HostConfig.VolumesFrom with z or Z");
  return names;
}
