// When a failed request is tried again: broken connections, stalls, 408, 429 and 5xx (but 501 and 505), after 1, 2, 4 … 15
// seconds give or take a quarter, or after what Retry-After asks for, at most a minute. dockerd waits 5, 10, 15 … seconds.

import { RegistryError } from "./errors.ts";

/** Whether to try again, and after how long. */
export type RetryDecision = { readonly retry: false } | { readonly retry: true; readonly delayMs: number };

const firstDelayMs = 1000;
const maxDelayMs = 15_000;
const maxRetryAfterMs = 60_000;

/**
 * @param error   what the attempt threw
 * @param attempt 1 for the first
 * @param random  between 0 and 1; spreads the clients of a registry that has just come back
 */
export function planRetry(
  error: unknown,
  attempt: number,
  maxAttempts: number,
  random: number = Math.random(),
): RetryDecision {
  if (attempt >= maxAttempts || !(error instanceof RegistryError) || !error.transient) return { retry: false };
  const backoffMs = Math.min(maxDelayMs, firstDelayMs * 2 ** Math.min(attempt - 1, 10)) * (0.75 + random / 2);
  const delayMs = Math.max(backoffMs, Math.min(error.retryAfterMs ?? 0, maxRetryAfterMs));
  return { retry: true, delayMs: Math.round(delayMs) };
}
