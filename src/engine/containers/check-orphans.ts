// The check's look at what the kernel or the disk has and no container needs.

import { readdirSync, readFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import type { ContainerId } from "../../base/ids.ts";
import { killCgroup, listCgroups, processesIn, removeCgroup } from "../kernel/cgroups.ts";
import { readMounts } from "../kernel/mountinfo.ts";
import { run } from "../kernel/run.ts";
import type { Violation } from "./check.ts";
import { dataDirs, ownCgroups, runDirs, runtimeStates, type ShimProcess, signalShim } from "./kernel-state.ts";
import type { Room } from "./room.ts";
import { sharedShm } from "./shm.ts";
import { sweepRun } from "./sweep.ts";

/** F2, F3, F4, F9, F14: what the kernel or the disk has and no container needs. */
export async function checkOrphans(room: Room, shims: readonly ShimProcess[]): Promise<readonly Violation[]> {
  const violations: Violation[] = [];
  const isNeeded = (id: ContainerId): boolean =>
    room.containers.get(id)?.task !== undefined || room.locks.isLocked(id) || room.damaged.has(id);
  const sweep = (id: ContainerId) => async (): Promise<void> => {
    using _held = await room.locks.lock(id);
    if (room.containers.get(id)?.task === undefined) await sweepRun(room, id);
  };
  for (const shim of shims) {
    const { pid, containerId } = shim;
    if (isNeeded(containerId)) continue;
    violations.push({
      invariant: "F3",
      subject: containerId,
      detail: `shim ${pid} without a running container`,
      repair: async () => {
        await sweep(containerId)();
        signalShim(shim, "SIGKILL");
      },
    });
  }
  violations.push(...checkStrangers(room), ...checkSteps(room));
  for (const id of ownCgroups(room)) {
    if (isNeeded(id)) continue;
    const pids = processesIn(room.hierarchies, `${room.deps.config.cgroupParent}/${id}`);
    violations.push(
      pids.length > 0
        ? {
            invariant: "F2",
            subject: id,
            detail: `processes ${pids.join(", ")} of no running container`,
            repair: sweep(id),
          }
        : { invariant: "F9", subject: id, detail: "cgroup of no running container", repair: sweep(id) },
    );
  }
  for (const id of await runtimeStates(room)) {
    if (isNeeded(id)) continue;
    violations.push({
      invariant: "F4",
      subject: id,
      detail: "runtime state of no running container",
      repair: sweep(id),
    });
  }
  for (const id of await runDirs(room)) {
    if (isNeeded(id)) continue;
    violations.push({
      invariant: "F14",
      subject: room.runDir(id),
      detail: "run directory of no running container",
      repair: sweep(id),
    });
  }
  for (const id of await dataDirs(room)) {
    if (room.containers.has(id) || room.locks.isLocked(id) || room.damaged.has(id)) continue;
    if ([...room.names.values()].includes(id)) continue;
    const path = room.dataDir(id);
    violations.push({
      invariant: "F14",
      subject: path,
      detail: "directory of no container",
      repair: () => rm(path, { recursive: true, force: true }),
    });
  }
  return violations;
}

/** F5: containers' mounts are in their shims' namespaces; on the host there is none but a shared /dev/shm. */
export function checkMounts(room: Room): readonly Violation[] {
  const { execRoot, dataRoot } = room.deps.paths;
  const shared = new Set(
    [...room.containers.values()]
      .filter(({ task, id }) => task !== undefined || room.locks.isLocked(id))
      .map(({ id }) => sharedShm(room, id)),
  );
  const places = [`${execRoot}/containers/`, `${execRoot}/shm/`, `${dataRoot}/snapshots/`, `${dataRoot}/containers/`];
  return readMounts()
    .filter(({ mountPoint }) => !shared.has(mountPoint) && places.some((place) => mountPoint.startsWith(place)))
    .map(({ mountPoint, fsType }) => ({
      invariant: "F5",
      subject: mountPoint,
      detail: `${fsType} mounted in the host's namespace`,
      repair: async () => void (await run(["umount", "--lazy", mountPoint])),
    }));
}

/** F13: the engine attaches no loop devices; one on a file of ours is somebody's mistake. */
export function checkLoopDevices(room: Room): readonly Violation[] {
  const { dataRoot } = room.deps.paths;
  return namesIn("/sys/block")
    .filter((name) => name.startsWith("loop"))
    .flatMap((name) => {
      const file = textOf(`/sys/block/${name}/loop/backing_file`).trim();
      return file.startsWith(`${dataRoot}/`)
        ? [{ invariant: "F13", subject: `/dev/${name}`, detail: `is backed by ${file}` }]
        : [];
    });
}

/** Cgroups that builds' steps have, or had. */
function stepCgroups(room: Room): readonly string[] {
  const { cgroupParent } = room.deps.config;
  const names = listCgroups(room.hierarchies, cgroupParent).filter((name) => /^step-[0-9a-f]{64}$/.test(name));
  return names.map((name) => `${cgroupParent}/${name}`);
}

/** F2, F9: a step that no build of this daemon runs. */
function checkSteps(room: Room): readonly Violation[] {
  const running = room.deps.stepCgroups?.() ?? new Set();
  return stepCgroups(room)
    .filter((cgroup) => !running.has(cgroup))
    .map((cgroup) => {
      const pids = processesIn(room.hierarchies, cgroup);
      return {
        invariant: pids.length > 0 ? "F2" : "F9",
        subject: cgroup,
        detail: pids.length > 0 ? `processes ${pids.join(", ")} of no build` : "cgroup of no build",
        repair: async () => {
          await killCgroup(room.hierarchies, cgroup);
          await removeCgroup(room.hierarchies, cgroup);
        },
      };
    });
}

/** F2: processes in the engine's part of the cgroup tree that are in no container's cgroup; they are somebody's, and stay. */
function checkStrangers(room: Room): readonly Violation[] {
  const { cgroupParent } = room.deps.config;
  const inContainers = new Set(
    [...ownCgroups(room).map((id) => `${cgroupParent}/${id}`), ...askedCgroups(room), ...stepCgroups(room)].flatMap(
      (path) => processesIn(room.hierarchies, path),
    ),
  );
  const strangers = processesIn(room.hierarchies, cgroupParent).filter((pid) => !inContainers.has(pid));
  if (strangers.length === 0) return [];
  return [{ invariant: "F2", subject: cgroupParent, detail: `processes ${strangers.join(", ")} are in no container` }];
}

/** Cgroups of containers with a CgroupParent of their own. */
function askedCgroups(room: Room): readonly string[] {
  return [...room.containers.values()]
    .filter(({ record }) => (record.hostConfig.CgroupParent ?? "") !== "")
    .map(({ record }) => room.cgroupPath(record));
}

function namesIn(directory: string): readonly string[] {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
}

function textOf(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}
