// docker images: filters and summaries. Source: Engine API 1.51, ImageList; the reference daemon's behaviour.

import type { Digest } from "../../base/digest.ts";
import { EngineError } from "../../base/errors.ts";
import { type Reference, familiarRepository, parseNamed, renderFamiliar } from "../../base/reference.ts";
import { parseRfc3339 } from "../../base/time.ts";
import type { ImageSummary } from "../../spec/docker/image.ts";
import type { Filters } from "../api/ports.ts";
import type { ImagesDeps } from "./images.ts";
import { type ImageRecord, type ImageRecords, familiarNames } from "./records.ts";

const known = new Set(["dangling", "label", "label!", "before", "since", "until", "reference"]);

function invalid(message: string): EngineError {
  return new EngineError("InvalidParameter", message);
}

/** Nanoseconds since 1970; images without a date are as old as can be. */
function createdNs(record: ImageRecord): bigint {
  return parseRfc3339(record.config.created ?? "") ?? 0n;
}

/** Unix seconds, as lists show it. */
export function createdSeconds(record: ImageRecord): number {
  return Number(createdNs(record) / 1_000_000_000n);
}

/** Go's path.Match for names: "*" and "?" stop at "/". */
function globToRegExp(pattern: string): RegExp {
  const source = pattern.replaceAll(/\*+|\?|\[\^?[^\]]*\]|\\.|[^*?[\\]+|[[\\]/g, (part) => {
    if (part.startsWith("*")) return "[^/]*";
    if (part === "?") return "[^/]";
    if (part.startsWith("[") && part.length > 2) return part.replaceAll("\\", "\\\\");
    return part.replace(/^\\(.)$/s, "$1").replaceAll(/[.*+?^${}()|[\]\\/]/g, String.raw`\$&`);
  });
  try {
    return new RegExp(`^${source}$`);
  } catch (cause) {
    throw new EngineError("InvalidParameter", "syntax error in pattern", { cause });
  }
}

function matchesGlob(reference: Reference, pattern: RegExp): boolean {
  const named = parseNamed(reference);
  return pattern.test(renderFamiliar(named)) || pattern.test(familiarRepository(named));
}

/** A time, or a Go duration before now. @returns nanoseconds since 1970 */
function parseUntil(text: string, nowNs: bigint): bigint {
  const parts = [...text.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h)/g)];
  if (parts.length > 0 && parts.map(([part]) => part).join("") === text) {
    const ms: Readonly<Record<string, number>> = { ms: 1, s: 1e3, m: 60e3, h: 3600e3 };
    const total = parts.reduce((sum, [, amount, unit]) => sum + Number(amount) * (ms[unit ?? ""] ?? 0), 0);
    return nowNs - BigInt(Math.round(total)) * 1_000_000n;
  }
  if (/^\d+(\.\d{1,9})?$/.test(text)) {
    const [seconds = "0", fraction = ""] = text.split(".");
    return BigInt(seconds) * 1_000_000_000n + BigInt(fraction.padEnd(9, "0"));
  }
  const exact = parseRfc3339(text);
  if (exact !== undefined) return exact;
  const ms = /^\d{4}-\d\d-\d\d(T[\d:.]+)?$/.test(text) ? Date.parse(text) : Number.NaN;
  if (Number.isNaN(ms)) throw invalid(`failed to parse value as time or duration: ${JSON.stringify(text)}`);
  return BigInt(ms) * 1_000_000n;
}

function parseDangling(filters: Filters): boolean | undefined {
  const values = filters.get("dangling");
  if (values === undefined) return undefined;
  const parsed = new Set(
    values.map((value) => (/^(1|true)$/.test(value) ? true : /^(0|false)$/.test(value) ? false : undefined)),
  );
  if (parsed.size !== 1 || parsed.has(undefined)) throw invalid(`invalid filter 'dangling=[${values.join(" ")}]'`);
  return parsed.has(true);
}

