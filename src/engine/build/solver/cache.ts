// The build cache as a whole: what it has, what goes when it must, and that it stays below its quota. Records and their layers go
// in one commit, under the snapshotter's lock; layers that an image has stay, and do not count.

import { statfs } from "node:fs/promises";
import { type ChainId, type Digest, chainIdsOf } from "../../../base/digest.ts";
import { isEngineError, messageOf } from "../../../base/errors.ts";
import { failpoint } from "../../../base/failpoint.ts";
import { nowNs } from "../../../base/time.ts";
import type { Graph } from "../graph/index.ts";
import type { BuildProgress } from "../progress.ts";
import type {
  BuildCache,
  CacheEntry,
  CacheRecordExport,
  CacheRecordOffer,
  JobContext,
  PruneCacheOptions,
  ReclaimableStore,
  Solution,
  SolverDeps,
} from "./index.ts";
import { knownSteps } from "./known-steps.ts";
import { Offers } from "./offers.ts";
import { type PruneCandidate, type PruneRules, keepBytesOf, planPrune } from "./plan-prune.ts";
import { parseCacheFilters } from "./prune-filters.ts";
import type { CacheRecord } from "./records.ts";

/** Of the disk, when no quota is given. */
const defaultShare = 10;
/** What stores had is believed while the cache is further below its quota than this part of it, … */
const margin = 0.1;
/** … for so many times what it took to list them: that is a walk through trees, at times. Within these bounds, in ms. */
const listingPause = 50;
const minBelievedMs = 1_000;
const maxBelievedMs = 60_000;

interface Pruned {
  readonly removed: readonly (CacheEntry & { readonly reason: string })[];
  readonly freedBytes: number;
}
type Finding = Awaited<ReturnType<BuildCache["check"]>>[number];

export class EngineBuildCache implements BuildCache {
  readonly #deps: SolverDeps;
  readonly #offers = new WeakMap<BuildProgress, Offers>();
  readonly #targets: (solution: Solution) => readonly Digest[];
  /** Layers of removed records that somebody still used: to be looked at again. */
  readonly #left = new Set<ChainId>();
  /** Bytes of the reclaimable stores when they were listed last. */
  #stored = { bytes: 0, until: Number.NEGATIVE_INFINITY };
  /** After the last collection, when what was in use did not go. */
  #isAboveQuota = false;
  #isCollecting = false;
  #collecting: Promise<void> = Promise.resolve();
  #next: Promise<void> | undefined;

  /** @param targets what a solution was asked for */
  constructor(deps: SolverDeps, targets: (solution: Solution) => readonly Digest[]) {
    this.#deps = deps;
    this.#targets = targets;
  }

  async entries(): Promise<readonly CacheEntry[]> {
    return (await this.#look()).candidates.map(({ entry }) => entry);
  }

  async prune(options: PruneCacheOptions, signal: AbortSignal): Promise<Pruned> {
    const now = nowNs();
    const filters = parseCacheFilters(options.filters, now);
    const before =
      options.keepDurationMs > 0 ? now - BigInt(Math.round(options.keepDurationMs)) * 1_000_000n : undefined;
    const unusedSinceNs = earlier(before, filters.unusedSinceNs);
    const { bavail, bsize } = await statfs(this.#deps.dataRoot);
    signal.throwIfAborted();
    const reasons = ["not in use"];
    if (options.filters.size > 0) reasons.push("the filters name it");
    if (unusedSinceNs !== undefined) reasons.push("it was not used for long enough");
    const pruned = await this.#remove((totalBytes) => {
      const keepBytes = keepBytesOf(options, totalBytes, bavail * bsize);
      const bound = keepBytes === undefined ? [] : [`the longest unused go until ${keepBytes} bytes are left`];
      const reason = [...reasons, ...bound].join("; ");
      return { all: options.all, matches: (entry) => filters.matches(entry), unusedSinceNs, keepBytes, reason };
    });
    return { removed: pruned.removed, freedBytes: pruned.freedBytes };
  }

  tops(): readonly ChainId[] {
    return this.#deps.records.tops();
  }

