// The container's configuration: what the client asked for over what the image says, by dockerd's rules. Pure.
// Source: Engine API 1.51, ContainerCreate; behaviour of dockerd 28.5.

import type { ContainerConfig } from "../../spec/docker/container.ts";
import type { ImageConfig } from "../../spec/docker/image.ts";

/** Lists and maps that the client left out, or sent empty, are the image's; environment, labels and ports are joined. */
export function mergeConfig(request: ContainerConfig, image: ImageConfig): ContainerConfig {
  const merged: { -readonly [K in keyof ContainerConfig]: ContainerConfig[K] } = { ...request };
  if (!request.User) merged.User = image.User ?? "";
  const ports = { ...image.ExposedPorts, ...request.ExposedPorts };
  if (Object.keys(ports).length > 0) merged.ExposedPorts = ports;
  const volumes = { ...image.Volumes, ...request.Volumes };
  merged.Volumes = Object.keys(volumes).length > 0 ? volumes : null;
  merged.Env = mergeEnvironment(request.Env ?? [], image.Env ?? []);
  merged.Labels = { ...image.Labels, ...request.Labels };
  if (isEmpty(request.Entrypoint)) {
    if (isEmpty(request.Cmd)) {
      merged.Cmd = image.Cmd ?? null;
      if (image.ArgsEscaped === true) merged.ArgsEscaped = true;
    }
    // An empty list, unlike none, says: without the image's.
    if (request.Entrypoint === undefined || request.Entrypoint === null) merged.Entrypoint = image.Entrypoint ?? null;
  }
  if (merged.Entrypoint?.length === 1 && merged.Entrypoint[0] === "") merged.Entrypoint = null;
  if (!request.WorkingDir) merged.WorkingDir = image.WorkingDir ?? "";
  if (!request.StopSignal && image.StopSignal) merged.StopSignal = image.StopSignal;
  if (isEmpty(request.Shell) && !isEmpty(image.Shell)) merged.Shell = image.Shell ?? null;
  return merged;
}

/** The client's variables first, then those of the image that it did not name. */
function mergeEnvironment(request: readonly string[], image: readonly string[]): readonly string[] {
  const names = new Set(request.map(nameOf));
  return [...request, ...image.filter((entry) => !names.has(nameOf(entry)))];
}

function nameOf(entry: string): string {
  return entry.split("=", 1)[0] ?? "";
}

function isEmpty(list: readonly unknown[] | null | undefined): boolean {
  return list === undefined || list === null || list.length === 0;
}

/** What the image asks of its containers and the engine cannot do yet, unless the request says to do without. */
export function unsupportedOfImage(request: ContainerConfig, image: ImageConfig): readonly string[] {
  const names: string[] = [];
  const check = image.Healthcheck?.Test?.[0];
  if (check !== undefined && check !== "NONE" && check !== "" && request.Healthcheck?.Test?.[0] !== "NONE") {
    names.push("the image's Config.Healthcheck");
  }
  return names;
}
