// How a step ends that nobody waits for any more.

import { EngineError } from "../../../base/errors.ts";

/** The text that progress printers show as "CANCELED". */
export const canceledText = "context canceled";

export function cancelled(): EngineError {
  return new EngineError("Cancelled", canceledText);
}

/** @throws Cancelled */
export function throwIfAborted(signal: AbortSignal): void {
  if (signal.aborted) throw cancelled();
}
