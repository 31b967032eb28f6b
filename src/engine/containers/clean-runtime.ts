// Everything of a run that its shim deletes when it leaves. Done again by the daemon, because a shim can be killed: each step
// is idempotent, and costs next to nothing where it was done.

import { existsSync } from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { cgroupDirectories, killCgroup, removeCgroup } from "../kernel/cgroups.ts";
import { removeSmallTree } from "../kernel/small-tree.ts";
import type { ContainerRecord } from "./model.ts";
import { unmountVolumes } from "./mount-sources.ts";
import type { Room } from "./room.ts";
import { unmountShm } from "./shm.ts";

/**
 * To be called when the run's shim is gone, and before the next run begins. Volumes are let go of while the run's directory is still there:
 * a daemon that is killed in between finds it, and does it all again.
 *
 * @param record without plannedMounts, no volume is unmounted
 */
export async function cleanRuntime(
  room: Room,
  record: Pick<ContainerRecord, "id" | "hostConfig" | "plannedMounts">,
): Promise<void> {
  const cgroup = room.cgroupPath(record);
  try {
    if (cgroupDirectories(room.hierarchies, cgroup).some((directory) => existsSync(directory))) {
      await killCgroup(room.hierarchies, cgroup);
      await removeCgroup(room.hierarchies, cgroup);
    }
  } finally {
    await unmountVolumes(room, record);
  }
  await unmountShm(room, record.id);
  for (const directory of [join(room.runtimeRoot(), record.id), room.runDir(record.id)]) {
    if (!removeSmallTree(directory)) await rm(directory, { recursive: true, force: true });
  }
}
