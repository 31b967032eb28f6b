// The repository that a push goes to: what it has, what it can take over from its neighbours, and what has to be uploaded.
// Each blob goes there once at a time, however many pushes want it, and no more blobs at once than the configuration says.

import { setTimeout as sleep } from "node:timers/promises";
import type { ChainId, Digest } from "../../base/digest.ts";
import { EngineError, isEngineError, messageOf } from "../../base/errors.ts";
import { type Named, familiarRepository, repositoryOf } from "../../base/reference.ts";
import { type Repository, planRetry } from "../../distribution/index.ts";
import type { ProgressMessage, RegistryCredentials } from "../api/ports.ts";
import type { ContentStore, Ingest } from "../content/index.ts";
import type { ImagesDeps } from "./images.ts";
import { type ManifestLayer, planMounts } from "./plan-push.ts";
import { renderProgress } from "./progress.ts";
import { type PushShare, throwIfAborted } from "./push-slots.ts";

const maxMounts = 3;
const progressIntervalMs = 100;
const fetchAttempts = 5;
/** Somebody else is fetching the same blob: how often to look whether it is there. */
const waitForFetchMs = 250;

export interface PushTargetOptions {
  readonly named: Named;
  readonly repository: Repository;
  readonly credentials: RegistryCredentials | undefined;
  /** Where each blob is known to be. */
  readonly sources: ReadonlyMap<Digest, readonly Named[]>;
}

interface ReadableBlob {
  open(offset: number, signal: AbortSignal): AsyncIterable<Uint8Array>;
}

/** One line of a layer, as Docker's clients read it. */
export function layerLine(status: string, id: string): ProgressMessage {
  return { status, progressDetail: {}, id };
}

/** One push's view of its repository. */
export class PushTarget {
  readonly repository: Repository;
  readonly #deps: ImagesDeps;
  readonly #share: PushShare;
  readonly #options: PushTargetOptions;
  readonly #tell: (message: ProgressMessage) => void;
  /** Blobs that are there, with how they came there. */
  readonly #present = new Map<Digest, string>();
  readonly #tars = new Map<Digest, ChainId>();
  readonly #blobs = new Map<Digest, ReadableBlob>();

  constructor(
    deps: ImagesDeps,
    share: PushShare,
    options: PushTargetOptions,
    tell: (message: ProgressMessage) => void,
  ) {
    this.#deps = deps;
    this.#share = share;
    this.#options = options;
    this.#tell = tell;
    this.repository = options.repository;
  }

  /** Layers whose uncompressed tars may be asked for as blobs: where a manifest has plain layers, these are the bytes. */
  addTars(tars: ReadonlyMap<Digest, ChainId>): void {
    for (const [digest, chainId] of tars) this.#tars.set(digest, chainId);
  }

  /** Blobs that their owner can open. */
  addBlobs(blobs: ReadonlyMap<Digest, ReadableBlob>): void {
    for (const [digest, blob] of blobs) this.#blobs.set(digest, blob);
  }

  /** Whether a blob's bytes are on this host. */
  isHere(digest: Digest): boolean {
    return this.#deps.content.has(digest) || this.#tars.has(digest) || this.#blobs.has(digest);
  }

  /** Whether all blobs are there, or could be mounted. */
  async hasAll(layers: readonly ManifestLayer[], signal: AbortSignal): Promise<boolean> {
    for (const { digest } of layers) {
      using _ = await this.#share.lock(this.#key(digest), signal);
      using _slot = await this.#share.uploads.take(signal);
      if ((await this.#find(digest, signal)) === undefined) return false;
    }
    return true;
  }

  /** Sees to it that a layer's blob is there. @throws DataLoss it is neither there nor here */
  async putLayer(layer: ManifestLayer, id: string, signal: AbortSignal): Promise<void> {
    const line = (status: string): void => this.#tell(layerLine(status, id));
    const known = this.#present.get(layer.digest);
    if (known !== undefined) return line(known);
    using _ = await this.#share.lock(this.#key(layer.digest), signal);
    using _slot = await this.#share.uploads.take(signal, () => line("Waiting"));
    const found = await this.#find(layer.digest, signal);
    if (found === undefined) await this.#upload(layer.digest, layer.sizeBytes, id, signal);
    line(found ?? "Pushed");
  }

  /** The same for the config, which no line tells of. */
  async putConfig(digest: Digest, signal: AbortSignal): Promise<void> {
    if (this.#present.has(digest)) return;
    using _ = await this.#share.lock(this.#key(digest), signal);
    using _slot = await this.#share.uploads.take(signal);
    if ((await this.repository.statBlob(digest, signal)) === undefined)
      await this.#upload(digest, this.#deps.content.size(digest) ?? 0, undefined, signal);
    this.#present.set(digest, "");
  }

  /** Fetches blobs that are not here from where they are known to be. False when one of them cannot be had. */
  async fetchAll(layers: readonly ManifestLayer[], idOf: (layer: ManifestLayer) => string, signal: AbortSignal) {
    for (const layer of layers)
      if (!this.#present.has(layer.digest) && !(await this.#fetch(layer, idOf(layer), signal))) return false;
    return true;
  }

  #key(digest: Digest): string {
    return `${repositoryOf(this.#options.named)}@${digest}`;
  }

  /** What to say of a blob that needs no upload; undefined when it needs one. */
  async #find(digest: Digest, signal: AbortSignal): Promise<string | undefined> {
    const known = this.#present.get(digest);
    if (known !== undefined) return known;
    const found = await this.#statOrMount(digest, signal);
    if (found !== undefined) this.#present.set(digest, "Layer already exists");
    return found;
  }

  async #statOrMount(digest: Digest, signal: AbortSignal): Promise<string | undefined> {
    if ((await this.repository.statBlob(digest, signal)) !== undefined) return "Layer already exists";
    const { named, sources } = this.#options;
    for (const { path } of planMounts(sources.get(digest) ?? [], named, maxMounts))
      if (await this.#mount(digest, path, signal)) return `Mounted from ${path}`;
    return undefined;
  }

  /** A neighbour that cannot be read is none. */
  async #mount(digest: Digest, path: string, signal: AbortSignal): Promise<boolean> {
    try {
      return await this.repository.mountBlob(digest, path, signal);
    } catch (error) {
      if (!isEngineError(error, "Forbidden") && !isEngineError(error, "Unauthorized")) throw error;
      this.#deps.logger.debug("blob not mounted", { digest, from: path, error: messageOf(error) });
      return false;
    }
  }

  async #upload(digest: Digest, sizeBytes: number, id: string | undefined, signal: AbortSignal): Promise<void> {
    if (!this.isHere(digest))
      throw new EngineError("DataLoss", `blob ${digest} is neither here nor in the registry; pull the image again`);
    const onProgress = id === undefined ? () => undefined : this.#progress("Pushing", id, sizeBytes);
    const blob = { digest, sizeBytes, open: (offset: number) => this.#read(digest, offset, signal) };
    await this.repository.uploadBlob(blob, onProgress, signal);
    this.#present.set(digest, "Layer already exists");
  }

  async *#read(digest: Digest, offset: number, signal: AbortSignal): AsyncGenerator<Uint8Array> {
    const { content, snapshots } = this.#deps;
    const blob = this.#blobs.get(digest);
    if (blob !== undefined) {
      yield* blob.open(offset, signal);
      return;
    }
    const chainId = this.#tars.get(digest);
    if (content.has(digest) || chainId === undefined) {
      yield* await content.open(digest, offset);
      return;
    }
    let skip = offset;
    for await (const chunk of snapshots.tar(chainId, signal) as AsyncIterable<Uint8Array>) {
      if (skip < chunk.length) yield chunk.subarray(skip);
      skip = Math.max(0, skip - chunk.length);
    }
  }

