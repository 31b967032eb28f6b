// Repeats what may succeed later, as retry.ts plans it.

import { setTimeout as sleep } from "node:timers/promises";
import type { DistributionConfig } from "./index.ts";
import { planRetry } from "./retry.ts";
import { cancelled } from "./transport.ts";

type AttemptsConfig = Pick<DistributionConfig, "maxAttempts" | "retryDelayScale">;

/**
 * Waits before another attempt.
 *
 * @param attempt the one that failed, 1 for the first
 * @throws the error itself when there is no other; Cancelled by the signal
 */
export async function pauseOrThrow(
  error: unknown,
  attempt: number,
  config: AttemptsConfig,
  signal: AbortSignal,
): Promise<void> {
  if (signal.aborted) throw cancelled(signal);
  const decision = planRetry(error, attempt, config.maxAttempts);
  if (!decision.retry) throw error;
  try {
    await sleep(decision.delayMs * (config.retryDelayScale ?? 1), undefined, { signal });
  } catch {
    throw cancelled(signal);
  }
}

/** @throws what the last attempt threw; Cancelled by the signal */
export async function withRetries<T>(
  operation: () => Promise<T>,
  config: AttemptsConfig,
  signal: AbortSignal,
): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await operation();
    } catch (error) {
      await pauseOrThrow(error, attempt, config, signal);
    }
  }
}
