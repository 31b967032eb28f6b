// Points in time as the API writes them: RFC 3339 with nanoseconds, UTC. Time-outs never use this clock.

/** Docker's "never": the zero time. */
export const zeroTime = "0001-01-01T00:00:00Z";

/** Now as RFC 3339 with nine digits; the last three come from the monotonic clock so that quick successions differ. */
export function nowRfc3339Nano(): string {
  return renderRfc3339Nano(nowNs());
}

/** Nanoseconds since 1970, in steps of a microsecond. */
export function nowNs(): bigint {
  const us = performance.timeOrigin * 1000 + performance.now() * 1000;
  return BigInt(Math.floor(us)) * 1000n;
}

/** @param ns nanoseconds since 1970 */
export function renderRfc3339Nano(ns: bigint): string {
  const ms = ns / 1_000_000n;
  const rest = ns % 1_000_000n;
  return `${new Date(Number(ms)).toISOString().slice(0, -1)}${rest.toString().padStart(6, "0")}Z`;
}

/** Nanoseconds since 1970 of an RFC 3339 text; undefined when it is none. */
export function parseRfc3339(text: string): bigint | undefined {
  const m = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)$/.exec(text);
  if (m === null) return undefined;
  const ms = Date.parse(`${m[1]}${m[3]}`);
  if (Number.isNaN(ms)) return undefined;
  return BigInt(ms) * 1_000_000n + BigInt((m[2] ?? "").padEnd(9, "0"));
}
