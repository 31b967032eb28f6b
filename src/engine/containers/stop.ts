// Ending a process: kill, stop and what both are made of. A long wait never holds the mutex: inspect, list and a second kill
// go on meanwhile.

import { EngineError, isEngineError, messageOf } from "../../base/errors.ts";
import { failpoint } from "../../base/failpoint.ts";
import type { ContainerId } from "../../base/ids.ts";
import type { Container, Task } from "./container.ts";
import { giveUpRestart } from "./exit.ts";
import { thaw } from "./pause.ts";
import { recordFact } from "./record-fact.ts";
import type { Room } from "./room.ts";
import { parseSignal, sigkill, sigterm } from "./signals.ts";
import { isActive } from "./state.ts";

/** dockerd's default for StopTimeout. */
const stopTimeoutSeconds = 10;
/** How long a process may take to die of SIGKILL before that is an error; it hangs in the kernel then. */
const killTimeoutMs = 10_000;

/**
 * @throws InvalidParameter "invalid signal: x"
 * @throws Conflict         not running
 * @throws Deadline         SIGKILL was sent and the process did not end
 */
export async function killContainer(room: Room, id: ContainerId, signalName: string | undefined): Promise<void> {
  const signal = signalName === undefined || signalName === "" ? sigkill : parseSignal(signalName);
  const task = await signalTask(room, id, signal);
  if (signal === sigkill && task !== undefined) await waitForEnd(task, killTimeoutMs, id);
}

/**
 * Sends the stop signal, and SIGKILL when the time is over; resolves when the process has ended.
 *
 * @param timeoutSeconds overrides the container's; below 0 waits for ever
 * @param cancel the waiting ends and nothing more is sent: the daemon goes
 * @throws NotModified      not running
 * @throws InvalidParameter the signal
 */
export async function stopContainer(
  room: Room,
  id: ContainerId,
  signalName: string | undefined,
  timeoutSeconds: number | undefined,
  cancel: AbortSignal,
): Promise<void> {
  const container = room.get(id);
  if (!isActive(container.record.state.status)) {
    throw new EngineError("NotModified", `container ${id} is already stopped`);
  }
  const { config, name } = container.record;
  let signal: number;
  try {
    signal = signalName ? parseSignal(signalName) : config.StopSignal ? parseSignal(config.StopSignal) : sigterm;
  } catch (error) {
    throw new EngineError("InvalidParameter", `cannot stop container: ${name}: ${messageOf(error)}`, { cause: error });
  }
  container.exitsForGood = true;
  let task: Task | undefined;
  try {
    task = await signalTask(room, id, signal);
  } catch (error) {
    // It ended between the look and the lock: that is what was wanted.
    if (!isEngineError(error, "Conflict") && !isEngineError(error, "NotFound")) throw error;
  }
  await failpoint("container.stop.signalled");
  if (task !== undefined) {
    const seconds = timeoutSeconds ?? config.StopTimeout ?? stopTimeoutSeconds;
    const ended = await endsWithin(task, seconds < 0 ? undefined : seconds * 1000, cancel);
    await failpoint("container.stop.waited");
    if (!ended) await kill(room, id, task);
  }
  room.announce(container, "stop");
}

/** SIGKILL to a task, and its end. */
export async function kill(room: Room, id: ContainerId, task: Task): Promise<void> {
  try {
    await signalTask(room, id, sigkill);
  } catch (error) {
    if (!isEngineError(error, "Conflict") && !isEngineError(error, "NotFound")) throw error;
  }
  await waitForEnd(task, killTimeoutMs, id);
}

/**
 * Sends a signal to the container's first process. The stop signal, SIGKILL, and any signal where the container names no
 * stop signal, keep the restart policy from firing, as in dockerd.
 *
 * @returns the task, or undefined where a restart was called off instead
 * @throws Conflict not running
 */
async function signalTask(room: Room, id: ContainerId, signal: number): Promise<Task | undefined> {
  using held = await room.lock(id);
  const { container } = held;
  const { record } = container;
  if (!isActive(record.state.status)) throw notRunning(id);
  const stopSignal = record.config.StopSignal ? parseSignal(record.config.StopSignal) : undefined;
  const stops = signal === sigkill || stopSignal === undefined || stopSignal === signal || container.exitsForGood;
  if (stops) container.exitsForGood = true;
  if (record.state.status === "restarting") {
    await giveUpRestart(room, container);
    return undefined;
  }
  await markStopped(room, container);
  const { task } = container;
  if (task === undefined) throw notRunning(id);
  await failpoint("container.stop.marked");
  try {
    await task.shim.kill("init", signal);
  } catch (error) {
    // Already ended: its exit is on the way.
    if (!isEngineError(error, "NotFound")) throw error;
  }
  if (stops && container.record.state.status === "paused") await thaw(room, container);
  room.announce(container, "kill", { signal: String(signal) });
  return task;
}

/** Kept on disk where a restart policy will ask for it after a restart of the daemon. */
async function markStopped(room: Room, container: Container): Promise<void> {
  const { record } = container;
  if (record.manuallyStopped) return;
  const marked = { ...record, manuallyStopped: true };
  const policy = record.hostConfig.RestartPolicy?.Name ?? "no";
  if (policy === "no" || policy === "") container.record = marked;
  else await recordFact(room, container, marked);
}

function notRunning(id: ContainerId): EngineError {
  return new EngineError("Conflict", `container ${id} is not running`);
}

async function waitForEnd(task: Task, timeoutMs: number, id: ContainerId): Promise<void> {
  if (await endsWithin(task, timeoutMs)) return;
  throw new EngineError("Deadline", `container ${id} did not end within ${timeoutMs / 1000} s after SIGKILL`);
}

/** @param timeoutMs undefined waits for ever. @throws Cancelled */
async function endsWithin(task: Task, timeoutMs: number | undefined, cancel?: AbortSignal): Promise<boolean> {
  const { promise, resolve, reject } = Promise.withResolvers<boolean>();
  // A timer holds at most 2^31 - 1 ms.
  const timer =
    timeoutMs === undefined ? undefined : setTimeout(() => resolve(false), Math.min(timeoutMs, 2 ** 31 - 1));
  const onCancel = (): void => reject(new EngineError("Cancelled", "the wait for the container's end was given up"));
  if (cancel?.aborted === true) onCancel();
  cancel?.addEventListener("abort", onCancel, { once: true });
  void task.finished.then(() => resolve(true));
  try {
    return await promise;
  } finally {
    clearTimeout(timer);
    cancel?.removeEventListener("abort", onCancel);
  }
}
