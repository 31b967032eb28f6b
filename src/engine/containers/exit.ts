// The end of a run, driven by the shim's exit record; the same when the daemon was away meanwhile (restore.ts):
// commit the end and free the addresses → events → waiters → restart policy → automatic removal.

import { messageOf } from "../../base/errors.ts";
import { failpoint } from "../../base/failpoint.ts";
import { parseRfc3339 } from "../../base/time.ts";
import { killCgroup } from "../kernel/cgroups.ts";
import type { ExitRecord, ProcessIdentity, Shim } from "../runtime/index.ts";
import { cleanRuntime } from "./clean-runtime.ts";
import type { Container, Task } from "./container.ts";
import { endExec, endExecs } from "./exec-end.ts";
import { readExitFile } from "./exit-file.ts";
import { lostExit } from "./lost-exit.ts";
import type { ContainerRecord } from "./model.ts";
import { announceNetworks } from "./network-events.ts";
import { withLinkedFiles } from "./network-files.ts";
import { recordFact } from "./record-fact.ts";
import { removeAfterwards } from "./remove.ts";
import { planRestart } from "./restart-policy.ts";
import type { Room } from "./room.ts";
import { nextStatus } from "./state.ts";

/**
 * Listens to a shim from before its process runs. `begin` makes the task of it, once the start is committed; an end that
 * is told before waits until then.
 */
export function watchTask(room: Room, container: Container, shim: Shim): { begin(init: ProcessIdentity): Task } {
  let task: Task | undefined;
  let early: (() => Promise<ExitRecord>) | undefined;
  const end = (find: () => Promise<ExitRecord>): void => {
    if (task === undefined) {
      early ??= find;
      return;
    }
    const ended = task;
    room.inBackground(`the end of container ${container.id}`, async () =>
      finishTask(room, container, ended, await find()),
    );
  };
  let told = false;
  shim.on("exit", (record) => {
    told = true;
    end(async () => record);
  });
  shim.on("closed", () => {
    if (!told) end(() => findExit(room, container));
  });
  shim.on("execExit", (execId, exitCode) => endExec(room, container, execId, exitCode));
  return {
    begin(init) {
      const { promise, resolve } = Promise.withResolvers<void>();
      task = {
        shim,
        init,
        ended: new AbortController(),
        finished: promise,
        finish: resolve,
        process: undefined,
        exit: undefined,
      };
      container.task = task;
      if (early !== undefined) end(early);
      return task;
    },
  };
}

/** The end of a run whose shim has gone without telling: its file, or 137 once everything of it is dead. */
async function findExit(room: Room, container: Container): Promise<ExitRecord> {
  const written = await readExitFile(room.exitFile(container.id));
  room.elementsLost = true;
  if (written !== undefined) return written;
  room.deps.logger.warn("a shim died; its container is ended", { container: container.id });
  await killCgroup(room.hierarchies, room.cgroupPath(container.record));
  return lostExit(room, container.record);
}

/** Idempotent: the first report of an end counts. */
export async function finishTask(room: Room, container: Container, task: Task, exit: ExitRecord): Promise<void> {
  if (task.exit !== undefined) return;
  task.exit = exit;
  task.ended.abort();
  using _held = await room.locks.lock(container.id);
  if (container.task !== task) return;
  await failpoint("container.exit.told");
  await recordExit(room, container, exit);
  task.finish();
  if (room.elementsLost) room.inBackground("writing the firewall anew", () => room.resyncFirewall());
}

/** The end of the run that the record says is on; to be called with the container locked. */
export async function recordExit(room: Room, container: Container, exit: ExitRecord): Promise<void> {
  const { record, task } = container;
  const { networks } = room.deps;
  const delayMs = decideRestart(container, exit);
  const ended: ContainerRecord = {
    ...record,
    restartCount: record.restartCount + (delayMs === undefined ? 0 : 1),
    state: {
      ...record.state,
      status: nextStatus(record.state.status, delayMs === undefined ? "exit" : "retry"),
      exitCode: exit.exitCode,
      oomKilled: exit.oomKilled,
      finishedAt: exit.finishedAt,
      init: undefined,
    },
  };
  announceNetworks(room, container, "disconnect");
  await withLinkedFiles(room, record.id, () => recordFact(room, container, ended, networks.release(record.id)));
  await failpoint("container.exit.committed");
  if (task !== undefined) container.cleared = clearRun(room, container, task.shim);
  container.task = undefined;
  endExecs(room, container);
  if (exit.oomKilled) room.announce(container, "oom");
  room.announce(container, "die", {
    exitCode: String(exit.exitCode),
    execDuration: String(Math.max(0, Math.floor(ranForMs(ended) / 1000))),
  });
  container.announceExit();
  if (delayMs !== undefined) scheduleRestart(room, container, delayMs);
  else if (record.hostConfig.AutoRemove === true && !container.removing && !container.keepOnExit) {
    room.inBackground(`automatic removal of container ${record.id}`, () => removeAfterwards(room, container));
  }
}

/** What the shim deletes when it leaves, made sure of when it has left. */
async function clearRun(room: Room, container: Container, shim: Shim): Promise<void> {
  await shim.gone;
  try {
    await cleanRuntime(room, container.record);
  } catch (error) {
    room.deps.logger.error("what is left of a run could not be deleted", {
      container: container.id,
      error: messageOf(error),
    });
  }
}

function decideRestart(container: Container, exit: ExitRecord): number | undefined {
  const { record } = container;
  if (container.exitsForGood || container.removing) return undefined;
  return planRestart({
    policy: record.hostConfig.RestartPolicy ?? {},
    exitCode: exit.exitCode,
    restartCount: record.restartCount,
    manuallyStopped: record.manuallyStopped,
    ranForMs: ranForMs({ ...record, state: { ...record.state, finishedAt: exit.finishedAt } }),
    lastDelayMs: container.lastDelayMs,
  });
}

function ranForMs({ state }: ContainerRecord): number {
  return Number(((parseRfc3339(state.finishedAt) ?? 0n) - (parseRfc3339(state.startedAt) ?? 0n)) / 1_000_000n);
}

/** Starts a restarting container after a delay, unless that is called off before. */
export function scheduleRestart(room: Room, container: Container, delayMs: number): void {
  const timer = setTimeout(() => {
    room.inBackground(`restart of container ${container.id}`, async () => {
      using _held = await room.locks.lock(container.id);
      if (container.cancelRestart !== cancel || room.closing.signal.aborted) return;
      container.cancelRestart = undefined;
      container.lastDelayMs = delayMs;
      await room.steps.restart(container);
    });
  }, delayMs);
  const cancel = (): void => {
    clearTimeout(timer);
    container.cancelRestart = undefined;
  };
  container.cancelRestart = cancel;
}

/** A restarting container that shall not run again: it has exited. To be called with the container locked. */
export async function giveUpRestart(room: Room, container: Container): Promise<void> {
  container.cancelRestart?.();
  const { record } = container;
  await room.commit(container, {
    ...record,
    manuallyStopped: true,
    state: { ...record.state, status: nextStatus(record.state.status, "giveUp") },
  });
  container.announceExit();
}
