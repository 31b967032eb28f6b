// `builder.gc` of daemon.json: how much build cache is kept. Pure.
// Source: docker's documentation, "Build garbage collection"; moby's builder-next (worker/gc.go) for what follows without a policy.

import { EngineError, messageOf } from "../../../base/errors.ts";
import { parseGoDuration, parseRamBytes } from "../../../base/units.ts";
import { parseArray, parseObject, parseString } from "../../../spec/parse-json.ts";
import type { PruneCacheOptions } from "./index.ts";

/** What is kept of the build cache. */
export interface GcPolicy {
  /** False: nothing is removed but by prune. */
  readonly enabled: boolean;
  /** For SolverDeps.quotaBytes: what the cache never exceeds; Number.MAX_SAFE_INTEGER when it is not bounded. */
  readonly quotaBytes: number;
  /** For BuildCache.prune, one after the other, now and then. */
  readonly rules: readonly PruneCacheOptions[];
}

const gcMembers = [
  "enabled",
  "policy",
  "defaultKeepStorage",
  "defaultReservedSpace",
  "defaultMaxUsedSpace",
  "defaultMinFreeSpace",
];
const ruleMembers = ["all", "filter", "keepStorage", "reservedSpace", "maxUsedSpace", "minFreeSpace", "keepDuration"];
const hourMs = 3600_000;
/** Contexts, checkouts and cache mounts together, after two days without use. */
const easilyMadeBytes = 512 << 20;
const defaultPart = 0.1;

function invalid(message: string): EngineError {
  return new EngineError("InvalidParameter", `builder.gc: ${message}`);
}

function membersOf(value: unknown, what: string, known: readonly string[]): Readonly<Record<string, unknown>> {
  const object = parseObject(value, what);
  for (const name of Object.keys(object)) if (!known.includes(name)) throw invalid(`unknown setting ${name}`);
  return object;
}

function parseFlag(value: unknown, name: string, otherwise: boolean): boolean {
  if (value === undefined) return otherwise;
  if (typeof value !== "boolean") throw invalid(`${name} must be true or false`);
  return value;
}

/** "20GB" (units of 1024, as docker reads them), or a part of the disk: "10%". 0 without a value. */
function parseSpace(value: unknown, name: string, diskBytes: number): number {
  if (value === undefined || value === "") return 0;
  const text = parseString(value, name);
  const part = /^(\d{1,3})%$/.exec(text);
  if (part !== null) return Math.floor((diskBytes * Math.min(100, Number(part[1]))) / 100);
  try {
    return Math.max(0, parseRamBytes(text));
  } catch (error) {
    throw invalid(`${name}: ${messageOf(error)}`);
  }
}

function parseDurationMs(text: string, name: string): number {
  try {
    return Math.max(0, parseGoDuration(text) / 1e6);
  } catch (error) {
    throw invalid(`${name}: ${messageOf(error)}`);
  }
}

/** ["unused-for=2200h", "type=source.local"] */
function parseFilters(value: unknown): {
  readonly filters: ReadonlyMap<string, string[]>;
  readonly unusedForMs: number;
} {
  const filters = new Map<string, string[]>();
  let unusedForMs = 0;
  for (const item of value === undefined ? [] : parseArray(value, "filter")) {
    const [name = "", text = ""] = parseString(item, "filter").split(/==?(.*)/s);
    if (name === "unused-for" || name === "until") unusedForMs = parseDurationMs(text, name);
    else filters.set(name, [...(filters.get(name) ?? []), text]);
  }
  return { filters, unusedForMs };
}

function parseRule(value: unknown, diskBytes: number): PruneCacheOptions {
  const rule = membersOf(value, "policy", ruleMembers);
  const { filters, unusedForMs } = parseFilters(rule["filter"]);
  const keep = rule["keepDuration"];
  return {
    all: parseFlag(rule["all"], "all", false),
    filters,
    reservedBytes: parseSpace(rule["reservedSpace"] ?? rule["keepStorage"], "reservedSpace", diskBytes),
    maxUsedBytes: parseSpace(rule["maxUsedSpace"], "maxUsedSpace", diskBytes),
    minFreeBytes: parseSpace(rule["minFreeSpace"], "minFreeSpace", diskBytes),
    keepDurationMs:
      keep === undefined ? unusedForMs : parseDurationMs(parseString(keep, "keepDuration"), "keepDuration"),
  };
}

/** Docker's rules where none are given. */
function defaultRules(reservedBytes: number, maxUsedBytes: number, minFreeBytes: number): readonly PruneCacheOptions[] {
  const space = { reservedBytes, maxUsedBytes, minFreeBytes };
  const easilyMade = new Map([["type", ["source.local", "exec.cachemount", "source.git.checkout"]]]);
  const none = new Map<string, readonly string[]>();
  return [
    {
      all: false,
      filters: easilyMade,
      reservedBytes: 0,
      maxUsedBytes: easilyMadeBytes,
      minFreeBytes: 0,
      keepDurationMs: 48 * hourMs,
    },
    { all: false, filters: none, ...space, keepDurationMs: 60 * 24 * hourMs },
    { all: false, filters: none, ...space, keepDurationMs: 0 },
    { all: true, filters: none, ...space, keepDurationMs: 0 },
  ];
}

/**
 * @param value     member `builder.gc` of daemon.json; undefined where there is none
 * @param diskBytes of the file system of the data root
 * @throws InvalidParameter an unknown member, or a value that is none
 */
export function parseGcPolicy(value: unknown, diskBytes: number): GcPolicy {
  const gc = value === undefined ? {} : membersOf(value, "builder.gc", gcMembers);
  const reserved = parseSpace(
    gc["defaultReservedSpace"] ?? gc["defaultKeepStorage"],
    "defaultReservedSpace",
    diskBytes,
  );
  const maxUsed = parseSpace(gc["defaultMaxUsedSpace"], "defaultMaxUsedSpace", diskBytes);
  const minFree = parseSpace(gc["defaultMinFreeSpace"], "defaultMinFreeSpace", diskBytes);
  const given = gc["policy"] === undefined ? [] : parseArray(gc["policy"], "policy");
  const rules = given.map((rule) => parseRule(rule, diskBytes));
  if (!parseFlag(gc["enabled"], "enabled", true))
    return { enabled: false, quotaBytes: Number.MAX_SAFE_INTEGER, rules: [] };
  // Like ours, the last rule is the one that all of the cache has to keep to.
  const last = rules.findLast(({ filters, keepDurationMs }) => filters.size === 0 && keepDurationMs === 0);
  const bound = maxUsed || reserved || last?.maxUsedBytes || last?.reservedBytes || 0;
  const quotaBytes = bound > 0 ? bound : Math.floor(diskBytes * defaultPart);
  return { enabled: true, quotaBytes, rules: rules.length > 0 ? rules : defaultRules(reserved, quotaBytes, minFree) };
}
