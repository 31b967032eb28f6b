// The layers of an image that is being pulled: what is unpacked already is left alone, what is in content is unpacked from there,
// the rest is unpacked while it is downloaded, several layers at once. When one fails, the others stop; their bytes stay.

import { type ChainId, type Digest, chainIdsOf } from "../../base/digest.ts";
import { EngineError, isEngineError, messageOf } from "../../base/errors.ts";
import type { Repository } from "../../distribution/index.ts";
import type { ProgressMessage } from "../api/ports.ts";
import type { StagedLayer } from "../snapshots/index.ts";
import { openCompressed } from "./compression.ts";
import type { ImagesDeps } from "./images.ts";
import { layerQuota, namingFullDisk } from "./layer-quota.ts";
import type { PlannedLayer } from "./plan-pull.ts";
import type { Download } from "./pull-downloads.ts";
import { LayerProgress } from "./pull-progress.ts";
import type { PullShare } from "./pull-share.ts";

/** Of one layer, each from nothing. */
const maxAttempts = 3;

/** Layers on their way into a commit; dispose when it is done. */
export interface PulledLayers extends AsyncDisposable {
  /** undefined for those that are unpacked already. */
  stagedOf(layer: PlannedLayer): StagedLayer | undefined;
}

export interface LayerPull {
  readonly repository: Pick<Repository, "openBlob">;
  readonly layers: readonly PlannedLayer[];
  /** How many, from the bottom, are unpacked already. */
  readonly known: number;
  tell(message: ProgressMessage): void;
}

/** How many layers, from the bottom, are unpacked already. */
export function countKnown(
  snapshots: { has(chainId: ChainId): boolean },
  layers: readonly Pick<PlannedLayer, "diffId">[],
): number {
  return chainIdsOf(layers.map(({ diffId }) => diffId)).findLastIndex((chainId) => snapshots.has(chainId)) + 1;
}

/**
 * Fetches, verifies and unpacks what is missing.
 *
 * @throws what the first failing layer met: InvalidParameter, Unavailable, …, naming the layer
 */
export async function pullLayers(
  deps: ImagesDeps,
  share: PullShare,
  pull: LayerPull,
  signal: AbortSignal,
): Promise<PulledLayers> {
  await using stack = new AsyncDisposableStack();
  const failed = new AbortController();
  const both = AbortSignal.any([signal, failed.signal]);
  const staged = new Map<Digest, StagedLayer>();
  const missing = new Map<Digest, LayerTask>();
  const seen = new Set<Digest>();
  for (const [index, layer] of pull.layers.entries()) {
    const { descriptor } = layer;
    if (seen.has(descriptor.digest) && (index < pull.known || missing.has(descriptor.digest))) continue;
    seen.add(descriptor.digest);
    const progress = new LayerProgress(descriptor.digest, descriptor.size, (message) => pull.tell(message));
    const name = `layer ${index + 1} of ${pull.layers.length} (${descriptor.digest})`;
    progress.say(index < pull.known ? "Already exists" : "Pulling fs layer");
    if (index >= pull.known) missing.set(descriptor.digest, { layer, name, progress });
  }
  let before: Promise<unknown> = Promise.resolve();
  const running: Promise<void>[] = [];
  // All of them before the first runs: one that cannot be joined must leave nothing running.
  const unpackings = [...missing.values()].map(
    (task) => [task, new LayerUnpacking(deps, share, pull.repository, stack, task)] as const,
  );
  for (const [task, unpacking] of unpackings) {
    const previous = before;
    const run = async (): Promise<void> => {
      const result = await unpacking.run(both);
      stack.defer(() => result.release());
      staged.set(task.layer.descriptor.digest, result);
      await previous;
      task.progress.end();
    };
    const one = run();
    // The first failure stops the others, and is the one that is told.
    const settled = one.catch((error: unknown) => failed.abort(error));
    before = settled;
    running.push(settled);
  }
  await Promise.all(running);
  if (signal.aborted) throw new EngineError("Cancelled", "the pull was cancelled");
  if (failed.signal.aborted) throw failed.signal.reason;
  const held = stack.move();
  return {
    stagedOf: ({ descriptor }) => staged.get(descriptor.digest),
    [Symbol.asyncDispose]: () => held.disposeAsync(),
  };
}

interface LayerTask {
  readonly layer: PlannedLayer;
  /** "layer 2 of 3 (sha256:…)" */
  readonly name: string;
  readonly progress: LayerProgress;
}

