// The filters of GET /volumes and POST /volumes/prune. Pure. Source: Engine API 1.51, VolumeList and VolumePrune; texts are dockerd's.

import { EngineError } from "../../base/errors.ts";
import type { Volume } from "../../spec/docker/volume.ts";
import type { Filters } from "../api/ports.ts";
import type { VolumeRecord } from "./index.ts";
import { anonymousLabel } from "./names.ts";

const listKeys = new Set(["dangling", "driver", "label", "name"]);
const pruneKeys = new Set(["all", "label", "label!"]);

function checkKeys(filters: Filters, known: ReadonlySet<string>): void {
  for (const key of filters.keys())
    if (!known.has(key)) throw new EngineError("InvalidParameter", `invalid filter '${key}'`);
}

/** Whether all of `wanted` are there: "key" or "key=value". */
function hasLabels(labels: Readonly<Record<string, string>> | null, wanted: readonly string[]): boolean {
  return wanted.every((text) => {
    const at = text.indexOf("=");
    const key = at < 0 ? text : text.slice(0, at);
    return labels !== null && Object.hasOwn(labels, key) && (at < 0 || labels[key] === text.slice(at + 1));
  });
}

/** Longer patterns are taken as texts alone: a pattern of a client must not keep the daemon busy. */
const maxPatternLength = 64;

/** dockerd takes a name filter for a pattern, and for a part of the name. */
function nameMatcher(value: string): (name: string) => boolean {
  const isSafe = value.length <= maxPatternLength && !/[*+?{}()|\\]/.test(value);
  let pattern: RegExp | undefined;
  try {
    pattern = isSafe ? new RegExp(value) : undefined;
  } catch {
    // No pattern: a text then.
  }
  return (name) => name.includes(value) || pattern?.test(name) === true;
}

/** `drivers`: those alone are asked, undefined for all. */
export interface VolumeSelection {
  readonly drivers: readonly string[] | undefined;
  readonly matches: (volume: Volume) => boolean;
}

/**
 * @param isUsed whether containers have the volume
 * @throws InvalidParameter an unknown filter, or a value that it cannot have
 */
export function selectVolumes(filters: Filters, isUsed: (name: string) => boolean): VolumeSelection {
  checkKeys(filters, listKeys);
  const dangling = filters.get("dangling") ?? [];
  const isTrue = dangling.includes("1") || dangling.includes("true");
  const isFalse = dangling.includes("0") || dangling.includes("false");
  if (dangling.length > 0 && isTrue === isFalse)
    throw new EngineError("InvalidParameter", `invalid filter 'dangling=[${dangling.join(" ")}]'`);
  const names = (filters.get("name") ?? []).map(nameMatcher);
  const labels = filters.get("label") ?? [];
  const drivers = filters.get("driver") ?? [];
  return {
    drivers: drivers.length === 0 ? undefined : drivers,
    matches: ({ Name, Labels, Driver }) =>
      (names.length === 0 || names.some((matches) => matches(Name))) &&
      (drivers.length === 0 || drivers.includes(Driver)) &&
      hasLabels(Labels, labels) &&
      (dangling.length === 0 || isTrue !== isUsed(Name)),
  };
}

function parseAll(values: readonly string[]): boolean {
  if (values.length > 1)
    throw new EngineError("InvalidParameter", `invalid filter 'all=[${values.join(" ")}]': only one value is expected`);
  const [value] = values;
  if (value === undefined || /^(?:0|f|F|FALSE|false|False)$/.test(value)) return false;
  if (/^(?:1|t|T|TRUE|true|True)$/.test(value)) return true;
  throw new EngineError(
    "InvalidParameter",
    `invalid filter 'all': strconv.ParseBool: parsing ${JSON.stringify(value)}: invalid syntax`,
  );
}

/**
 * What a prune takes, if nobody uses it: anonymous volumes, or all of them.
 *
 * @throws InvalidParameter an unknown filter, or a value that it cannot have
 */
export function selectPrunable(filters: Filters): (record: VolumeRecord) => boolean {
  checkKeys(filters, pruneKeys);
  const all = parseAll(filters.get("all") ?? []);
  const wanted = [...(filters.get("label") ?? []), ...(all ? [] : [anonymousLabel])];
  const unwanted = filters.get("label!") ?? [];
  return ({ labels }) => hasLabels(labels, wanted) && !(unwanted.length > 0 && hasLabels(labels, unwanted));
}
