// A bound on the time that something may take, beside the signal of whoever waits for it.

import { EngineError } from "../../../base/errors.ts";

/**
 * Runs `work` with a signal that also aborts when the time is over.
 *
 * @param what names it in the message: "git fetch of https://…"
 * @throws Deadline the time was over first
 */
export async function withTimeLimit<T>(
  what: string,
  limitMs: number,
  signal: AbortSignal,
  work: (bounded: AbortSignal) => Promise<T>,
): Promise<T> {
  const limit = AbortSignal.timeout(limitMs);
  try {
    return await work(AbortSignal.any([signal, limit]));
  } catch (error) {
    if (limit.aborted && !signal.aborted)
      throw new EngineError("Deadline", `${what} took longer than ${limitMs / 1000} s`, { cause: error });
    throw error;
  }
}
