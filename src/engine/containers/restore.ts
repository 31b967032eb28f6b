// What a daemon does with what it finds: every record is compared with the shims, the exit records and the journal, and made
// to say what is true. Nothing here may depend on how the last daemon ended.
//
//   record       shim answers             no shim, exit record     no shim, none
//   running      taken over               recorded end             137 (this boot), 255 (an earlier one), cgroup killed first
//   start cut    runs: running            ran, and recorded end    rolled back
//                does not: rolled back
//
// Afterwards what belongs to nobody is deleted, and restart policies have their say.

import { isEngineError, messageOf } from "../../base/errors.ts";
import { failpoint } from "../../base/failpoint.ts";
import type { ContainerId } from "../../base/ids.ts";
import { nowRfc3339Nano } from "../../base/time.ts";
import { isFrozen, thawCgroup } from "../kernel/cgroups.ts";
import type { ProcessIdentity, Shim } from "../runtime/index.ts";
import type { Change } from "../store/index.ts";
import { cleanRuntime } from "./clean-runtime.ts";
import { Container } from "./container.ts";
import { newExec, readExecRequests } from "./exec.ts";
import { endExec } from "./exec-end.ts";
import { readExitFile } from "./exit-file.ts";
import { finishTask, recordExit, watchTask } from "./exit.ts";
import { lostExit } from "./lost-exit.ts";
import { type ContainerRecord, parseContainerRow } from "./model.ts";
import { finishRemoval, removeAfterwards } from "./remove.ts";
import { restoreNetworks } from "./restore-networks.ts";
import { networkRequest } from "./network-request.ts";
import { planRestart } from "./restart-policy.ts";
import type { Room } from "./room.ts";
import { endShim, startOp } from "./start.ts";
import { hasProcess, nextStatus } from "./state.ts";
import { connectOrKill, sweepOrphans } from "./sweep.ts";

/** Shims that are asked at the same time; each costs a connection and two messages. */
const parallelShims = 64;

export async function restoreContainers(room: Room): Promise<void> {
  const { store, logger } = room.deps;
  const [rows, ops] = await Promise.all([store.load("containers"), store.load("ops")]);
  for (const row of rows) {
    try {
      const container = new Container(parseContainerRow(row));
      room.containers.set(container.id, container);
      room.names.set(container.record.name, container.id);
    } catch (error) {
      // One damaged record does not keep the others from running. Its row and its directories stay for whoever looks.
      logger.error("a container's record is left out", { container: row.id, error: messageOf(error) });
      room.damaged.add(row.id);
      room.names.set(row.name, row.id as ContainerId);
    }
  }
  const started = new Set(ops.filter(({ kind }) => kind === "start").map(({ subject }) => subject));
  const changes = ops.filter(({ kind }) => kind === "connection");
  const changed = new Set(changes.map(({ subject }) => subject));
  // All names at once: no container may find another missing, and ask outside for it, because its shim answers later.
  for (const { record } of room.containers.values()) {
    try {
      room.deps.networks.adopt(networkRequest(room, record));
    } catch (error) {
      logger.error("a container's names and ports are unknown", { container: record.id, error: messageOf(error) });
    }
  }
  const unfinished = new Set<string>();
  await inParallel([...room.containers.values()], parallelShims, async (container) => {
    try {
      await restoreContainer(room, container, started.has(container.id));
      const done = await restoreNetworks(room, container, changed.has(container.id));
      if (!done) unfinished.add(container.id);
    } catch (error) {
      logger.error("a container could not be taken over", { container: container.id, error: messageOf(error) });
    }
  });
  await failpoint("container.restore.adopted");
  const removed = ops.filter(({ kind }) => kind === "remove");
  for (const { subject, payload } of removed) await finishRemoval(room, subject as ContainerId, payload);
  await settleOps(room, [
    ...[...started].map((subject) => startOp(subject as ContainerId)),
    ...changes.filter(({ subject }) => !unfinished.has(subject)).map(({ id }) => id),
  ]);
  await sweepOrphans(room);
  await room.resyncFirewall();
  for (const container of room.containers.values()) applyPolicy(room, container);
}

async function restoreContainer(room: Room, container: Container, startCut: boolean): Promise<void> {
  using _held = await room.locks.lock(container.id);
  const { record } = container;
  const believed = hasProcess(record.state.status);
  if (!believed && !startCut) return;
  const shim = await connectOrKill(room, container.id);
  const state = shim === undefined ? undefined : await stateOf(shim);
  if (shim !== undefined && state !== undefined) await adopt(room, container, shim, state, believed);
  else if (believed) await bury(room, container);
  else await rollBack(room, container);
}

type ShimState = Awaited<ReturnType<Shim["state"]>>;

/** undefined when the shim has left since it was greeted: its exit file says the rest. */
async function stateOf(shim: Shim): Promise<ShimState | undefined> {
  try {
    return await shim.state();
  } catch (error) {
    if (!isEngineError(error, "Unavailable")) throw error;
    await shim.gone;
    return undefined;
  }
}

