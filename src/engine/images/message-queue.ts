// Turns a task that reports as it goes into a sequence of messages: the task runs on its own, the reader follows; when the
// reader leaves, the task is aborted and waited for.

import { EngineError, isEngineError } from "../../base/errors.ts";
import type { ProgressMessage } from "../api/ports.ts";

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
      queue.push(message);
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
