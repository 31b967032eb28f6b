// What a step has on disk beside its writable layer: a run directory with its bundle and sockets, and, on the layers' file system,
// the layer of places to mount upon and what its throw-away mounts were written to.

import { existsSync, mkdirSync, statfsSync } from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { readMounts } from "../../kernel/mountinfo.ts";
import { run } from "../../kernel/run.ts";
import { removeSmallTree } from "../../kernel/small-tree.ts";

/** linux/magic.h */
const memoryFileSystems: ReadonlySet<number> = new Set([0x01021994, 0x858458f6]);

export interface StepDirectories {
  /** `<execRoot>/steps/<id>`. */
  readonly run: string;
  /** `<dataRoot>/build/steps/<id>`. */
  readonly data: string;
  readonly stubs: string;
  /** A layer with nothing in it, because an overlay wants two. */
  readonly empty: string;
}

export function stepDirectories(execRoot: string, dataRoot: string, id: string): StepDirectories {
  const data = join(dataRoot, "build/steps", id);
  return { run: join(execRoot, "steps", id), data, stubs: join(data, "stubs"), empty: join(data, "empty") };
}

/** @param inMemory the run directory holds secrets: it is a tmpfs, whatever the exec root is on */
export async function makeStepDirectories(directories: StepDirectories, inMemory: boolean): Promise<void> {
  mkdirSync(directories.run, { recursive: true, mode: 0o700 });
  mkdirSync(directories.stubs, { recursive: true, mode: 0o700 });
  mkdirSync(directories.empty, { mode: 0o755 });
  if (inMemory && !memoryFileSystems.has(statfsSync(directories.run).type))
    await run(["mount", "-t", "tmpfs", "-o", "nosuid,nodev,mode=700,size=64m", "gantry-step", directories.run]);
}

/** The upper and work directory of a mount whose writes are thrown away. */
export function makeThrowAway(directories: StepDirectories, name: string): { upper: string; work: string } {
  const upper = join(directories.data, name, "fs");
  const work = join(directories.data, name, "work");
  mkdirSync(upper, { recursive: true, mode: 0o755 });
  mkdirSync(work, { mode: 0o700 });
  return { upper, work };
}

/** Idempotent; to be called when nothing of the step runs any more. */
export async function removeStepDirectories({ run: runDir, data }: StepDirectories): Promise<void> {
  if (existsSync(runDir)) {
    const mounted = !removeSmallTree(runDir) && readMounts().some(({ mountPoint }) => mountPoint === runDir);
    if (mounted) await run(["umount", "--lazy", runDir]);
    await removeTree(runDir);
  }
  await removeTree(data);
}

/** A tree of any size and depth; no link in it is followed. */
export async function removeTree(directory: string): Promise<void> {
  if (!existsSync(directory) || removeSmallTree(directory)) return;
  try {
    await rm(directory, { recursive: true, force: true });
  } catch {
    // Deeper than a path can be long: rm walks by descriptors.
    await run(["rm", "-rf", "--one-file-system", "--", directory], { timeoutMs: 600_000 });
  }
}
