// The snapshotter for overlayfs: one directory per unpacked layer, whatever lies under it, and one per writable layer.
// Records are in memory; rows are the truth on disk. Order for what comes: directory, sync, rename, row. For what goes:
// row, directory. So every row has its directory, and a directory without a row is garbage.

import { existsSync } from "node:fs";
import { join } from "node:path";
import { Readable } from "node:stream";
import { type ChainId, type DiffId, chainIdsOf } from "../../base/digest.ts";
import { EngineError } from "../../base/errors.ts";
import { failpoint } from "../../base/failpoint.ts";
import type { Logger } from "../../base/log.ts";
import { KeyedMutex } from "../../base/mutex.ts";
import type { ProjectQuotas } from "../kernel/project-quota.ts";
import { syncDirectory } from "../kernel/sync-directory.ts";
import { run } from "../kernel/run.ts";
import type { Change, Store } from "../store/index.ts";
import { checkSnapshots } from "./check.ts";
import { SnapshotDirectories } from "./directories.ts";
import type {
  LayerRemoval,
  OverlayDirs,
  Placed,
  Prepared,
  RootOwner,
  SnapshotFinding,
  Snapshotter,
  StagedLayer,
} from "./index.ts";
import { LayerPins } from "./pins.ts";
import { packLayer, packTar } from "./packer.ts";
import { type Layer, type WritableLayer, insertLayer, loadRecords } from "./records.ts";
import { sealLayer } from "./sealer.ts";
import { type KeptLayer, StagingArea } from "./staging.ts";
import { findUnneeded } from "./unneeded.ts";
import { directoryBytes } from "./usage.ts";

export interface SnapshotterDeps {
  readonly store: Store;
  readonly dataRoot: string;
  readonly logger: Logger;
  /** Path of gantry-unpack. */
  readonly unpackPath: string;
  /** Path of gantry-pack. */
  readonly packPath: string;
  /** Without them no writable layer can be limited. */
  readonly quotas?: ProjectQuotas | undefined;
  /** Of the files of one layer, whatever the caller of `stage` allows; undefined for no limit of its own. */
  readonly maxLayerBytes?: number | undefined;
  /** Members of one layer; 2,000,000 without it. */
  readonly maxEntries?: number;
  /** Components of a path in a layer; 1024 without it. */
  readonly maxDepth?: number;
}

const byteStream = { objectMode: false, highWaterMark: 1 << 18 } as const;

// dockerd's limit; a longer chain does not fit into mount(2)'s one page of options.
const maxChainLength = 125;

/** Loads the rows and sweeps what an earlier process left behind. The caller holds the lock of the data root. */
export async function createSnapshotter(deps: SnapshotterDeps): Promise<Snapshotter> {
  const directories = new SnapshotDirectories(deps.dataRoot, deps.unpackPath);
  const { layers, writables } = await loadRecords(deps.store);
  const known = new Set([...layers.values(), ...writables.values()].map(({ dir }) => dir));
  await directories.sweep(known, deps.logger, async (directory) => deps.quotas?.release(directory));
  return new OverlaySnapshotter(deps, directories, layers, writables);
}

class OverlaySnapshotter implements Snapshotter {
  readonly #deps: SnapshotterDeps;
  readonly #directories: SnapshotDirectories;
  readonly #layers: Map<ChainId, Layer>;
  readonly #writables: Map<string, WritableLayer>;
  readonly #pins = new LayerPins();
  /** Layers that a plan, once committed, deletes: nobody may begin to keep them. */
  #leaving: ReadonlySet<ChainId> = new Set();
  readonly #staging: StagingArea;
  readonly #mutex = new KeyedMutex();
  readonly #roots = new Map<RootOwner, () => readonly ChainId[]>();