/** One layer: download and unpacking side by side. */
class LayerUnpacking {
  readonly #deps: ImagesDeps;
  readonly #share: PullShare;
  readonly #repository: Pick<Repository, "openBlob">;
  readonly #stack: AsyncDisposableStack;
  readonly #task: LayerTask;
  #download: Download | undefined;

  constructor(
    deps: ImagesDeps,
    share: PullShare,
    repository: Pick<Repository, "openBlob">,
    stack: AsyncDisposableStack,
    task: LayerTask,
  ) {
    this.#deps = deps;
    this.#share = share;
    this.#repository = repository;
    this.#stack = stack;
    this.#task = task;
  }

  async run(signal: AbortSignal): Promise<StagedLayer> {
    // In the order of the layers, before anything is waited for.
    if (!this.#deps.content.has(this.#task.layer.descriptor.digest)) this.#join();
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.#attempt(signal);
      } catch (error) {
        const download = this.#download;
        // What a power cut left in the file, or another pull's registry sent, may be the cause: once more, from nothing.
        const again = attempt < maxAttempts && !signal.aborted && isWrong(error) && (download?.doubtful ?? true);
        if (isWrong(error)) download?.discard();
        if (!again) throw error;
        await download?.[Symbol.asyncDispose]();
        this.#join();
      }
    }
  }

  /** Held until the commit: until then nobody may sweep what was fetched. */
  #join(): void {
    const { layer, name, progress } = this.#task;
    try {
      const download = this.#share.downloads.join(layer.descriptor, this.#repository, progress);
      this.#download = this.#stack.use(download);
    } catch (error) {
      throw named(`download of ${name}`, error);
    }
  }

  async #attempt(signal: AbortSignal): Promise<StagedLayer> {
    const { progress, name } = this.#task;
    const download = this.#download;
    const stop = new AbortController();
    const both = AbortSignal.any([signal, stop.signal]);
    const verified = download?.done.then(() => progress.complete());
    verified?.catch((error: unknown) => stop.abort(error));
    if (download === undefined) progress.complete();
    else await Promise.race([download.started, aborted(signal)]);
    let staged: StagedLayer;
    let isDownloads = false;
    try {
      using _ = await this.#share.unpacks.take(both);
      staged = await this.#unpack(both, () => (isDownloads = download !== undefined));
    } catch (error) {
      // What the download met reaches the unpacker first, at times.
      if (isDownloads && !both.aborted) throw named(`download of ${name}`, error);
      if (stop.signal.aborted && !signal.aborted) throw named(`download of ${name}`, stop.signal.reason);
      throw signal.aborted ? error : named(`failed to register ${name}`, error);
    }
    try {
      await Promise.race([verified, aborted(signal)]);
      if (signal.aborted) throw new EngineError("Cancelled", "the pull was cancelled");
      return staged;
    } catch (error) {
      await staged.release();
      throw signal.aborted ? error : named(`download of ${name}`, error);
    }
  }

  async #unpack(signal: AbortSignal, onReadError: () => void): Promise<StagedLayer> {
    const { layer, progress } = this.#task;
    const { digest } = layer.descriptor;
    const maxBytes = await layerQuota(this.#deps);
    const options = { claimed: layer.diffId, maxBytes };
    const blob = this.#download?.follow(signal) ?? (await this.#deps.content.open(digest));
    const counted = count(blob, (bytes) => progress.extracting(bytes), onReadError);
    try {
      return await this.#deps.snapshots.stage(await openCompressed(counted), options, signal);
    } catch (error) {
      throw namingFullDisk(this.#deps, "unpacking it", maxBytes, error);
    } finally {
      await counted.return(undefined);
    }
  }
}

/** Wrong bytes, wherever they came from. */
function isWrong(error: unknown): boolean {
  return isEngineError(error, "InvalidParameter") || isEngineError(error, "DataLoss");
}

function named(what: string, error: unknown): EngineError {
  const kind = isEngineError(error) ? error.kind : "System";
  return new EngineError(kind, `${what}: ${messageOf(error)}`, { cause: error });
}

async function* count(
  chunks: AsyncIterable<Uint8Array>,
  onBytes: (total: number) => void,
  onError: () => void,
): AsyncGenerator<Uint8Array> {
  let total = 0;
  try {
    for await (const chunk of chunks) {
      total += chunk.length;
      onBytes(total);
      yield chunk;
    }
  } catch (error) {
    onError();
    throw error;
  }
}

/** Resolves when the signal is aborted. */
function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
}
