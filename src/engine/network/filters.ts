// The filters of GET /networks and POST /networks/prune. Pure. Source: Engine API 1.51, NetworkList; texts are dockerd's.

import { EngineError } from "../../base/errors.ts";
import { parseRfc3339 } from "../../base/time.ts";
import type { Filters } from "../api/ports.ts";
import { isPredefined } from "./draft.ts";
import type { NetworkRecord } from "./record.ts";

const known = new Set(["dangling", "driver", "id", "label", "name", "scope", "type"]);

function parseDangling(values: readonly string[]): boolean | undefined {
  const [value] = values;
  if (values.length > 1) throw new EngineError("InvalidParameter", 'got more than one value for filter key "dangling"');
  if (value === undefined) return undefined;
  if (value === "true" || value === "1") return true;
  if (value === "false" || value === "0") return false;
  throw new EngineError(
    "InvalidParameter",
    'invalid value for filter \'dangling\', must be "true" (or "1"), or "false" (or "0")',
  );
}

/** Whether all of `wanted` are there: "key" or "key=value". */
export function hasLabels(labels: Readonly<Record<string, string>>, wanted: readonly string[]): boolean {
  return wanted.every((text) => {
    const at = text.indexOf("=");
    const key = at < 0 ? text : text.slice(0, at);
    return Object.hasOwn(labels, key) && (at < 0 || labels[key] === text.slice(at + 1));
  });
}

/** dockerd takes a name filter for a pattern where it is one. */
function matchesName(name: string, value: string): boolean {
  if (name.includes(value)) return true;
  const anchored = /^(\^?)([^\\^$.*+?()[\]{}|]*)(\$?)$/.exec(value);
  if (anchored === null) return false;
  const [, start, middle = "", end] = anchored;
  if (start !== "" && end !== "") return name === middle;
  return (start !== "" && name.startsWith(middle)) || (end !== "" && name.endsWith(middle));
}

/**
 * @param isUsed whether containers are on the network
 * @throws InvalidParameter an unknown filter, or a value that it cannot have
 */
export function filterNetworks(
  records: readonly NetworkRecord[],
  filters: Filters,
  isUsed: (record: NetworkRecord) => boolean,
): readonly NetworkRecord[] {
  for (const key of filters.keys())
    if (!known.has(key)) throw new EngineError("InvalidParameter", `invalid filter '${key}'`);
  const values = (key: string): readonly string[] => filters.get(key) ?? [];
  for (const type of values("type"))
    if (type !== "builtin" && type !== "custom")
      throw new EngineError("InvalidParameter", `invalid filter: 'type'='${type}'`);
  const dangling = parseDangling(values("dangling"));
  const matches = (key: string, test: (value: string) => boolean): boolean =>
    values(key).length === 0 || values(key).some(test);
  return records.filter(
    (record) =>
      matches("name", (value) => matchesName(record.name, value)) &&
      matches("id", (value) => record.id.startsWith(value)) &&
      matches("driver", (value) => record.driver === value) &&
      matches("scope", (value) => value === "local") &&
      matches("type", (value) => (value === "builtin") === isPredefined(record.name)) &&
      hasLabels(record.labels, values("label")) &&
      (dangling === undefined || dangling === (!isPredefined(record.name) && !isUsed(record))),
  );
}

const unitsNs: Readonly<Record<string, number>> = { ns: 1, us: 1e3, µs: 1e3, ms: 1e6, s: 1e9, m: 60e9, h: 3600e9 };

/**
 * The filter `until`: RFC 3339, a date, unix seconds, or a Go duration before now.
 *
 * @returns nanoseconds since 1970, undefined when it is not given
 * @throws InvalidParameter two of them, or none of these forms
 */
export function parseUntil(values: readonly string[]): bigint | undefined {
  const [text] = values;
  if (values.length > 1) throw new EngineError("InvalidParameter", "more than one until filter specified");
  if (text === undefined) return undefined;
  const unix = /^(\d{1,12})(?:\.(\d{1,9}))?$/.exec(text);
  if (unix !== null) return BigInt(unix[1] ?? 0) * 1_000_000_000n + BigInt((unix[2] ?? "").padEnd(9, "0"));
  const point = parseRfc3339(/^\d{4}-\d\d-\d\d$/.test(text) ? `${text}T00:00:00Z` : text);
  if (point !== undefined) return point;
  if (!/^(\d{1,12}(\.\d{1,12})?(ns|us|µs|ms|s|m|h)){1,12}$/.test(text))
    throw new EngineError("InvalidParameter", `failed to parse value as time or duration: ${JSON.stringify(text)}`);
  let ns = 0;
  for (const [, number, unit = ""] of text.matchAll(/([0-9.]+)([a-zµ]+)/g)) ns += Number(number) * (unitsNs[unit] ?? 0);
  return BigInt(Date.now()) * 1_000_000n - BigInt(Math.round(ns));
}
