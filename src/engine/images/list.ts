// docker images: filters and summaries. Source: Engine API 1.51, ImageList; the reference daemon's behaviour.

import type { Digest } from "../../base/digest.ts";
import { type Reference, familiarRepository, parseNamed, renderFamiliar } from "../../base/reference.ts";
import type { ImageSummary } from "../../spec/docker/image.ts";
import type { Filters } from "../api/ports.ts";
import { checkFilterNames, createdNs, currentNs, hasLabel, parseDangling, parseUntil } from "./filters.ts";
import { parseGlob } from "./glob.ts";
import type { ImagesDeps } from "./images.ts";
import { type ImageRecord, type ImageRecords, familiarNames } from "./records.ts";

const known = ["dangling", "label", "before", "since", "until", "reference"];

/** Unix seconds, as lists show it. */
export function createdSeconds(record: ImageRecord): number {
  return Number(createdNs(record) / 1_000_000_000n);
}

function matchesGlob(reference: Reference, matches: (text: string) => boolean): boolean {
  const named = parseNamed(reference);
  return matches(renderFamiliar(named)) || matches(familiarRepository(named));
}

type Keep = (record: ImageRecord) => boolean;

/** The filters that look at the image alone, as one predicate. @throws InvalidParameter, NotFound */
function parseFilters(records: ImageRecords, filters: Filters, nowNs: bigint): Keep {
  const before = (filters.get("before") ?? []).map((name) => createdNs(records.find(name)));
  const until = (filters.get("until") ?? []).map((text) => parseUntil(text, nowNs));
  const since = (filters.get("since") ?? []).map((name) => createdNs(records.find(name)));
  const labels = filters.get("label") ?? [];
  return (record) => {
    const created = createdNs(record);
    if ([...before, ...until].some((time) => created >= time) || since.some((time) => created <= time)) return false;
    return labels.every((label) => hasLabel(record, label));
  };
}

/** Whether an image without a tag, or with one, is wanted; those that others were made from are shown on request only. */
function isShown(
  tags: { readonly any: boolean; readonly tagged: boolean },
  request: { readonly dangling: boolean | undefined; readonly all: boolean },
  hasChildren: boolean,
): boolean {
  if (request.dangling === true) return !tags.tagged && !hasChildren;
  return tags.any || (request.dangling === undefined && (request.all || !hasChildren));
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

/**
 * Summaries, newest first.
 *
 * @param isHidden shown only when all are asked for
 * @throws InvalidParameter a filter; NotFound an image named by one
 */
export function listImages(
  deps: ImagesDeps,
  records: ImageRecords,
  request: ListRequest,
  isHidden: (id: Digest) => boolean,
): readonly ImageSummary[] {
  checkFilterNames(request.filters, known);
  const dangling = parseDangling(request.filters);
  const keep = parseFilters(records, request.filters, currentNs());
  const patterns = request.filters.get("reference")?.map(parseGlob);
  const references = records.referencesByImage();
  const parents = records.parents();
  const layerUses = new Map<string, number>();
  for (const { chain } of records.all()) for (const id of chain) layerUses.set(id, (layerUses.get(id) ?? 0) + 1);

  const summaries: { readonly created: bigint; readonly summary: ImageSummary }[] = [];
  for (const record of records.all()) {
    if (!keep(record) || (!request.all && isHidden(record.id))) continue;
    const all = references.get(record.id) ?? [];
    const shown =
      patterns === undefined
        ? all
        : all.filter((reference) => patterns.some((pattern) => matchesGlob(reference, pattern)));
    if (patterns !== undefined && shown.length === 0) continue;
    const tags = {
      any: shown.length > 0,
      tagged: shown.some((reference) => parseNamed(reference).digest === undefined),
    };
    if (!isShown(tags, { dangling, all: request.all }, parents.has(record.id))) continue;
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
    ParentId: record.parent ?? "",
    RepoDigests: digests,
    RepoTags: tags,
    SharedSize: sharedSize,
    Size: sizeOf(deps, record),
  };
}
