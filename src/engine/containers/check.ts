// The invariants between records, kernel and disk that this room can see. Each look lists what is wrong now; the caller looks
// twice, two seconds apart, before it asks for repair. Repairs take the container's mutex. Source: docs/durability.md.

import { readdirSync, readFileSync, readlinkSync, statSync } from "node:fs";
import { rm } from "node:fs/promises";
import { messageOf } from "../../base/errors.ts";
import type { ContainerId } from "../../base/ids.ts";
import type { CheckFinding } from "../api/ports.ts";
import { processesIn } from "../kernel/cgroups.ts";
import { readMounts } from "../kernel/mountinfo.ts";
import { isProcessAlive, readProcessStat } from "../kernel/process-identity.ts";
import { run } from "../kernel/run.ts";
import { parseLogRotation } from "../runtime/index.ts";
import type { Container } from "./container.ts";
import { finishTask } from "./exit.ts";
import { readExitFile } from "./exit-file.ts";
import { dataDirs, ownCgroups, runDirs, runtimeStates, shimProcesses, type ShimProcess } from "./kernel-state.ts";
import { limitsThatDiffer } from "./cgroup-limits.ts";
import { lostExit } from "./lost-exit.ts";
import type { Room } from "./room.ts";
import { sharedShm } from "./shm.ts";
import { hasProcess } from "./state.ts";
import { sweepRun } from "./sweep.ts";

/** A violation, and what mends it; without, it is only reported. */
interface Violation {
  readonly invariant: string;
  readonly subject: string;
  readonly detail: string;
  readonly repair?: () => Promise<void>;
}

export async function checkContainers(room: Room, repair: boolean): Promise<readonly CheckFinding[]> {
  const shims = await shimProcesses(room);
  const violations = [
    ...checkTasks(room, shims),
    ...(await checkOrphans(room, shims)),
    ...checkMounts(room),
    ...checkLoopDevices(room),
    ...checkDescriptors(room),
    ...checkZombies(shims),
    ...checkLogs(room),
  ];
  const findings: CheckFinding[] = [];
  for (const { invariant, subject, detail, repair: mend } of violations) {
    let repaired = false;
    if (repair && mend !== undefined) {
      try {
        await mend();
        repaired = true;
      } catch (error) {
        room.deps.logger.error("a repair failed", { invariant, subject, error: messageOf(error) });
      }
    }
    findings.push({ invariant, subject, detail, repaired });
  }
  return findings;
}

/** F1, F3, F9: what runs by the record has its process, in its cgroup, with one shim. */
function checkTasks(room: Room, shims: readonly ShimProcess[]): readonly Violation[] {
  const violations: Violation[] = [];
  for (const container of room.containers.values()) {
    const { record } = container;
    const { init } = record.state;
    // An operation is under way: its outcome is not decided.
    if (!hasProcess(record.state.status) || room.locks.isLocked(container.id)) continue;
    const add = (invariant: string, detail: string, repair?: () => Promise<void>): void => {
      violations.push({ invariant, subject: record.id, detail, ...(repair === undefined ? {} : { repair }) });
    };
    const finish = (): Promise<void> => finishLost(room, container);
    if (init === undefined || !isProcessAlive(init, room.deps.bootId)) {
      add("F1", `is ${record.state.status} and its process ${init?.pid ?? "?"} does not exist`, finish);
    } else if (!processesIn(room.hierarchies, room.cgroupPath(record)).includes(init.pid)) {
      add("F1", `process ${init.pid} is not in the cgroup ${room.cgroupPath(record)}`);
    }
    for (const detail of limitsThatDiffer(room, record)) add("F9", detail);
    const own = shims.filter((shim) => shim.containerId === record.id);
    if (own.length !== 1) {
      add("F3", `runs with ${own.length} shims`, own.length === 0 ? finish : undefined);
    }
  }
  return violations;
}

/** A task whose end was never told: as if it had been. */
async function finishLost(room: Room, container: Container): Promise<void> {
  const { task } = container;
  if (task === undefined) return;
  const written = await readExitFile(room.exitFile(container.id));
  if (written === undefined) await sweepRunOf(room, container.id);
  await finishTask(room, container, task, written ?? lostExit(room, container.record));
}