  constructor(
    deps: SnapshotterDeps,
    directories: SnapshotDirectories,
    layers: Map<ChainId, Layer>,
    writables: Map<string, WritableLayer>,
  ) {
    this.#deps = deps;
    this.#directories = directories;
    this.#layers = layers;
    this.#writables = writables;
    this.#staging = new StagingArea({
      directories,
      helper: deps.unpackPath,
      maxEntries: deps.maxEntries ?? 2_000_000,
      maxDepth: deps.maxDepth ?? 1024,
      keep: (diffId) => this.#keep(diffId),
    });
  }

  async prepare(
    key: string,
    parent: ChainId | undefined,
    { sizeBytes }: { readonly sizeBytes: number | undefined } = { sizeBytes: undefined },
  ): Promise<Prepared> {
    if (this.#writables.has(key)) throw new EngineError("Conflict", `a writable layer for ${key} exists already`);
    const parentLayer = parent === undefined ? undefined : this.#layer(parent);
    const dir = this.#directories.take();
    // Known from now on, so that nobody collects the layers under it; the row follows with the caller's commit.
    this.#writables.set(key, { key, parent, dir });
    const undo = async (): Promise<void> => {
      this.#writables.delete(key);
      await this.#removeWritable(dir);
    };
    try {
      this.#directories.make(dir);
      if (sizeBytes !== undefined) await this.#limit(dir, sizeBytes);
      this.#directories.makeWritable(dir, parentLayer?.dir);
    } catch (cause) {
      await undo();
      if (cause instanceof EngineError) throw cause;
      throw new EngineError("System", `make the writable layer of ${key}: ${String(cause)}`, { cause });
    }
    return {
      changes: [{ insert: "snapshots", row: { key, chain_id: parent ?? null, dir } }],
      dirs: this.#dirsOf({ key, parent, dir }),
      undo,
    };
  }

  async limitsUnsupported(): Promise<string | undefined> {
    const { quotas } = this.#deps;
    return quotas === undefined ? "quotas are not in use" : quotas.unsupported(this.#directories.root);
  }

  /** All that is made in the directory is counted: the layer's files, and those that overlayfs is at work on. */
  async #limit(dir: number, sizeBytes: number): Promise<void> {
    const directory = this.#directories.of(dir);
    if (this.#deps.quotas === undefined)
      throw new EngineError("NotImplemented", `cannot limit the size of ${directory}: quotas are not in use`);
    await this.#deps.quotas.limit(directory, sizeBytes);
    this.#directories.markLimited(dir, sizeBytes);
  }

  async #removeWritable(dir: number): Promise<void> {
    if (this.#directories.isLimited(dir)) await this.#deps.quotas?.release(this.#directories.of(dir));
    await this.#directories.remove(dir);
  }

  dirs(key: string): OverlayDirs {
    const dirs = this.#dirsOf(this.#writable(key));
    if (!existsSync(dirs.upper) || !existsSync(dirs.work))
      throw new EngineError("DataLoss", `the writable layer of ${key} is gone: ${dirs.upper}`);
    return dirs;
  }

  removal(key: string): { readonly changes: readonly Change[]; discard(): Promise<void> } {
    const writable = this.#writables.get(key);
    if (writable === undefined) return { changes: [], discard: () => Promise.resolve() };
    return {
      changes: [{ delete: "snapshots", key }],
      discard: async () => {
        const { parent, dir } = writable;
        const unpin = parent === undefined ? undefined : this.#pins.pin(parent);
        this.#writables.delete(key);
        await this.#removeWritable(dir);
        if (parent === undefined || unpin === undefined) return;
        // An image's layers stay, most likely: nobody waits for the lock then.
        if (this.#rootsBut(undefined).includes(parent)) this.#unpinLater(parent, unpin);
        else await this.#unpin(parent, unpin);
      },
    };
  }

  async usage(key: string): Promise<{ readonly writableBytes: number; readonly totalBytes: number }> {
    const writable = this.#writable(key);
    const writableBytes = await directoryBytes(this.#directories.fs(writable.dir));
    const under = this.#chain(writable.parent);
    return { writableBytes, totalBytes: under.reduce((sum, layer) => sum + layer.sizeBytes, writableBytes) };
  }

  addRoots(owner: RootOwner, roots: () => readonly ChainId[]): void {
    this.#roots.set(owner, roots);
  }

  neededBy(owner: RootOwner): ReadonlySet<ChainId> {
    const needed = new Set<ChainId>();
    for (const top of this.#roots.get(owner)?.() ?? [])
      for (let id: ChainId | undefined = top; id !== undefined && !needed.has(id); id = this.#layers.get(id)?.parent)
        needed.add(id);
    return needed;
  }

  /** Of all owners, or of all others. */
  #rootsBut(owner: RootOwner | undefined): ChainId[] {
    return [...this.#roots].flatMap(([name, roots]) => (name === owner ? [] : roots()));
  }

  has(chainId: ChainId): boolean {
    return this.#layers.has(chainId);
  }

  async unpack(
    parent: ChainId | undefined,
    diffId: DiffId,
    tar: AsyncIterable<Uint8Array>,
    signal: AbortSignal,
  ): Promise<ChainId> {
    const under = this.#chain(parent).toReversed();
    const staged = await this.stage(tar, { claimed: diffId, maxBytes: Number.MAX_SAFE_INTEGER }, signal);
    try {
      using _ = await this.lock();
      const known = under.map((layer) => ({ diffId: layer.diffId, staged: undefined }));
      const placed = await this.place([...known, { diffId, staged }]);
      try {
        await this.#deps.store.commit(placed.changes);
      } catch (error) {
        await placed.undo();
        throw error;
      }
      placed.committed();
      return placed.top as ChainId;
    } finally {
      await staged.release();
    }
  }

  layerSize(chainId: ChainId): number {
    return this.#layer(chainId).sizeBytes;
  }

  async collect(neededTops: readonly ChainId[], owner: RootOwner = "images"): Promise<number> {
    using _ = await this.lock();
    const plan = this.planCollect(neededTops, owner);
    await this.#deps.store.commit(plan.changes);
    await plan.discard();
    return plan.bytes;
  }

  stage(
    tar: AsyncIterable<Uint8Array>,
    options: { readonly claimed: DiffId | undefined; readonly maxBytes: number },
    signal: AbortSignal,
  ): Promise<StagedLayer> {
    return this.#staging.stage(tar, options.claimed, this.#atMost(options.maxBytes), signal);
  }

  async place(
    stack: readonly { readonly diffId: DiffId; readonly staged: StagedLayer | undefined }[],
  ): Promise<Placed> {
    if (stack.length > maxChainLength) throw new EngineError("InvalidParameter", "max depth exceeded");
    const chainIds = chainIdsOf(stack.map(({ diffId }) => diffId));
    const made: Layer[] = [];
    let mended = false;
    const undo = async (): Promise<void> => {
      await this.#directories.remove(...made.map(({ dir }) => dir));
    };
    try {
      for (const [index, { diffId, staged }] of stack.entries()) {
        const chainId = chainIds[index] as ChainId;
        const known = this.#layers.get(chainId);
        if (known !== undefined && this.#isThere(known)) continue;
        if (known !== undefined) {
          // Its row is true, its directory was lost: this brings it back.
          await this.#fill(known.dir, diffId, staged, made);
          mended = true;
          continue;
        }
        const dir = this.#directories.take();
        const { sizeBytes, tarBytes } = await this.#fill(dir, diffId, staged, made);
        made.push({ chainId, parent: chainIds[index - 1], diffId, dir, sizeBytes, tarBytes });
      }
      await failpoint("snapshots.place.settled");
      if (made.length > 0 || mended) await syncDirectory(this.#directories.root);
    } catch (error) {
      await undo();
      throw error;
    }
    return {
      top: chainIds.at(-1),
      changes: made.map(insertLayer),
      committed: () => {
        for (const layer of made) this.#layers.set(layer.chainId, layer);
      },
      undo,
    };
  }

  async lock(): Promise<Disposable> {
    const held = await this.#mutex.lock("layers");
    return {
      [Symbol.dispose]: () => {
        // A plan holds as long as the lock: what was not deleted by then stays, and may be kept again.
        this.#leaving = new Set();
        held[Symbol.dispose]();
      },
    };
  }

  planCollect(neededTops: readonly ChainId[], owner: RootOwner = "images"): LayerRemoval {
    return this.#planCollect([...neededTops, ...this.#rootsBut(owner)]);
  }

  #planCollect(tops: readonly ChainId[]): LayerRemoval {
    const parents = [...this.#writables.values()].flatMap(({ parent }) => (parent === undefined ? [] : [parent]));
    const removed = findUnneeded(this.#layers, [...tops, ...this.#pins.chainIds(), ...parents]);
    this.#leaving = new Set(removed.map(({ chainId }) => chainId));
    return {
      removed: removed.map(({ chainId }) => chainId),
      bytes: removed.reduce((sum, layer) => sum + layer.sizeBytes, 0),
      changes: removed.map(({ chainId }) => ({ delete: "layers", key: chainId })),
      discard: async () => {
        for (const layer of removed) this.#layers.delete(layer.chainId);
        this.#leaving = new Set();
        await this.#directories.remove(...removed.map(({ dir }) => dir));
      },
    };
  }

  tar(chainId: ChainId, signal: AbortSignal): Readable {
    const layer = this.#packable(chainId);
    const release = this.#pins.pin(chainId);
    const directory = this.#directories.of(layer.dir);
    const tar = Readable.from(packLayer(this.#deps.packPath, directory, layer.diffId, signal), byteStream);
    return tar.once("close", release);
  }

  tarBytes(chainId: ChainId): number {
    return this.#packable(chainId).tarBytes;
  }

  async stageWritable(key: string, maxBytes: number, signal: AbortSignal): Promise<StagedLayer> {
    const { upper, lower } = this.dirs(key);
    const run = { args: ["diff", upper, ...lower], subject: `writable layer of ${key}`, kind: "System" } as const;
    return this.#staging.stage(packTar(this.#deps.packPath, run, signal), undefined, this.#atMost(maxBytes), signal);
  }

  async seal(key: string, clampTimes: number | undefined, signal: AbortSignal): Promise<StagedLayer | undefined> {
    const { lower } = this.dirs(key);
    const { dir } = this.#writable(key);
    const sealed = await sealLayer(this.#deps.packPath, this.#directories.of(dir), lower, clampTimes, signal);
    if (sealed.members === 0) {
      this.#writables.delete(key);
      await this.#directories.remove(dir);
      return undefined;
    }
    const directory = await this.#directories.unsettle(dir);
    this.#writables.delete(key);
    const staged = this.#staging.adopt(sealed, directory);
    await this.#directories.removeTrees([join(directory, "work")]);
    return staged;
  }

  pin(chainId: ChainId): Disposable | undefined {
    if (!this.#layers.has(chainId) || this.#leaving.has(chainId)) return undefined;
    const unpin = this.#pins.pin(chainId);
    return { [Symbol.dispose]: unpin };
  }

  export(key: string, signal: AbortSignal): Readable {
    const { upper, lower } = this.dirs(key);
    const run = { args: ["export", upper, ...lower], subject: `file system of ${key}`, kind: "System" } as const;
    return Readable.from(this.#whileThere(key, packTar(this.#deps.packPath, run, signal)), byteStream);
  }

  /** What vanishes is left out of a tar: without the container, that would be everything. */
  async *#whileThere(key: string, tar: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    const before = this.#writable(key);
    yield* tar;
    if (this.#writables.get(key) !== before)
      throw new EngineError("DataLoss", `file system of ${key}: it was removed while it was read`);
  }

  chainDirs(top: ChainId): readonly string[] {
    return this.#chain(top).map(({ dir }) => this.#directories.of(dir));
  }

  async check(neededTops: () => readonly ChainId[], repair: boolean): Promise<readonly SnapshotFinding[]> {
    using _ = await this.lock();
    const unneeded = this.planCollect(neededTops());
    const findings = await checkSnapshots({
      directories: this.#directories,
      layers: this.#layers,
      writables: this.#writables,
      staged: this.#staging.directories,
      unneeded: new Set(unneeded.removed),
      repair,
    });
    if (repair && unneeded.removed.length > 0) {
      await this.#deps.store.commit(unneeded.changes);
      await unneeded.discard();
    }
    return findings;
  }

  #dirsOf(writable: WritableLayer): OverlayDirs {
    const directory = this.#directories.of(writable.dir);
    return {
      lower: this.#chain(writable.parent).map(({ dir }) => this.#directories.fs(dir)),
      upper: join(directory, "fs"),
      work: join(directory, "work"),
    };
  }

  /** Top-most first. */
  #chain(top: ChainId | undefined): Layer[] {
    const chain: Layer[] = [];
    for (let id = top; id !== undefined; id = chain.at(-1)?.parent) chain.push(this.#layer(id));
    return chain;
  }

  #layer(chainId: ChainId): Layer {
    const layer = this.#layers.get(chainId);
    if (layer === undefined) throw new EngineError("DataLoss", `layer ${chainId} is missing`);
    return layer;
  }

  #writable(key: string): WritableLayer {
    const writable = this.#writables.get(key);
    if (writable === undefined) throw new EngineError("DataLoss", `the writable layer of ${key} is missing`);
    return writable;
  }

  #byDiffId(diffId: DiffId, among: Iterable<Layer>): Layer | undefined {
    for (const layer of among) if (layer.diffId === diffId && this.#isThere(layer)) return layer;
    return undefined;
  }

  #isThere(layer: Layer): boolean {
    return existsSync(this.#directories.fs(layer.dir));
  }

  #atMost(maxBytes: number): number {
    return Math.min(maxBytes, this.#deps.maxLayerBytes ?? Infinity);
  }

  #packable(chainId: ChainId): Layer & { readonly tarBytes: number } {
    const layer = this.#layer(chainId);
    const { tarBytes } = layer;
    if (tarBytes === undefined)
      throw new EngineError(
        "DataLoss",
        `layer ${layer.diffId} was unpacked by a version that did not record its headers; remove the image and pull or load it again`,
      );
    return { ...layer, tarBytes };
  }

  #keep(diffId: DiffId): KeptLayer | undefined {
    const staying = [...this.#layers.values()].filter(({ chainId }) => !this.#leaving.has(chainId));
    const layer = this.#byDiffId(diffId, staying);
    if (layer === undefined) return undefined;
    const { chainId, sizeBytes, tarBytes } = layer;
    // Whose image has not come yet, whoever makes it needs it: only what had an image can have lost it.
    const orphans = findUnneeded(this.#layers, this.#rootsBut(undefined));
    const hadUser = !orphans.some((orphan) => orphan.chainId === chainId);
    const unpin = this.#pins.pin(chainId);
    return { sizeBytes, tarBytes, release: async () => (hadUser ? this.#unpin(chainId, unpin) : unpin()) };
  }

  /** Lets go of a pin under the lock, where nobody deletes by an older plan; layers that only it kept are collected. */
  async #unpin(chainId: ChainId, unpin: () => void): Promise<void> {
    using _ = await this.lock();
    unpin();
    if (this.#roots.size === 0) return;
    const plan = this.#planCollect(this.#rootsBut(undefined));
    if (!plan.removed.includes(chainId)) return;
    await this.#deps.store.commit(plan.changes);
    await plan.discard();
  }

  #unpinLater(chainId: ChainId, unpin: () => void): void {
    this.#unpin(chainId, unpin).catch((error: unknown) =>
      this.#deps.logger.error("layers that nothing needs are left", { error: String(error) }),
    );
  }

  /** Fills snapshots/<dir> from a staged layer, or from a layer with the same content elsewhere in some chain. */
  async #fill(
    dir: number,
    diffId: DiffId,
    staged: StagedLayer | undefined,
    made: readonly Layer[],
  ): Promise<Pick<Layer, "sizeBytes" | "tarBytes">> {
    const staging = staged === undefined ? undefined : await this.#staging.directoryOf(staged);
    if (staged !== undefined && staging !== undefined) {
      await this.#directories.settle(staging, dir);
      this.#staging.settled(staged);
      return staged;
    }
    const source = this.#byDiffId(diffId, this.#layers.values()) ?? this.#byDiffId(diffId, made);
    if (source === undefined) throw new EngineError("DataLoss", `layer ${diffId} was not unpacked`);
    const copy = await this.#directories.makeStaging();
    try {
      const from = this.#directories.of(source.dir);
      await run([this.#deps.unpackPath, "clone", from, copy], { timeoutMs: 600_000 });
      await this.#directories.settle(copy, dir);
    } catch (error) {
      await this.#directories.removeTrees([copy]);
      throw error;
    }
    return source;
  }
}
