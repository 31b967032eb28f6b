// POST /containers/{id}/wait. Source: Engine API 1.51, ContainerWait.

import { EngineError } from "../../base/errors.ts";
import type { ContainerId } from "../../base/ids.ts";
import type { ContainerWaitResponse } from "../../spec/docker/container.ts";
import type { WaitCondition } from "../api/ports.ts";
import type { Room } from "./room.ts";
import { isActive } from "./state.ts";

/**
 * Watches for a condition; `result` rejects with Cancelled when the signal is aborted.
 *
 * not-running: at once for what does not run, otherwise the end of this run. next-exit: the end of this run or the next.
 * removed: the end of the removal.
 */
export function waitForContainer(
  room: Room,
  id: ContainerId,
  condition: WaitCondition,
  signal: AbortSignal,
): { readonly result: Promise<ContainerWaitResponse> } {
  const container = room.get(id);
  if (condition === "not-running" && !isActive(container.record.state.status)) {
    return { result: Promise.resolve(container.waitResponse()) };
  }
  const waiters = condition === "removed" ? container.removalWaiters : container.exitWaiters;
  const { promise, resolve, reject } = Promise.withResolvers<ContainerWaitResponse>();
  const onAbort = (): void => {
    waiters.delete(resolve);
    reject(new EngineError("Cancelled", "the wait was given up"));
  };
  // Nobody may be listening any more when the client has gone.
  promise.catch(() => {});
  waiters.add(resolve);
  if (signal.aborted) onAbort();
  else signal.addEventListener("abort", onAbort, { once: true });
  return { result: promise.finally(() => signal.removeEventListener("abort", onAbort)) };
}
