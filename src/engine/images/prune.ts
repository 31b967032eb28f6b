// docker image prune: what has no tag, or with dangling=false what no container uses; and downloads that were given up.
// Filters and texts are the reference daemon's. Unlike it, an image in use keeps all its names, also when it has several.

import type { Digest } from "../../base/digest.ts";
import { EngineError, isEngineError } from "../../base/errors.ts";
import { type Reference, parseNamed, renderFamiliar } from "../../base/reference.ts";
import type { ImageDeleteResponseItem } from "../../spec/docker/image.ts";
import type { Filters } from "../api/ports.ts";
import { staleIngestMs } from "../content/index.ts";
import type { Removed } from "./apply-remove.ts";
import { checkFilterNames, createdNs, currentNs, hasLabel, parseDangling, parseUntil } from "./filters.ts";
import type { ImagesDeps } from "./images.ts";
import type { ImageRecord, ImageRecords } from "./records.ts";

const known = ["dangling", "label", "label!", "until"];
const hourMs = 3_600_000;

/** What pruning needs to know of an image. */
export interface PruneCandidate {
  readonly image: ImageRecord;
  readonly references: readonly Reference[];
  readonly hasChildren: boolean;
  readonly isUsed: boolean;
}

interface PruneFilters {
  /** Only images without a tag. */
  readonly danglingOnly: boolean;
  fits(image: ImageRecord): boolean;
}

/** @throws InvalidParameter with dockerd's texts */
export function parsePruneFilters(filters: Filters, nowNs: bigint): PruneFilters {
  checkFilterNames(filters, known);
  const danglingOnly = parseDangling(filters) ?? true;
  const untils = filters.get("until") ?? [];
  if (untils.length > 1) throw new EngineError("InvalidParameter", "more than one until filter specified");
  const [until] = untils.map((text) => parseUntil(text, nowNs));
  const labels = filters.get("label") ?? [];
  const unwanted = filters.get("label!") ?? [];
  return {
    danglingOnly,
    fits: (image) =>
      (until === undefined || createdNs(image) <= until) &&
      labels.every((label) => hasLabel(image, label)) &&
      (unwanted.length === 0 || !unwanted.every((label) => hasLabel(image, label))),
  };
}

/** The names, or for an image without any its id, that `docker rmi` has to be told. */
export function planPrune(candidates: Iterable<PruneCandidate>, filters: PruneFilters): readonly string[] {
  return [...candidates].flatMap(({ image, references, hasChildren, isUsed }) => {
    if (isUsed || !filters.fits(image)) return [];
    if (references.length === 0) return hasChildren ? [] : [image.id];
    const named = references.map((reference) => parseNamed(reference));
    const isTagged = named.some(({ digest }) => digest === undefined);
    if (filters.danglingOnly && (isTagged || hasChildren)) return [];
    // Tags first: with the last one of a repository its digest references go.
    return named
      .toSorted((a, b) => Number(a.digest !== undefined) - Number(b.digest !== undefined))
      .map(renderFamiliar);
  });
}

/** @throws InvalidParameter the filters */
export async function pruneImages(
  deps: ImagesDeps,
  records: ImageRecords,
  filters: Filters,
  remove: (nameOrId: string) => Promise<Removed>,
): Promise<{ readonly ImagesDeleted: readonly ImageDeleteResponseItem[] | null; readonly SpaceReclaimed: number }> {
  const parsed = parsePruneFilters(filters, currentNs());
  const items: ImageDeleteResponseItem[] = [];
  let bytes = 0;
  for (const nameOrId of planPrune(candidatesOf(deps, records), parsed)) {
    try {
      const removed = await remove(nameOrId);
      items.push(...removed.items);
      bytes += removed.bytes;
    } catch (error) {
      // Used or removed by somebody else meanwhile, or gone with another name.
      if (!isEngineError(error, "Conflict") && !isEngineError(error, "NotFound")) throw error;
    }
  }
  bytes += await deps.content.sweepIngests(parsed.danglingOnly ? staleIngestMs : hourMs);
  deps.events.publish({ type: "image", action: "prune", id: "", attributes: { reclaimed: String(bytes) } });
  return { ImagesDeleted: items.length === 0 ? null : items, SpaceReclaimed: bytes };
}

function candidatesOf(deps: ImagesDeps, records: ImageRecords): readonly PruneCandidate[] {
  const references = records.referencesByImage();
  const parents = records.parents();
  const isUsed = (id: Digest): boolean => deps.users.containersOf(id).length > 0;
  return [...records.all()].map((image) => ({
    image,
    references: references.get(image.id) ?? [],
    hasChildren: parents.has(image.id),
    isUsed: isUsed(image.id),
  }));
}