  known(graph: Graph, clampTimes: number | undefined): ReadonlyMap<Digest, boolean | undefined> {
    return knownSteps(this.#deps, graph, clampTimes);
  }

  exportRecords(graph: Graph, solution: Solution, mode: "min" | "max"): readonly CacheRecordExport[] {
    const { records, layers } = this.#deps;
    const results = this.#targets(solution).flatMap((target) => {
      const snapshot = solution.get(target)?.snapshot;
      return snapshot?.kind === "layers" ? chainIdsOf(snapshot.layers) : [];
    });
    const inResult = new Set(results);
    const exported = new Map<string, CacheRecordExport>();
    for (const digest of graph.vertices.keys()) {
      const id = solution.get(digest)?.recordId;
      const record = id === undefined ? undefined : records.get(id);
      if (record === undefined || !layers.has(record.layers)) continue;
      const keys = records.keysOf(record.id);
      // Sources are found by what they are.
      if (keys.length === 0) continue;
      const { layers: stack, createdAt, description } = record;
      const top = record.chain.at(-1);
      const hasLayers = mode === "max" || top === undefined || inResult.has(top);
      exported.set(record.id, { id: record.id, keys, layers: stack, createdAt, description, hasLayers });
    }
    return [...exported.values()];
  }

  offer(job: JobContext, records: readonly CacheRecordOffer[]): void {
    const offers = this.offersOf(job) ?? new Offers();
    this.#offers.set(job.progress, offers);
    offers.add(records);
  }

  offersOf(job: JobContext): Offers | undefined {
    return this.#offers.get(job.progress);
  }

  async check(repair: boolean): Promise<readonly Finding[]> {
    const { records, layers, store } = this.#deps;
    const findings: Finding[] = [];
    const report = (subject: string, detail: string, repaired: boolean): void =>
      void findings.push({ subject, detail, repaired });
    const lost = records.all().filter((record) => !layers.has(record.layers));
    const removable = lost.filter(({ id }) => !records.isHeld(id));
    if (repair) await this.#forget(removable);
    for (const record of lost)
      report(`build record ${record.id}`, "its layers are gone", repair && removable.includes(record));
    const rows = await store.load("build_records");
    const known = new Set(rows.map(({ id }) => id));
    for (const { id } of rows)
      if (records.get(id) === undefined) report(`build record ${id}`, "its row is not known to the engine", false);
    for (const { id } of records.all()) if (!known.has(id)) report(`build record ${id}`, "it has no row", false);
    for (const { key, record_id } of await store.load("build_keys"))
      if (!known.has(record_id)) {
        if (repair) await store.commit([{ delete: "build_keys", key }]);
        report(`build key ${key}`, `its record ${record_id} is not there`, repair);
      }
    return findings;
  }

  /** Forgets a record whose layers are gone; its next build makes another one. */
  async drop(record: CacheRecord): Promise<void> {
    if (this.#deps.records.isHeld(record.id)) return;
    this.#deps.logger.warn("a record of the build cache is dropped: its layers are gone", { record: record.id });
    await this.#forget([record]);
  }

  async #forget(records: readonly CacheRecord[]): Promise<void> {
    const { changes, undo } = this.#deps.records.remove(records.map(({ id }) => id));
    if (changes.length === 0) return;
    try {
      await this.#deps.store.commit(changes);
    } catch (error) {
      undo();
      throw error;
    }
  }

  /** Down to the quota; whoever asks while it is under way waits for a run that begins later. What fails is logged. */
  collect(): Promise<void> {
    this.#next ??= this.#collecting.then(() => {
      this.#next = undefined;
      this.#collecting = this.#collect();
      return this.#collecting;
    });
    return this.#next;
  }

  /** Whether a collection could do what the last one could not, or the one that is under way cannot. */
  get mayBeAboveQuota(): boolean {
    return this.#isAboveQuota || this.#isCollecting || this.#left.size > 0;
  }

  async #collect(): Promise<void> {
    this.#isCollecting = true;
    try {
      const quotaBytes = await this.#quotaBytes();
      if (this.#isFarBelow(quotaBytes)) return;
      const { afterBytes } = await this.#remove(() => ({
        all: true,
        // Without gain they would go in vain.
        matches: ({ shared }) => !shared,
        unusedSinceNs: undefined,
        keepBytes: quotaBytes,
        reason: `the longest unused: the cache was above its quota of ${quotaBytes} bytes`,
      }));
      this.#isAboveQuota = afterBytes > quotaBytes || this.#left.size > 0;
    } catch (error) {
      this.#deps.logger.error("the build cache was not brought below its quota", { error: messageOf(error) });
    } finally {
      this.#isCollecting = false;
    }
  }

  #isFarBelow(quotaBytes: number): boolean {
    const { bytes, until } = this.#stored;
    if (this.#left.size > 0 || performance.now() > until) return false;
    const { layerBytes } = this.#lookAtRecords();
    const records = [...layerBytes.values()].reduce((sum, layer) => sum + layer, 0);
    return records + bytes <= quotaBytes * (1 - margin);
  }

  async #quotaBytes(): Promise<number> {
    const given = this.#deps.quotaBytes();
    if (given > 0) return given;
    const { blocks, bsize } = await statfs(this.#deps.dataRoot);
    return Math.floor((blocks * bsize) / defaultShare);
  }

  /** @param rules made for the bytes that the cache has */
  async #remove(rules: (totalBytes: number) => PruneRules): Promise<Pruned & { readonly afterBytes: number }> {
    const looked = await this.#look();
    const total = planPrune(looked.candidates, looked.layerBytes, { ...rules(0), matches: () => false }).beforeBytes;
    const { removed, afterBytes } = planPrune(looked.candidates, looked.layerBytes, rules(total));
    const done: (CacheEntry & { readonly reason: string })[] = [];
    let freedBytes = 0;
    const doomed = removed.filter(({ entry }) => !looked.stores.has(entry.id));
    if (doomed.length > 0 || this.#left.size > 0) {
      const gone = await this.#removeRecords(doomed.map(({ entry }) => entry.id));
      freedBytes += gone.freedBytes;
      for (const { entry, reason } of doomed) if (gone.ids.has(entry.id)) done.push({ ...entry, reason });
    }
    for (const { entry, reason } of removed) {
      const bytes = await looked.stores.get(entry.id)?.remove(entry.id);
      if (bytes === undefined || (bytes === 0 && entry.sizeBytes > 0)) continue;
      freedBytes += bytes;
      done.push({ ...entry, reason });
    }
    return { removed: done, freedBytes, afterBytes };
  }

  async #removeRecords(
    doomed: readonly string[],
  ): Promise<{ readonly ids: ReadonlySet<string>; readonly freedBytes: number }> {
    const { records, snapshots, store, logger } = this.#deps;
    using _ = await snapshots.lock();
    await failpoint("build.prune.planned");
    // A build may have begun to use them, and an image's record may be made again at once under the same id: no await from here
    // until the commit is on its way.
    const ids = new Set(doomed.filter((id) => records.get(id) !== undefined && !records.isHeld(id)));
    const chains = [...ids].flatMap((id) => records.get(id)?.chain ?? []);
    const { changes, undo } = records.remove(ids);
    const layers = snapshots.planCollect(records.tops(), "builds");
    try {
      if (changes.length + layers.changes.length > 0) await store.commit([...changes, ...layers.changes]);
    } catch (error) {
      undo();
      throw error;
    }
    try {
      await failpoint("build.prune.committed");
      await layers.discard();
    } catch (error) {
      logger.error("files of the build cache are left", { error: messageOf(error) });
    }
    const needed = new Set(records.all().flatMap(({ chain }) => chain));
    for (const chainId of chains) this.#left.add(chainId);
    for (const chainId of this.#left) if (!snapshots.has(chainId) || needed.has(chainId)) this.#left.delete(chainId);
    const images = this.#left.size === 0 ? new Set<ChainId>() : snapshots.neededBy("images");
    for (const chainId of this.#left) if (images.has(chainId)) this.#left.delete(chainId);
    return { ids, freedBytes: layers.bytes };
  }

  /** Everything that the cache has, with the bytes of layers that only it needs. */
  async #look(): Promise<{
    readonly candidates: readonly PruneCandidate[];
    readonly layerBytes: ReadonlyMap<ChainId, number>;
    readonly stores: ReadonlyMap<string, ReclaimableStore>;
  }> {
    const begun = performance.now();
    const lists = await Promise.all(this.#deps.reclaimable.map(async (store) => [store, await store.list()] as const));
    const { candidates, layerBytes } = this.#lookAtRecords();
    const stores = new Map<string, ReclaimableStore>();
    for (const [store, list] of lists)
      for (const entry of list) {
        stores.set(entry.id, store);
        candidates.push({ entry, chain: [] });
      }
    const stored = candidates.filter(({ entry }) => stores.has(entry.id) && !entry.shared);
    const now = performance.now();
    const believedMs = Math.min(maxBelievedMs, Math.max(minBelievedMs, (now - begun) * listingPause));
    this.#stored = { bytes: stored.reduce((sum, { entry }) => sum + entry.sizeBytes, 0), until: now + believedMs };
    return { candidates, layerBytes, stores };
  }

  #lookAtRecords(): { readonly candidates: PruneCandidate[]; readonly layerBytes: ReadonlyMap<ChainId, number> } {
    const { records, snapshots } = this.#deps;
    const images = snapshots.neededBy("images");
    const layerBytes = new Map<ChainId, number>();
    const candidates: PruneCandidate[] = [];
    for (const record of records.all()) {
      for (const chainId of record.chain)
        if (!layerBytes.has(chainId) && !images.has(chainId) && snapshots.has(chainId))
          layerBytes.set(chainId, this.#layerSize(chainId));
      const top = record.chain.at(-1);
      candidates.push({ entry: this.#entryOf(record, top !== undefined && images.has(top)), chain: record.chain });
    }
    return { candidates, layerBytes };
  }

  #layerSize(chainId: ChainId): number {
    try {
      return this.#deps.snapshots.layerSize(chainId);
    } catch (error) {
      if (isEngineError(error, "DataLoss")) return 0;
      throw error;
    }
  }

  #entryOf(record: CacheRecord, shared: boolean): CacheEntry {
    const { id, type, description, sizeBytes, createdAt } = record;
    const { records } = this.#deps;
    return {
      id,
      type,
      description,
      sizeBytes,
      createdAt,
      shared,
      ...records.usageOf(id),
      parents: record.parents.filter((parent) => records.get(parent) !== undefined),
      inUse: records.isHeld(id),
    };
  }
}

/** The earlier of two times: entries must be older than both. */
function earlier(a: bigint | undefined, b: bigint | undefined): bigint | undefined {
  if (a === undefined || b === undefined) return a ?? b;
  return a < b ? a : b;
}
