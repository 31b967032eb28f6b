// What of HostConfig.Mounts an older API had: what it did not know is not given, or refused where a container would not be what was asked
// for. Source: "API version history" of the Engine API; dockerd 28.5's postContainersCreate.

import { EngineError } from "../../../base/errors.ts";
import type { Mount } from "../../../spec/docker/container.ts";

/** Options of binds that an older API ignored, with the version that brought them. */
const bindOptions = [
  ["NonRecursive", 40],
  ["CreateMountpoint", 42],
  ["ReadOnlyNonRecursive", 44],
] as const;

/**
 * @param minor of the API version, 1.x
 * @throws InvalidParameter a form of a mount that this version cannot ask for
 */
export function mountOfVersion(mount: Mount, minor: number): Mount {
  const needs = (what: string, version: number): void => {
    if (minor < version) throw new EngineError("InvalidParameter", `${what} needs API v1.${version} or newer`);
  };
  if (mount.BindOptions?.ReadOnlyForceRecursive === true) needs("BindOptions.ReadOnlyForceRecursive", 44);
  if ((mount.VolumeOptions?.Subpath ?? "") !== "") needs("VolumeOptions.Subpath", 45);
  if (mount.Type === "image") needs('Mount type "Image"', 48);
  const { Consistency, ...rest } = mount;
  const kept = (Consistency ?? "") === "" ? rest : mount;
  const options = mount.BindOptions;
  if (options === undefined || options === null) return kept;
  const ignored = bindOptions.filter(([name, version]) => minor < version && options[name] !== undefined);
  if (ignored.length === 0) return kept;
  return { ...kept, BindOptions: { ...options, ...Object.fromEntries(ignored.map(([name]) => [name, false])) } };
}
