// A build's layers: made in place from what a step wrote, put under their chain ids at once, each with one commit. A layer that
// was just made is held for a while: whoever asked for it begins to keep it only after it was told which one it is.

import { randomUUID } from "node:crypto";
import { join } from "node:path";
import { type ChainId, type DiffId, chainIdsOf } from "../../../base/digest.ts";
import { EngineError } from "../../../base/errors.ts";
import { failpoint } from "../../../base/failpoint.ts";
import type { OverlayDirs, StagedLayer } from "../../snapshots/index.ts";
import type { BuildLayers, BuildLayersDeps, StepLayer } from "./index.ts";

/** So long a new layer waits for somebody to keep it. */
const freshMs = 60_000;

/** As many layers an image can have; see snapshots/. */
const maxChainLength = 125;

/** See BuildLayers. */
export function createBuildLayers(deps: BuildLayersDeps): BuildLayers {
  return new ImageStoreLayers(deps);
}

class ImageStoreLayers implements BuildLayers {
  readonly #deps: BuildLayersDeps;
  /** New layers that nobody keeps yet. */
  readonly #fresh = new Map<ChainId, Disposable>();

  constructor(deps: BuildLayersDeps) {
    this.#deps = deps;
  }

  async begin(parent: readonly DiffId[]): Promise<StepLayer> {
    const { snapshots } = this.#deps;
    if (parent.length >= maxChainLength) throw new EngineError("InvalidParameter", "max depth exceeded");
    const top = chainTop(parent);
    const key = `build-${randomUUID()}`;
    // Under the lock nobody deletes by a plan that is older than the pin.
    using _ = await snapshots.lock();
    const pin = top === undefined ? undefined : snapshots.pin(top);
    if (top !== undefined && pin === undefined) throw new EngineError("DataLoss", `layer ${top} is missing`);
    try {
      const prepared = await snapshots.prepare(key, top);
      return new WritableStep({
        key,
        dirs: prepared.dirs,
        parent,
        undo: () => prepared.undo(),
        pin,
        finish: (clamp, signal) => this.#seal(key, parent, clamp, signal),
      });
    } catch (error) {
      pin?.[Symbol.dispose]();
      throw error;
    }
  }

  async stack(lower: readonly DiffId[], upper: readonly DiffId[], signal: AbortSignal): Promise<readonly DiffId[]> {
    signal.throwIfAborted();
    using _lower = this.keep(lower);
    using _upper = this.keep(upper);
    return this.#place([...lower, ...upper], undefined);
  }

  has(layers: readonly DiffId[]): boolean {
    const top = chainTop(layers);
    return top === undefined || this.#deps.snapshots.has(top);
  }

  keep(layers: readonly DiffId[]): Disposable {
    const top = chainTop(layers);
    const pin = top === undefined ? undefined : this.#deps.snapshots.pin(top);
    // Whoever asked for it has it now: nothing else shall keep it from being collected.
    if (top !== undefined) this.#fresh.get(top)?.[Symbol.dispose]();
    return { [Symbol.dispose]: () => pin?.[Symbol.dispose]() };
  }

  directories(layers: readonly DiffId[]): readonly string[] {
    const top = chainTop(layers);
    return top === undefined ? [] : this.#deps.snapshots.chainDirs(top).map((directory) => join(directory, "fs"));
  }

  chainId(layers: readonly DiffId[]): ChainId | undefined {
    return chainTop(layers);
  }

  sizeBytes(layers: readonly DiffId[]): number {
    const top = chainTop(layers);
    return top === undefined ? 0 : this.#deps.snapshots.layerSize(top);
  }

  async #seal(
    key: string,
    parent: readonly DiffId[],
    clampTimes: number | undefined,
    signal: AbortSignal,
  ): Promise<readonly DiffId[]> {
    const staged = await this.#deps.snapshots.seal(key, clampTimes, signal);
    if (staged === undefined) return parent;
    try {
      await failpoint("build.layer.sealed");
      return await this.#place([...parent, staged.diffId], staged);
    } finally {
      await staged.release();
    }
  }

  /** @param staged the last one of `layers`; the others are in some chain */
  async #place(layers: readonly DiffId[], staged: StagedLayer | undefined): Promise<readonly DiffId[]> {
    const { snapshots, store } = this.#deps;
    using _ = await snapshots.lock();
    const last = staged === undefined ? -1 : layers.length - 1;
    const placed = await snapshots.place(
      layers.map((diffId, index) => ({ diffId, staged: index === last ? staged : undefined })),
    );
    if (placed.changes.length > 0) {
      try {
        await store.commit(placed.changes);
      } catch (error) {
        await placed.undo();
        throw error;
      }
    }
    placed.committed();
    this.#holdFresh(layers);
    return layers;
  }

  #holdFresh(layers: readonly DiffId[]): void {
    const top = chainTop(layers);
    if (top === undefined) return;
    const pin = this.#deps.snapshots.pin(top);
    this.#fresh.get(top)?.[Symbol.dispose]();
    const letGo = (): void => {
      clearTimeout(timer);
      if (this.#fresh.get(top) === hold) this.#fresh.delete(top);
      pin?.[Symbol.dispose]();
    };
    const hold = { [Symbol.dispose]: letGo };
    const timer = setTimeout(letGo, freshMs).unref();
    this.#fresh.set(top, hold);
  }
}

interface StepParts {
  readonly key: string;
  readonly dirs: OverlayDirs;
  readonly parent: readonly DiffId[];
  readonly undo: () => Promise<void>;
  readonly pin: Disposable | undefined;
  readonly finish: (clampTimes: number | undefined, signal: AbortSignal) => Promise<readonly DiffId[]>;
}

class WritableStep implements StepLayer {
  readonly key: string;
  readonly dirs: OverlayDirs;
  readonly #parts: StepParts;
  #state: "open" | "finished" | "disposed" = "open";

  constructor(parts: StepParts) {
    this.key = parts.key;
    this.dirs = parts.dirs;
    this.#parts = parts;
  }

  async finish(clampTimes: number | undefined, signal: AbortSignal): Promise<readonly DiffId[]> {
    if (this.#state !== "open") throw new EngineError("System", `the layer of step ${this.key} is finished already`);
    const layers = await this.#parts.finish(clampTimes, signal);
    this.#state = "finished";
    return layers;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#state === "disposed") return;
    // After a failed `finish` there may be directories left; after a good one they are the layer's, under another number.
    if (this.#state === "open") await this.#parts.undo();
    this.#state = "disposed";
    this.#parts.pin?.[Symbol.dispose]();
  }
}

function chainTop(layers: readonly DiffId[]): ChainId | undefined {
  return chainIdsOf(layers).at(-1);
}