async function sweepRunOf(room: Room, id: ContainerId): Promise<void> {
  using _held = await room.locks.lock(id);
  await sweepRun(room, id);
}

/** F2, F3, F4, F9, F14: what the kernel or the disk has and no container needs. */
async function checkOrphans(room: Room, shims: readonly ShimProcess[]): Promise<readonly Violation[]> {
  const violations: Violation[] = [];
  const isNeeded = (id: ContainerId): boolean =>
    room.containers.get(id)?.task !== undefined || room.locks.isLocked(id) || room.damaged.has(id);
  const sweep = (id: ContainerId) => async (): Promise<void> => {
    using _held = await room.locks.lock(id);
    if (room.containers.get(id)?.task === undefined) await sweepRun(room, id);
  };
  for (const { pid, containerId } of shims) {
    if (isNeeded(containerId)) continue;
    violations.push({
      invariant: "F3",
      subject: containerId,
      detail: `shim ${pid} without a running container`,
      repair: sweep(containerId),
    });
  }
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
function checkMounts(room: Room): readonly Violation[] {
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
function checkLoopDevices(room: Room): readonly Violation[] {
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

/** F15: descriptors of the daemon by what it has to hold: a base, one connection per shim, some per client. */
function checkDescriptors(room: Room): readonly Violation[] {
  const counts = new Map<string, number>();
  for (const fd of namesIn("/proc/self/fd")) {
    const kind = /^(socket|pipe|anon_inode:\[?[a-z]+)/.exec(linkOf(`/proc/self/fd/${fd}`))?.[1] ?? "file";
    counts.set(kind, (counts.get(kind) ?? 0) + 1);
  }
  const total = [...counts.values()].reduce((sum, count) => sum + count, 0);
  const tasks = [...room.containers.values()].filter(({ task }) => task !== undefined).length;
  const budget = 512 + 16 * tasks;
  if (total <= budget) return [];
  const kinds = [...counts].map(([kind, count]) => `${count} ${kind}`).join(", ");
  return [{ invariant: "F15", subject: "daemon", detail: `more than ${budget} descriptors open: ${kinds}` }];
}

/** F16: the caller looks twice; what is a zombie both times nobody reaps. */
function checkZombies(shims: readonly ShimProcess[]): readonly Violation[] {
  const parents = new Map<number, string>([[process.pid, "daemon"]]);
  for (const { pid, containerId } of shims) parents.set(pid, `shim of ${containerId.slice(0, 12)}`);
  return namesIn("/proc")
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => {
      const stat = readProcessStat(Number(name));
      const parent = stat?.state === "Z" ? parents.get(stat.parentPid) : undefined;
      return parent === undefined
        ? []
        : [{ invariant: "F16", subject: `pid ${name}`, detail: `zombie child of the ${parent} (${stat?.comm ?? ""})` }];
    });
}

/** F17: rotated logs keep to their size and number. */
function checkLogs(room: Room): readonly Violation[] {
  /** One line of 16 KiB, every byte escaped, and what is written around it, may come on top; and one batch in flight. */
  const slackBytes = 1 << 20;
  const violations: Violation[] = [];
  for (const { record } of room.containers.values()) {
    const { maxSizeBytes, maxFiles } = parseLogRotation(record.hostConfig.LogConfig ?? {});
    if (maxSizeBytes === 0) continue;
    const path = room.logPath(record.id);
    for (let n = 0; n <= maxFiles; n++) {
      const name = n === 0 ? path : `${path}.${n}`;
      const size = statSync(name, { throwIfNoEntry: false })?.size;
      if (size === undefined) continue;
      if (n === maxFiles && n > 0)
        violations.push({ invariant: "F17", subject: name, detail: `more than ${maxFiles} log files` });
      else if (size > maxSizeBytes + slackBytes) {
        violations.push({
          invariant: "F17",
          subject: name,
          detail: `${size} bytes; at most ${maxSizeBytes} are right`,
        });
      }
    }
  }
  return violations;
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

function linkOf(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return "";
  }
}
