// Layers unpacked ahead of their place in a chain. A staged layer is a directory in tmp/ that several loads may share; it
// is deleted when the last of them lets go, unless it was settled into a chain.

import { createHash } from "node:crypto";
import type { DiffId } from "../../base/digest.ts";
import { EngineError } from "../../base/errors.ts";
import type { SnapshotDirectories } from "./directories.ts";
import type { StagedLayer } from "./index.ts";
import { type UnpackLimits, type Unpacked, unpackTar } from "./unpacker.ts";

/** How long a load waits for another one that is unpacking the same layer, before it does so itself. */
const shareWaitMs = 10_000;

/** A directory in tmp/, and who needs it. */
class Staging {
  readonly diffId: DiffId;
  readonly sizeBytes: number;
  readonly tarBytes: number;
  readonly synced: Promise<void>;
  /** undefined once settled into a chain or deleted. */
  directory: string | undefined;
  users = 0;

  constructor(unpacked: Unpacked, directory: string) {
    this.diffId = unpacked.diffId;
    this.sizeBytes = unpacked.sizeBytes;
    this.tarBytes = unpacked.tarBytes;
    this.synced = unpacked.synced;
    this.directory = directory;
  }
}

/** A layer in some chain that stays until it is released. */
export interface KeptLayer {
  readonly sizeBytes: number;
  readonly tarBytes: number | undefined;
  release(): Promise<void>;
}

export interface StagingDeps {
  readonly directories: SnapshotDirectories;
  readonly helper: string;
  readonly maxEntries: number;
  readonly maxDepth: number;
  /** Keeps a layer that is already unpacked from being collected; undefined when there is none. */
  keep(diffId: DiffId): KeptLayer | undefined;
}

/** All staged layers of a data root. */
export class StagingArea {
  readonly #deps: StagingDeps;
  readonly #underWay = new Map<DiffId, Promise<Staging | undefined>>();
  readonly #stagings = new WeakMap<StagedLayer, Staging>();
  readonly #directories = new Set<string>();

  constructor(deps: StagingDeps) {
    this.#deps = deps;
  }

  /** Directories in use; for check. */
  get directories(): ReadonlySet<string> {
    return this.#directories;
  }

  /** See Snapshotter.stage. */
  async stage(
    tar: AsyncIterable<Uint8Array>,
    claimed: DiffId | undefined,
    maxBytes: number,
    signal: AbortSignal,
  ): Promise<StagedLayer> {
    if (claimed === undefined) return this.#share(await this.#unpack(tar, undefined, maxBytes, signal));
    let there = this.#kept(claimed);
    if (there === undefined) {
      const other = await this.#await(claimed);
      // It may have been settled, or deleted, in the meantime.
      there = other?.directory === undefined ? this.#kept(claimed) : this.#share(other);
    }
    if (there !== undefined) {
      try {
        await verify(tar, claimed);
      } catch (error) {
        await there.release();
        throw error;
      }
      return there;
    }
    const own = this.#unpack(tar, claimed, maxBytes, signal);
    const announced = own.catch(() => undefined);
    this.#underWay.set(claimed, announced);
    try {
      return this.#share(await own);
    } catch (error) {
      if (this.#underWay.get(claimed) === announced) this.#underWay.delete(claimed);
      throw error;
    }
  }

  /** A directory in tmp/ that is a layer already. */
  adopt(layer: Unpacked, directory: string): StagedLayer {
    this.#directories.add(directory);
    return this.#share(new Staging(layer, directory));
  }

  /** The directory behind a staged layer, synced; undefined when it was settled before or only kept. */
  async directoryOf(layer: StagedLayer): Promise<string | undefined> {
    const staging = this.#stagings.get(layer);
    if (staging === undefined) return undefined;
    await staging.synced;
    return staging.directory;
  }

  /** The directory belongs to a chain from now on; `release` leaves it alone. */
  settled(layer: StagedLayer): void {
    const staging = this.#stagings.get(layer);
    if (staging?.directory === undefined) return;
    this.#directories.delete(staging.directory);
    staging.directory = undefined;
  }

  async #await(claimed: DiffId): Promise<Staging | undefined> {
    const underWay = this.#underWay.get(claimed);
    if (underWay === undefined) return undefined;
    const late = Promise.withResolvers<undefined>();
    const timer = setTimeout(() => late.resolve(undefined), shareWaitMs);
    const staging = await Promise.race([underWay, late.promise]);
    clearTimeout(timer);
    return staging;
  }

  #kept(claimed: DiffId): StagedLayer | undefined {
    const kept = this.#deps.keep(claimed);
    if (kept === undefined) return undefined;
    const { sizeBytes, tarBytes } = kept;
    return { diffId: claimed, sizeBytes, tarBytes, release: () => kept.release() };
  }

  #share(staging: Staging): StagedLayer {
    staging.users++;
    let held = true;
    const layer: StagedLayer = {
      diffId: staging.diffId,
      sizeBytes: staging.sizeBytes,
      tarBytes: staging.tarBytes,
      release: async () => {
        if (!held) return;
        held = false;
        if (--staging.users > 0) return;
        this.#underWay.delete(staging.diffId);
        const directory = staging.directory;
        staging.directory = undefined;
        if (directory === undefined) return;
        // The helper may still be syncing; its directory must not be taken from under it and come back.
        await staging.synced.catch(() => undefined);
        await this.#deps.directories.removeTrees([directory]);
        this.#directories.delete(directory);
      },
    };
    this.#stagings.set(layer, staging);
    return layer;
  }

  async #unpack(
    tar: AsyncIterable<Uint8Array>,
    claimed: DiffId | undefined,
    maxBytes: number,
    signal: AbortSignal,
  ): Promise<Staging> {
    const { directories, helper, maxEntries, maxDepth } = this.#deps;
    const limits: UnpackLimits = { entries: maxEntries, bytes: maxBytes, depth: maxDepth };
    const directory = await directories.makeStaging();
    this.#directories.add(directory);
    try {
      const unpacked = await unpackTar(helper, tar, directory, limits, signal);
      if (claimed !== undefined && unpacked.diffId !== claimed) {
        await unpacked.synced.catch(() => undefined);
        throw mismatch(claimed, unpacked.diffId);
      }
      return new Staging(unpacked, directory);
    } catch (error) {
      await directories.removeTrees([directory]);
      this.#directories.delete(directory);
      throw error;
    }
  }
}

async function verify(tar: AsyncIterable<Uint8Array>, claimed: DiffId): Promise<void> {
  const hash = createHash("sha256");
  for await (const chunk of tar) hash.update(chunk);
  const actual = `sha256:${hash.digest("hex")}`;
  if (actual !== claimed) throw mismatch(claimed, actual);
}

function mismatch(claimed: DiffId, actual: string): EngineError {
  return new EngineError("InvalidParameter", `layer digest mismatch: expected ${claimed}, got ${actual}`);
}
