// Whether a run in our part of the cgroup tree is another engine's: two daemons with different roots and the same
// --cgroup-parent must not end each other's containers. What its processes have for a root file system tells.

import { existsSync } from "node:fs";
import { join } from "node:path";
import type { ContainerId } from "../../base/ids.ts";
import { processesIn } from "../kernel/cgroups.ts";
import { readMounts } from "../kernel/mountinfo.ts";
import type { Room } from "./room.ts";

/** False for every run that has left a trace in our roots, and for one whose processes have gone. */
export function isForeignRun(room: Room, id: ContainerId): boolean {
  if (room.containers.has(id) || room.damaged.has(id)) return false;
  const traces = [room.runDir(id), room.dataDir(id), join(room.runtimeRoot(), id)];
  if (traces.some((path) => existsSync(path))) return false;
  const pids = processesIn(room.hierarchies, `${room.deps.config.cgroupParent}/${id}`);
  return pids.some((pid) => hasForeignRoot(pid, `${room.deps.paths.dataRoot}/snapshots/`));
}

function hasForeignRoot(pid: number, layers: string): boolean {
  try {
    const root = readMounts(pid).findLast(({ mountPoint }) => mountPoint === "/");
    const upper = root?.superOptions.find((option) => option.startsWith("upperdir="))?.slice("upperdir=".length);
    return upper !== undefined && !upper.startsWith(layers);
  } catch {
    // It has ended meanwhile.
    return false;
  }
}