/** Takes a container over from its shim: running, ended meanwhile, or never run. */
async function adopt(
  room: Room,
  container: Container,
  shim: Shim,
  { init, exit, execs }: ShimState,
  believed: boolean,
): Promise<void> {
  if (init === undefined) {
    await endShim(shim);
    if (believed) await bury(room, container);
    else await rollBack(room, container);
    return;
  }
  const watch = watchTask(room, container, shim);
  const before = container.record;
  const record = believed
    ? withPauseOf(room, { ...before, state: { ...before.state, init } })
    : asStarted(before, init, nowRfc3339Nano());
  const changed =
    !believed ||
    before.state.pausedFor !== undefined ||
    record.state.status !== before.state.status ||
    record.state.init?.pid !== before.state.init?.pid;
  if (changed) await room.commit(container, record, [{ delete: "ops", key: startOp(record.id) }]);
  const task = watch.begin(init);
  await restoreExecs(room, container, execs);
  if (exit !== undefined)
    room.inBackground(`the end of container ${record.id}`, () => finishTask(room, container, task, exit));
}

function asStarted(record: ContainerRecord, init: ProcessIdentity | undefined, startedAt: string): ContainerRecord {
  return {
    ...record,
    manuallyStopped: false,
    state: {
      ...record.state,
      status: nextStatus(record.state.status, "start"),
      exitCode: 0,
      error: "",
      oomKilled: false,
      startedAt,
      init,
    },
  };
}

/** A crash may have come between the freezer and the record, or before a container was woken that the engine had paused. */
function withPauseOf(room: Room, record: ContainerRecord): ContainerRecord {
  if (record.state.pausedFor !== undefined) return woken(room, record);
  const frozen = isFrozen(room.hierarchies, room.cgroupPath(record));
  const { status } = record.state;
  if (frozen === (status === "paused")) return record;
  return { ...record, state: { ...record.state, status: nextStatus(status, frozen ? "pause" : "unpause") } };
}

function woken(room: Room, record: ContainerRecord): ContainerRecord {
  thawCgroup(room.hierarchies, room.cgroupPath(record));
  const { status } = record.state;
  return {
    ...record,
    state: {
      ...record.state,
      status: status === "paused" ? nextStatus(status, "unpause") : status,
      pausedFor: undefined,
    },
  };
}

async function restoreExecs(
  room: Room,
  container: Container,
  found: Awaited<ReturnType<Shim["state"]>>["execs"],
): Promise<void> {
  if (found.length === 0) return;
  const requests = await readExecRequests(room, container.id);
  for (const { id, pid, exitCode } of found) {
    const request = requests.get(id);
    if (request === undefined || room.execs.has(id)) continue;
    const exec = newExec(id, container.id, request, undefined);
    exec.state = "running";
    exec.pid = pid;
    exec.started.resolve();
    room.execs.set(id, exec);
    container.execs.set(id, exec);
    if (exitCode !== undefined) endExec(room, container, id, exitCode);
  }
}

/** No shim: the run is over. Its exit record tells how; without one everything of it is killed first. */
async function bury(room: Room, container: Container): Promise<void> {
  const { record } = container;
  await cleanRuntime(room, record);
  room.elementsLost = true;
  await recordExit(room, container, (await readExitFile(room.exitFile(record.id))) ?? lostExit(room, record));
}

/**
 * A start that got no further than its intent: the container is what it was. With an exit record its process has run to its
 * end unseen: then that is what happened, or its output would be there twice after the next start.
 */
async function rollBack(room: Room, container: Container): Promise<void> {
  await cleanRuntime(room, container.record);
  room.elementsLost = true;
  // An earlier run's record is deleted before the intent is written.
  const exit = await readExitFile(room.exitFile(container.id));
  if (exit !== undefined) {
    container.record = asStarted(container.record, undefined, exit.finishedAt);
    await recordExit(room, container, exit);
    return;
  }
  await room.deps.store.commit([
    ...room.deps.networks.release(container.id),
    { delete: "ops", key: startOp(container.id) },
  ]);
}

/** Rows of starts and of changes whose containers are gone, or that were rolled forward above. */
async function settleOps(room: Room, keys: readonly string[]): Promise<void> {
  if (keys.length === 0) return;
  const open = new Set((await room.deps.store.load("ops")).map(({ id }) => id));
  const changes: Change[] = keys.filter((id) => open.has(id)).map((id) => ({ delete: "ops", key: id }));
  if (changes.length > 0) await room.deps.store.commit(changes);
}

/** What the daemon's start means to containers that do not run. */
function applyPolicy(room: Room, container: Container): void {
  const { record } = container;
  const { state, hostConfig } = record;
  if (container.task !== undefined || container.cancelRestart !== undefined || container.removing) return;
  if (state.status === "restarting" || (state.status === "exited" && wantsRestart(record))) {
    room.inBackground(`restart of container ${record.id}`, async () => {
      using _held = await room.locks.lock(container.id);
      if (container.task !== undefined || container.removing || room.closing.signal.aborted) return;
      await room.steps.restart(container);
    });
    return;
  }
  if (state.status === "exited" && hostConfig.AutoRemove === true) {
    room.inBackground(`automatic removal of container ${record.id}`, () => removeAfterwards(room, container));
  }
}

function wantsRestart(record: ContainerRecord): boolean {
  const policy = record.hostConfig.RestartPolicy ?? {};
  const { state, restartCount, manuallyStopped } = record;
  const run = { policy, exitCode: state.exitCode, restartCount, manuallyStopped, ranForMs: 0, lastDelayMs: 0 };
  return planRestart(run) !== undefined;
}

async function inParallel<T>(items: readonly T[], limit: number, work: (item: T) => Promise<void>): Promise<void> {
  const queue = items.values();
  const worker = async (): Promise<void> => {
    for (const item of queue) await work(item);
  };
  await Promise.all(Array.from({ length: Math.min(limit, items.length) }, worker));
}
