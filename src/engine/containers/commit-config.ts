// The config of an image that is committed from a container: what the request says, changed by the instructions, filled up from
// the container. Pure. Source: dockerd 28.5, POST /commit.

import type { ContainerConfig, HealthConfig } from "../../spec/docker/container.ts";
import { applyChanges } from "../images/changes.ts";
import { mergeConfig } from "./merge-config.ts";

/**
 * @param request a config without a single member stands for the container's own
 * @param changes Dockerfile instructions
 * @throws InvalidParameter an instruction
 */
export function planCommitConfig(
  request: ContainerConfig,
  changes: readonly string[],
  container: ContainerConfig,
): ContainerConfig {
  const base = Object.keys(request).length === 0 ? container : request;
  const changed = applyChanges(base, changes);
  const merged = mergeConfig(changed, container);
  const healthcheck = mergeHealthcheck(changed.Healthcheck, container.Healthcheck);
  const volumes = { ...changed.Volumes, ...container.Volumes };
  return {
    ...merged,
    Volumes: Object.keys(volumes).length > 0 ? volumes : (changed.Volumes ?? null),
    ...(healthcheck === undefined ? {} : { Healthcheck: healthcheck }),
  };
}

function mergeHealthcheck(own: HealthConfig | undefined, other: HealthConfig | undefined): HealthConfig | undefined {
  if (own === undefined || other === undefined) return own ?? other;
  const test = (own.Test ?? []).length > 0 ? own.Test : other.Test;
  return {
    ...other,
    ...Object.fromEntries(Object.entries(own).filter(([, value]) => value !== 0 && value !== null)),
    ...(test === undefined ? {} : { Test: test }),
  };
}