function hasLabel(record: ImageRecord, wanted: string): boolean {
  const labels = record.config.config?.Labels ?? {};
  const [key = "", value] = wanted.split(/=(.*)/s);
  return Object.hasOwn(labels, key) && (value === undefined || labels[key] === value);
}

type Keep = (record: ImageRecord, references: readonly Reference[]) => boolean;

/** The filters as one predicate. @throws InvalidParameter, NotFound */
function parseFilters(records: ImageRecords, filters: Filters, nowNs: bigint): Keep {
  for (const key of filters.keys()) if (!known.has(key)) throw invalid(`invalid filter '${key}'`);
  const dangling = parseDangling(filters);
  const before = filters.get("before")?.map((name) => createdNs(records.find(name)));
  const since = filters.get("since")?.map((name) => createdNs(records.find(name)));
  const until = filters.get("until")?.map((text) => parseUntil(text, nowNs));
  const labels = filters.get("label") ?? [];
  const notLabels = filters.get("label!") ?? [];
  return (record, references) => {
    const created = createdNs(record);
    if (dangling !== undefined && dangling !== (references.length === 0)) return false;
    if (before?.some((time) => created >= time) === true || since?.some((time) => created <= time) === true)
      return false;
    if (until?.some((time) => created > time) === true) return false;
    return labels.every((label) => hasLabel(record, label)) && !notLabels.some((label) => hasLabel(record, label));
  };
}

/** Bytes of an image's layers. */
export function sizeOf(deps: ImagesDeps, record: ImageRecord): number {
  return record.chain.reduce(
    (sum, chainId) => sum + (deps.snapshots.has(chainId) ? deps.snapshots.layerSize(chainId) : 0),
    0,
  );
}

export interface ListRequest {
  readonly all: boolean;
  readonly filters: Filters;
  readonly sharedSize: boolean;
}

/** Summaries, newest first. @throws InvalidParameter a filter; NotFound an image named by one */
export function listImages(deps: ImagesDeps, records: ImageRecords, request: ListRequest): readonly ImageSummary[] {
  const nowNs = BigInt(Math.floor(performance.timeOrigin + performance.now())) * 1_000_000n;
  const keep = parseFilters(records, request.filters, nowNs);
  const patterns = request.filters.get("reference")?.map(globToRegExp);
  const references = records.referencesByImage();
  const layerUses = new Map<string, number>();
  for (const { chain } of records.all()) for (const id of chain) layerUses.set(id, (layerUses.get(id) ?? 0) + 1);

  const summaries: { readonly created: bigint; readonly summary: ImageSummary }[] = [];
  for (const record of records.all()) {
    const all = references.get(record.id) ?? [];
    if (!keep(record, all)) continue;
    const shown =
      patterns === undefined
        ? all
        : all.filter((reference) => patterns.some((pattern) => matchesGlob(reference, pattern)));
    if (patterns !== undefined && shown.length === 0) continue;
    const shared = record.chain.filter((id) => (layerUses.get(id) ?? 0) > 1 && deps.snapshots.has(id));
    const sharedSize = shared.reduce((sum, id) => sum + deps.snapshots.layerSize(id), 0);
    summaries.push({
      created: createdNs(record),
      summary: summarise(deps, record, shown, request.sharedSize ? sharedSize : -1),
    });
  }
  return summaries
    .sort((a, b) => (a.created === b.created ? 0 : a.created < b.created ? 1 : -1))
    .map(({ summary }) => summary);
}

function summarise(
  deps: ImagesDeps,
  record: ImageRecord,
  references: readonly Reference[],
  sharedSize: number,
): ImageSummary {
  const { tags, digests } = familiarNames(references);
  const id: Digest = record.id;
  return {
    Containers: deps.users.containersOf(id).length,
    Created: createdSeconds(record),
    Id: id,
    Labels: record.config.config?.Labels ?? null,
    ParentId: "",
    RepoDigests: digests,
    RepoTags: tags,
    SharedSize: sharedSize,
    Size: sizeOf(deps, record),
  };
}
