// HostConfig with the engine's defaults filled in: what is stored, what the spec is built from, what inspect shows. Pure.
// Source: behaviour of dockerd 28.5 (inspect after create with an empty HostConfig).

import type { HostConfig } from "../../spec/docker/container.ts";
import type { HostFacts } from "../runtime/index.ts";
import { cgroupnsModeOf, ipcModeOf } from "../runtime/namespace-modes.ts";
import type { ContainersConfig } from "./room.ts";

/** @param pin fixes the container that a "container:x" mode means */
export function fillHostConfig(
  asked: HostConfig,
  config: Pick<ContainersConfig, "defaultRuntime" | "logDriver" | "logOptions" | "shmSizeBytes" | "init" | "ulimits">,
  facts: HostFacts,
  pin: (mode: string | undefined) => string | undefined,
): HostConfig {
  const memory = asked.Memory ?? 0;
  const swap = asked.MemorySwap ?? 0;
  const network = pin(asked.NetworkMode) ?? "";
  const driver = asked.LogConfig?.Type || config.logDriver;
  const options = asked.LogConfig?.Config ?? {};
  return {
    ...asked,
    // The daemon's options belong to the daemon's driver.
    LogConfig: { Type: driver, Config: driver === config.logDriver ? { ...config.logOptions, ...options } : options },
    NetworkMode: network === "" || network === "default" ? "bridge" : network,
    RestartPolicy: {
      Name: asked.RestartPolicy?.Name || "no",
      MaximumRetryCount: asked.RestartPolicy?.MaximumRetryCount ?? 0,
    },
    CgroupnsMode: cgroupnsModeOf(asked, facts),
    IpcMode: pin(ipcModeOf(asked)) ?? "private",
    PidMode: pin(asked.PidMode) ?? "",
    ShmSize: asked.ShmSize || config.shmSizeBytes,
    Runtime: asked.Runtime || config.defaultRuntime,
    MemorySwap: memory > 0 && swap === 0 ? memory * 2 : swap,
    Init: asked.Init ?? (config.init ? true : null),
    Ulimits: mergeUlimits(asked.Ulimits ?? null, config.ulimits),
    OomKillDisable: asked.OomKillDisable ?? false,
    PidsLimit: (asked.PidsLimit ?? 0) > 0 ? (asked.PidsLimit ?? null) : null,
  };
}

type Ulimits = NonNullable<HostConfig["Ulimits"]>;

/** The container's own, and the daemon's of other names; without any, what the client sent: null or an empty list. */
function mergeUlimits(asked: Ulimits | null, defaults: ContainersConfig["ulimits"]): Ulimits | null {
  const added = defaults.filter(({ Name }) => asked?.some((own) => own.Name === Name) !== true);
  return added.length > 0 ? [...(asked ?? []), ...added] : asked;
}