  /** A line when it begins, now and then, and when all is there. */
  #progress(status: string, id: string, total: number): (current: number) => void {
    let next = 0;
    let last = -1;
    return (current) => {
      const now = performance.now();
      if (current === last || (now < next && current < total)) return;
      last = current;
      next = now + progressIntervalMs;
      this.#tell(renderProgress(status, id, current, total));
    };
  }

  async #fetch(layer: ManifestLayer, id: string, signal: AbortSignal): Promise<boolean> {
    const { named, sources, credentials } = this.#options;
    for (const source of sources.get(layer.digest) ?? []) {
      // The target was asked already.
      if (repositoryOf(source) === repositoryOf(named)) continue;
      try {
        this.#tell(layerLine(`Fetching from ${familiarRepository(source)}`, id));
        await this.#fetchFrom(source, source.domain === named.domain ? credentials : undefined, layer, id, signal);
        return true;
      } catch (error) {
        throwIfAborted(signal);
        this.#deps.logger.info("a layer to be pushed cannot be fetched", {
          digest: layer.digest,
          from: repositoryOf(source),
          error: messageOf(error),
        });
      }
    }
    return false;
  }

  async #fetchFrom(
    source: Named,
    credentials: RegistryCredentials | undefined,
    layer: ManifestLayer,
    id: string,
    signal: AbortSignal,
  ): Promise<void> {
    const { content, distribution, snapshots, store } = this.#deps;
    using _ = await this.#share.lock(`fetch ${layer.digest}`, signal);
    if (!content.has(layer.digest) && !content.isIngested(layer.digest)) {
      const repository = await distribution.repository(source, "pull", credentials, signal);
      const ingest = await openIngest(content, layer, signal);
      if (ingest !== undefined) {
        try {
          await download(repository, ingest, this.#progress("Fetching", id, layer.sizeBytes), signal);
          await ingest.finish();
        } catch (error) {
          ingest.fail(error);
          throw error;
        } finally {
          await ingest.release();
        }
      }
    }
    using _lock = await snapshots.lock();
    const placed = await content.place([layer]);
    try {
      await store.commit(placed.changes);
    } catch (error) {
      await placed.undo();
      throw error;
    }
    placed.committed();
  }
}

/** undefined when a pull that had it open has brought it. */
async function openIngest(
  content: ContentStore,
  layer: ManifestLayer,
  signal: AbortSignal,
): Promise<Ingest | undefined> {
  for (;;) {
    if (content.has(layer.digest) || content.isIngested(layer.digest)) return undefined;
    try {
      return await content.ingest(layer.digest, layer.sizeBytes);
    } catch (error) {
      if (!isEngineError(error, "Conflict")) throw error;
    }
    throwIfAborted(signal);
    await sleep(waitForFetchMs, undefined, { signal });
  }
}

/** Goes on where a broken connection stopped. */
async function download(
  repository: Repository,
  ingest: Ingest,
  onProgress: (bytes: number) => void,
  signal: AbortSignal,
): Promise<void> {
  for (let attempt = 1; ingest.offset < ingest.sizeBytes; attempt++) {
    try {
      const body = await repository.openBlob(ingest.digest, ingest.offset, signal);
      if (body.offset !== ingest.offset) await ingest.reset();
      for await (const chunk of body.chunks) {
        await ingest.write(chunk);
        onProgress(ingest.offset);
      }
      if (ingest.offset < ingest.sizeBytes) throw new EngineError("Unavailable", "the registry sent too little");
    } catch (error) {
      const decision = planRetry(error, attempt, fetchAttempts);
      if (!decision.retry) throw error;
      await sleep(decision.delayMs, undefined, { signal });
    }
  }
}
