// Host paths that binds need: looked at when a container is created, made or missed when it starts.

import { mkdir, stat } from "node:fs/promises";
import { EngineError, messageOf } from "../../base/errors.ts";
import type { HostConfig } from "../../spec/docker/container.ts";
import { type HostPath, hostPathsOf, planMounts } from "../runtime/index.ts";

/** Complaints about mounts of type bind whose source is not there; Binds make theirs at start. */
export async function missingSources(hostConfig: HostConfig): Promise<readonly string[]> {
  const wanted = sourcesOf(hostConfig).filter(({ create }) => !create);
  const there = await Promise.all(wanted.map(({ path }) => exists(path)));
  return wanted.filter((_, n) => there[n] !== true).map(({ path }) => missing(path));
}

/** @throws System a source is missing and not to be made, or cannot be made */
export async function makeBindSources(hostConfig: HostConfig): Promise<void> {
  for (const { path, create } of sourcesOf(hostConfig)) {
    if (await exists(path)) continue;
    if (!create) throw new EngineError("System", missing(path));
    await mkdir(path, { recursive: true, mode: 0o755 }).catch((cause: unknown) => {
      const text = `error while creating mount source path '${path}': ${messageOf(cause)}`;
      throw new EngineError("System", text, { cause });
    });
  }
}

function sourcesOf(hostConfig: HostConfig): readonly HostPath[] {
  return hostPathsOf(planMounts(hostConfig, true));
}

function missing(path: string): string {
  return `invalid mount config for type "bind": bind source path does not exist: ${path}`;
}

function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}
