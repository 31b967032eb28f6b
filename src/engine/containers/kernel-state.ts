// What the kernel and the disk hold that is this engine's, found without asking the records: run directories, runtime state,
// cgroups, shims. The sweep at start deletes what belongs to nobody, the check reports it.

import { readdir, readFile, readlink } from "node:fs/promises";
import { join } from "node:path";
import { errnoOf } from "../../base/errors.ts";
import type { ContainerId } from "../../base/ids.ts";
import { listCgroups } from "../kernel/cgroups.ts";
import { readProcessStat } from "../kernel/process-identity.ts";
import { isForeignRun } from "./foreign-run.ts";
import type { Room } from "./room.ts";

const containerId = /^[0-9a-f]{64}$/;

export interface ShimProcess {
  readonly pid: number;
  readonly startTime: string;
  /** As in /proc/<pid>/stat: "T" is stopped. */
  readonly state: string;
  readonly containerId: ContainerId;
}

/** Run directories, by container. */
export function runDirs(room: Room): Promise<readonly ContainerId[]> {
  return idsIn(join(room.deps.paths.execRoot, "containers"));
}

/** State directories that OCI runtimes have left. */
export function runtimeStates(room: Room): Promise<readonly ContainerId[]> {
  return idsIn(room.runtimeRoot());
}

/** Places of shared /dev/shm mounts. */
export function shmDirs(room: Room): Promise<readonly ContainerId[]> {
  return idsIn(join(room.deps.paths.execRoot, "shm"));
}

export function dataDirs(room: Room): Promise<readonly ContainerId[]> {
  return idsIn(join(room.deps.paths.dataRoot, "containers"));
}

/** Cgroups under the engine's parent that are not another engine's; those of containers with a CgroupParent of their own are not among them. */
export function ownCgroups(room: Room): readonly ContainerId[] {
  const ids = listCgroups(room.hierarchies, room.deps.config.cgroupParent).filter((name) => containerId.test(name));
  return (ids as ContainerId[]).filter((id) => !isForeignRun(room, id));
}

/** Shims of this engine: processes of that name which hold a run directory of ours open. */
export async function shimProcesses(room: Room): Promise<readonly ShimProcess[]> {
  const prefix = `${join(room.deps.paths.execRoot, "containers")}/`;
  const pids = (await readdir("/proc")).filter((name) => /^\d+$/.test(name));
  const found = await Promise.all(
    pids.map(async (pid): Promise<(ShimProcess & { readonly parentPid: number }) | undefined> => {
      const title = await readFile(`/proc/${pid}/cmdline`, "latin1").catch(() => "");
      if (!title.startsWith("gantry-shim ")) return undefined;
      const fds = await readdir(`/proc/${pid}/fd`).catch((): string[] => []);
      for (const fd of fds) {
        const target = await readlink(`/proc/${pid}/fd/${fd}`).catch(() => "");
        const id = target.startsWith(prefix) ? target.slice(prefix.length, prefix.length + 64) : "";
        if (!containerId.test(id)) continue;
        const stat = readProcessStat(Number(pid));
        if (stat === undefined) return undefined;
        const { startTime, state, parentPid } = stat;
        return { pid: Number(pid), startTime, state, parentPid, containerId: id as ContainerId };
      }
      return undefined;
    }),
  );
  const shims = found.filter((shim) => shim !== undefined);
  const own = new Set(shims.map((shim) => shim.pid));
  // A child of a shim is on its way to be a runtime: not yet executed, it looks like its parent.
  return shims.filter(({ parentPid }) => !own.has(parentPid));
}

/** Nothing is done when it has gone already. */
export function signalShim({ pid, startTime }: Pick<ShimProcess, "pid" | "startTime">, signal: NodeJS.Signals): void {
  if (readProcessStat(pid)?.startTime !== startTime) return;
  try {
    process.kill(pid, signal);
  } catch (error) {
    if (errnoOf(error) !== "ESRCH") throw error;
  }
}

/** To all shims of a container. */
export async function signalShims(room: Room, id: ContainerId, signal: NodeJS.Signals): Promise<void> {
  for (const shim of await shimProcesses(room)) if (shim.containerId === id) signalShim(shim, signal);
}

async function idsIn(directory: string): Promise<readonly ContainerId[]> {
  const names = await readdir(directory).catch((): string[] => []);
  return names.filter((name) => containerId.test(name)) as ContainerId[];
}
