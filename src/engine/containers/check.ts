// The invariants between records, kernel and disk that this room can see. Each look lists what is wrong now; the caller looks
// twice, two seconds apart, before it asks for repair. Repairs take the container's mutex. Source: docs/durability.md.

import { existsSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { messageOf } from "../../base/errors.ts";
import type { CheckFinding } from "../api/ports.ts";
import { processesIn } from "../kernel/cgroups.ts";
import { isProcessAlive } from "../kernel/process-identity.ts";
import { limitsThatDiffer, setLimit } from "./cgroup-limits.ts";
import { checkDescriptors, checkJournal, checkLogs, checkModes, checkZombies } from "./check-daemon.ts";
import { checkLoopDevices, checkMounts, checkOrphans } from "./check-orphans.ts";
import type { Container, Task } from "./container.ts";
import { finishTask } from "./exit.ts";
import { readExitFile } from "./exit-file.ts";
import { type ShimProcess, shimProcesses, signalShim } from "./kernel-state.ts";
import { lostExit } from "./lost-exit.ts";
import type { Room } from "./room.ts";
import { hasProcess } from "./state.ts";
import { sweepRun } from "./sweep.ts";

/** A violation, and what mends it; without, it is only reported. */
export interface Violation {
  readonly invariant: string;
  readonly subject: string;
  readonly detail: string;
  readonly repair?: () => Promise<void>;
}

/** A shim tells of an end when the output is read (2 s at most) and the record is on disk. */
const endIsToldWithinMs = 4_000;

export async function checkContainers(room: Room, repair: boolean): Promise<readonly CheckFinding[]> {
  const shims = await shimProcesses(room);
  const violations = [
    ...(await checkTasks(room, shims)),
    ...(await checkOrphans(room, shims)),
    ...checkMounts(room),
    ...checkLoopDevices(room),
    ...checkDescriptors(room),
    ...checkZombies(shims),
    ...checkLogs(room),
    ...(await checkJournal(room)),
    ...checkModes(room),
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

async function checkTasks(room: Room, shims: readonly ShimProcess[]): Promise<readonly Violation[]> {
  const found = await Promise.all([...room.containers.values()].map((container) => checkTask(room, container, shims)));
  return found.flat();
}

/** F1, F3, F4, F9: what runs by the record has its process, in its cgroup, with one shim, and the limits asked for. */
async function checkTask(
  room: Room,
  container: Container,
  shims: readonly ShimProcess[],
): Promise<readonly Violation[]> {
  const violations: Violation[] = [];
  const { record, task } = container;
  const { init } = record.state;
  // An operation is under way: its outcome is not decided.
  if (task === undefined || !hasProcess(record.state.status) || room.locks.isLocked(container.id)) return [];
  const add = (invariant: string, detail: string, repair?: () => Promise<void>): void => {
    violations.push({ invariant, subject: record.id, detail, ...(repair === undefined ? {} : { repair }) });
  };
  const finish = (): Promise<void> => finishLost(room, container, task);
  // First: a shim that is woken may tell of the end by itself.
  const own = shims.filter(({ pid }) => pid === task.shim.identity.pid);
  if (own.length === 0) add("F3", "runs without a shim", finish);
  for (const shim of own) {
    if (shim.state !== "T") continue;
    add("F3", `shim ${shim.pid} is stopped`, () => Promise.try(() => signalShim(shim, "SIGCONT")));
  }
  if (init === undefined || !isProcessAlive(init, room.deps.bootId)) {
    if (await endIsTold(container, task)) return [];
    add("F1", `is ${record.state.status} and its process ${init?.pid ?? "?"} does not exist`, finish);
  } else if (!processesIn(room.hierarchies, room.cgroupPath(record)).includes(init.pid)) {
    if (container.task !== task || !isProcessAlive(init, room.deps.bootId)) return [];
    add("F1", `process ${init.pid} is not in the cgroup ${room.cgroupPath(record)}`);
  }
  for (const limit of limitsThatDiffer(room, record)) add("F9", limit.detail, () => Promise.try(() => setLimit(limit)));
  for (const shim of shims) {
    if (shim.containerId !== record.id || own.includes(shim)) continue;
    add("F3", `has a second shim, ${shim.pid}`, () => Promise.try(() => signalShim(shim, "SIGKILL")));
  }
  const { isCrun } = room.deps.config.runtimes[record.hostConfig.Runtime ?? ""] ?? { isCrun: false };
  if (isCrun && container.task === task && !existsSync(join(room.runtimeRoot(), record.id)))
    add("F4", "the runtime's state of it is gone; restart the container");
  return violations;
}

/** True when the end of a dead process is told in time: then it was on its way. */
async function endIsTold(container: Container, task: Task): Promise<boolean> {
  const deadline = performance.now() + endIsToldWithinMs;
  while (container.task === task && task.exit === undefined) {
    if (performance.now() > deadline) return false;
    await sleep(100);
  }
  return true;
}

/** A task whose end was never told: as if it had been. */
async function finishLost(room: Room, container: Container, task: Task): Promise<void> {
  const written = await readExitFile(room.exitFile(container.id));
  if (written === undefined) {
    using _held = await room.locks.lock(container.id);
    if (container.task !== task) return;
    await sweepRun(room, container.id);
    room.elementsLost = true;
  }
  await finishTask(room, container, task, written ?? lostExit(room, container.record));
}
