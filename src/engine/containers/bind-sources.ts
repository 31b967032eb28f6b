// Host paths that binds need: looked at when a container is created, made or missed when it starts.

import { mkdir, stat } from "node:fs/promises";
import { EngineError, messageOf } from "../../base/errors.ts";
import { hostPathsOf, type PlannedMount } from "../runtime/index.ts";

/** Complaints about mounts of type bind whose source is not there; Binds make theirs at start. */
export async function missingSources(mounts: readonly PlannedMount[]): Promise<readonly string[]> {
  const own = mounts.filter(({ origin }) => origin !== "VolumesFrom");
  const wanted = hostPathsOf(own).filter(({ create }) => !create);
  const there = await Promise.all(wanted.map(({ path }) => exists(path)));
  return wanted.filter((_, n) => there[n] !== true).map(({ path }) => missing(path));
}

/** @throws InvalidParameter a source is missing and not to be made (dockerd: 400); System it cannot be made */
export async function makeBindSources(mounts: readonly PlannedMount[]): Promise<void> {
  for (const { path, create } of hostPathsOf(mounts)) {
    if (await exists(path)) continue;
    if (!create) throw new EngineError("InvalidParameter", missing(path));
    await mkdir(path, { recursive: true, mode: 0o755 }).catch((cause: unknown) => {
      const text = `error while creating mount source path '${path}': ${messageOf(cause)}`;
      throw new EngineError("System", text, { cause });
    });
  }
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
