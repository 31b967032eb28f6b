// Everything of a run that its shim deletes when it leaves. Done again by the daemon, because a shim can be killed: each step
// is idempotent, and costs next to nothing where it was done.

import { rm } from "node:fs/promises";
import { join } from "node:path";
import { killCgroup, removeCgroup } from "../kernel/cgroups.ts";
import type { ContainerRecord } from "./model.ts";
import type { Room } from "./room.ts";
import { unmountShm } from "./shm.ts";

/** To be called when the run's shim is gone, and before the next run begins. */
export async function cleanRuntime(room: Room, record: Pick<ContainerRecord, "id" | "hostConfig">): Promise<void> {
  const cgroup = room.cgroupPath(record);
  await killCgroup(room.hierarchies, cgroup);
  await removeCgroup(room.hierarchies, cgroup);
  await unmountShm(room, record.id);
  await Promise.all([
    rm(join(room.runtimeRoot(), record.id), { recursive: true, force: true }),
    rm(room.runDir(record.id), { recursive: true, force: true }),
  ]);
}
