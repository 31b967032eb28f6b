// The filters of `docker builder prune` and `du`: until (or unused-for), id, parent, type, description, inuse, shared, private.
// Source: Engine API 1.51, POST /build/prune; moby's builder-next, toBuildkitPruneInfo.

import { EngineError } from "../../../base/errors.ts";
import { parseRfc3339 } from "../../../base/time.ts";
import { parseGoDuration } from "../../../base/units.ts";
import type { CacheEntry } from "./index.ts";

export interface CacheFilters {
  matches(entry: CacheEntry): boolean;
  /** Nanoseconds since 1970, of `until`: what was used since then stays. */
  readonly unusedSinceNs: bigint | undefined;
}

/** Go's durations, never negative; undefined when it is none. Nanoseconds. */
function parseDurationNs(text: string): bigint | undefined {
  if (!/^\+?\d[\d.]*[a-zµ]/.test(text)) return undefined;
  try {
    return BigInt(Math.round(parseGoDuration(text)));
  } catch {
    return undefined;
  }
}

function parseUntil(name: string, text: string, nowNs: bigint): bigint {
  const duration = parseDurationNs(text);
  if (duration !== undefined) return nowNs - duration;
  if (/^\d+(?:\.\d{1,9})?$/.test(text)) {
    const [seconds = "0", fraction = ""] = text.split(".");
    return BigInt(seconds) * 1_000_000_000n + BigInt(fraction.padEnd(9, "0"));
  }
  const full = /^\d{4}-\d\d-\d\d$/.test(text)
    ? `${text}T00:00:00Z`
    : /(?:Z|[+-]\d\d:\d\d)$/.test(text)
      ? text
      : `${text}Z`;
  const time = parseRfc3339(full);
  if (time === undefined)
    throw new EngineError("InvalidParameter", `"${name}" filter expects a duration (e.g., '24h') or a timestamp`);
  return time;
}

function truth(name: string, values: readonly string[], is: boolean): boolean {
  return values.some((value) => {
    if (value === "" || value === "1" || value === "true") return is;
    if (value === "0" || value === "false") return !is;
    throw new EngineError("InvalidParameter", `invalid filter '${name}=[${value}]'`);
  });
}

type Match = (entry: CacheEntry, values: readonly string[]) => boolean;

const matches: Readonly<Record<string, Match>> = {
  id: ({ id }, values) => values.some((value) => id.startsWith(value)),
  parent: ({ parents }, values) => values.some((value) => parents.includes(value)),
  type: ({ type }, values) => values.includes(type),
  description: ({ description }, values) => values.some((value) => description.includes(value)),
  inuse: ({ inUse }, values) => truth("inuse", values, inUse),
  shared: ({ shared }, values) => truth("shared", values, shared),
  private: ({ shared }, values) => truth("private", values, !shared),
};

/**
 * Values of one name are joined by or, names by and; a name without values is true or false itself.
 *
 * @throws InvalidParameter an unknown name, a bad value, or both of `until` and `unused-for`
 */
export function parseCacheFilters(filters: ReadonlyMap<string, readonly string[]>, nowNs: bigint): CacheFilters {
  const checks: ((entry: CacheEntry) => boolean)[] = [];
  const until: string[] = [];
  let untilName = "until";
  for (const [name, given] of filters) {
    if (name === "until" || name === "unused-for") {
      if (until.length > 0) throw new EngineError("InvalidParameter", 'conflicting filters: "until" and "unused-for"');
      until.push(...given);
      untilName = name;
      continue;
    }
    const match = Object.hasOwn(matches, name) ? matches[name] : undefined;
    if (match === undefined) throw new EngineError("InvalidParameter", `invalid filter '${name}'`);
    const values = given.length === 0 ? [""] : given;
    if (name === "inuse" || name === "shared" || name === "private") truth(name, values, true);
    checks.push((entry) => match(entry, values));
  }
  if (until.length > 1)
    throw new EngineError(
      "InvalidParameter",
      `filters expect only one value: {"${untilName}": ${JSON.stringify(until)}}`,
    );
  const [text] = until;
  return {
    matches: (entry) => checks.every((check) => check(entry)),
    unusedSinceNs: text === undefined ? undefined : parseUntil(untilName, text, nowNs),
  };
}
