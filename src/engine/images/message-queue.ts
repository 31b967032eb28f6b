// Turns a task that reports as it goes into a sequence of messages: the task runs on its own, the reader follows; when the
// reader leaves, the task is aborted and waited for.

import { EngineError, isEngineError } from "../../base/errors.ts";
import type { ProgressMessage } from "../api/ports.ts";

/** A step of what waits to be told of takes its place: a reader that is slow, or stands still, costs no more than its last view. */
function enqueue(queue: ProgressMessage[], message: ProgressMessage): void {
  const { id, status, progressDetail } = message;
  const at = id === undefined ? -1 : queue.findLastIndex((other) => other.id === id);
  const before = queue[at];
  const isStep = progressDetail?.current !== undefined && before?.progressDetail?.current !== undefined;
  if (isStep && before.status === status) queue[at] = message;
  else queue.push(message);
}

/**
 * Runs `task`, yielding what it tells; ends with it or throws what it throws.
 *
 * @param signal aborts the task
 */
export async function* reportProgress(
  task: (tell: (message: ProgressMessage) => void, signal: AbortSignal) => Promise<void>,
  signal: AbortSignal,
): AsyncGenerator<ProgressMessage> {
  const queue: ProgressMessage[] = [];
  let wake = Promise.withResolvers<void>();
  let ended = false;
  let failure: { readonly error: unknown } | undefined;
  const left = new AbortController();
  const running = task(
    (message) => {
      enqueue(queue, message);
      wake.resolve();
    },
    AbortSignal.any([signal, left.signal]),
  )
    .catch((error: unknown) => {
      failure = { error };
    })
    .finally(() => {
      ended = true;
      wake.resolve();
    });
  try {
    for (;;) {
      for (let message = queue.shift(); message !== undefined; message = queue.shift()) yield message;
      if (ended) break;
      await wake.promise;
      wake = Promise.withResolvers();
    }
    if (failure === undefined) return;
    if (!signal.aborted || isEngineError(failure.error)) throw failure.error;
    throw new EngineError("Cancelled", "the request was cancelled", { cause: failure.error });
  } finally {
    left.abort();
    await running;
  }
}
