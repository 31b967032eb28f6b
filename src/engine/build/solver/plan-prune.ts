// What of the build cache goes, in which order, and why. Pure. Steps go before those that they build upon, the longest unused first;
// what a running build uses stays, and so does what lies under it.
// Source: BuildKit's prune (cache/manager.go), which clients know: without `all`, internal and shared entries stay; with bounds,
// one entry after the other until the cache is below them, without bounds everything that matches.

import type { ChainId } from "../../../base/digest.ts";
import { parseRfc3339 } from "../../../base/time.ts";
import type { CacheEntry } from "./index.ts";

/** An entry of the cache as far as pruning goes. */
export interface PruneCandidate {
  readonly entry: CacheEntry;
  /** Layers of a record, bottom first; [] for what has none. */
  readonly chain: readonly ChainId[];
}

export interface PruneRules {
  /** Internal and shared entries, too. */
  readonly all: boolean;
  /** What the filters say. */
  matches(entry: CacheEntry): boolean;
  /** Nanoseconds since 1970: entries used since then stay; undefined for none. */
  readonly unusedSinceNs: bigint | undefined;
  /** Stop when the cache has at most so many bytes; undefined: never. */
  readonly keepBytes: number | undefined;
  /** Why they go, in words: "least recently used". */
  readonly reason: string;
}

export interface PrunePlan {
  readonly removed: readonly { readonly entry: CacheEntry; readonly reason: string }[];
  /** Bytes of the cache before and after. */
  readonly beforeBytes: number;
  readonly afterBytes: number;
}

/** When an entry was used last, or made; 0 when neither is known. */
export function lastUseNs({ lastUsedAt, createdAt }: CacheEntry): bigint {
  return parseRfc3339(lastUsedAt ?? createdAt) ?? 0n;
}

/**
 * Bytes that may stay: BuildKit's arithmetic of the three bounds. undefined for no bound.
 *
 * @param freeBytes of the disk
 */
export function keepBytesOf(
  bounds: { readonly reservedBytes: number; readonly maxUsedBytes: number; readonly minFreeBytes: number },
  totalBytes: number,
  freeBytes: number,
): number | undefined {
  const { reservedBytes, maxUsedBytes, minFreeBytes } = bounds;
  if (reservedBytes === 0 && maxUsedBytes === 0 && minFreeBytes === 0) return undefined;
  const excess = minFreeBytes - freeBytes;
  let keep = maxUsedBytes === 0 ? totalBytes : maxUsedBytes;
  if (maxUsedBytes === 0 && minFreeBytes === 0) keep = reservedBytes;
  if (excess > 0) keep = Math.min(keep, totalBytes - excess);
  return Math.max(keep, reservedBytes, 0);
}

/**
 * @param layerBytes of the layers that no image needs: what removing a record can free
 */
export function planPrune(
  candidates: readonly PruneCandidate[],
  layerBytes: ReadonlyMap<ChainId, number>,
  rules: PruneRules,
): PrunePlan {
  const users = new Map<ChainId, number>();
  const children = new Map<string, number>();
  const byId = new Map(candidates.map((candidate) => [candidate.entry.id, candidate]));
  let bytes = 0;
  for (const { entry, chain } of candidates) {
    for (const parent of new Set(entry.parents)) children.set(parent, (children.get(parent) ?? 0) + 1);
    for (const layer of new Set(chain)) {
      if (!users.has(layer)) bytes += layerBytes.get(layer) ?? 0;
      users.set(layer, (users.get(layer) ?? 0) + 1);
    }
    if (isStored(entry, chain)) bytes += entry.sizeBytes;
  }
  const beforeBytes = bytes;
  const isReady = ({ entry }: PruneCandidate): boolean => (children.get(entry.id) ?? 0) === 0 && goes(entry, rules);
  const ready = new ReadyQueue(candidates.filter(isReady));
  const removed: { entry: CacheEntry; reason: string }[] = [];
  while (rules.keepBytes === undefined || bytes > rules.keepBytes) {
    const next = ready.take();
    if (next === undefined) break;
    const { entry, chain } = next;
    removed.push({ entry, reason: rules.reason });
    for (const layer of new Set(chain)) {
      const left = (users.get(layer) ?? 1) - 1;
      users.set(layer, left);
      if (left === 0) bytes -= layerBytes.get(layer) ?? 0;
    }
    if (isStored(entry, chain)) bytes -= entry.sizeBytes;
    for (const parent of new Set(entry.parents)) {
      children.set(parent, (children.get(parent) ?? 1) - 1);
      const under = byId.get(parent);
      if (under !== undefined && isReady(under)) ready.add(under);
    }
  }
  return { removed, beforeBytes, afterBytes: bytes };
}

/** Not in layers: contexts, downloads, cache mounts. */
function isStored(entry: CacheEntry, chain: readonly ChainId[]): boolean {
  return chain.length === 0 && !entry.shared;
}

function goes(entry: CacheEntry, rules: PruneRules): boolean {
  if (entry.inUse || !rules.matches(entry)) return false;
  if (!rules.all && (entry.shared || entry.type === "internal" || entry.type === "frontend")) return false;
  return rules.unusedSinceNs === undefined || lastUseNs(entry) < rules.unusedSinceNs;
}

/** The longest unused first. */
class ReadyQueue {
  readonly #items: { readonly at: bigint; readonly candidate: PruneCandidate }[];

  constructor(candidates: readonly PruneCandidate[]) {
    this.#items = candidates.map((candidate) => ({ at: lastUseNs(candidate.entry), candidate }));
    // Taken from the end.
    this.#items.sort((a, b) => (a.at < b.at ? 1 : a.at > b.at ? -1 : 0));
  }

  take(): PruneCandidate | undefined {
    return this.#items.pop()?.candidate;
  }

  add(candidate: PruneCandidate): void {
    const at = lastUseNs(candidate.entry);
    let low = 0;
    let high = this.#items.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#items[middle]?.at ?? 0n) > at) low = middle + 1;
      else high = middle;
    }
    this.#items.splice(low, 0, { at, candidate });
  }
}
