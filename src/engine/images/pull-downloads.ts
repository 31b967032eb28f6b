// Blobs on their way from registries: one fetch per blob however many pulls want it, and so many at once over all pulls. A pull
// that leaves does not stop what others wait for; the last one's leaving does. Each pull brings its own repository: when one
// fails for good, the next pull's is asked. Bytes that came stay (content/ingest), so that the next fetch goes on from there.

import { setTimeout as sleep } from "node:timers/promises";
import type { Digest } from "../../base/digest.ts";
import { EngineError, isEngineError } from "../../base/errors.ts";
import { RegistryError, type Repository, planRetry } from "../../distribution/index.ts";
import type { ContentStore, Ingest } from "../content/index.ts";
import { Slots } from "../../base/slots.ts";

/** What a pull wants to hear of a blob. */
export interface DownloadWatcher {
  /** All places are taken. */
  onWait(): void;
  onBytes(current: number): void;
  /** All bytes are there and are being verified. */
  onVerify(): void;
  onRetry(seconds: number): void;
}

/** A pull's share in a fetch; disposing it leaves. */
export interface Download extends AsyncDisposable {
  /** Resolves when the blob is complete and verified. Rejects as Repository.openBlob and Ingest. */
  readonly done: Promise<void>;
  /** Resolves when the fetch has its place, or has failed. */
  readonly started: Promise<void>;
  /** Some of its bytes may be others': of an earlier fetch, or of another pull's registry. */
  readonly doubtful: boolean;
  /** The bytes from the start, behind the fetch. */
  follow(signal: AbortSignal): AsyncIterable<Uint8Array>;
  /** The bytes are of no use: deleted when the last one leaves, and fetched anew by whoever comes from now on. */
  discard(): void;
}

interface Waiter {
  readonly repository: Pick<Repository, "openBlob">;
  readonly watcher: DownloadWatcher;
  readonly done: PromiseWithResolvers<void>;
}

export interface DownloadsDeps {
  readonly content: Pick<ContentStore, "ingest">;
  /** Asked anew for every blob. */
  maxConcurrent(): number;
  /** Asked anew after every failure. */
  maxAttempts(): number;
  /** What pauses are multiplied by. */
  retryDelayScale(): number;
}

// After so many bytes a connection counts as good again: its next failure is a first one.
const goodBytes = 1 << 20;
const conflictPauseMs = 100;

/** The fetches of an engine. */
export class Downloads {
  readonly #deps: DownloadsDeps;
  readonly #slots: Slots;
  readonly #current = new Map<Digest, BlobFetch>();
  /** Those that are being let go; the next fetch of the blob waits for that. */
  readonly #closing = new Map<Digest, Promise<void>>();

  constructor(deps: DownloadsDeps) {
    this.#deps = deps;
    this.#slots = new Slots(() => deps.maxConcurrent());
  }

  /**
   * Takes part in the fetch of a blob, or begins it. Whose claim of its size is the wrong one shows when it is there: until then
   * fetches of different sizes follow one another.
   *
   * @throws InvalidParameter the blob is there, and has another size
   */
  join(
    blob: { readonly digest: Digest; readonly size: number },
    repository: Pick<Repository, "openBlob">,
    watcher: DownloadWatcher,
  ): Download {
    const current = this.#current.get(blob.digest);
    if (current !== undefined && current.size !== blob.size && current.isVerified)
      throw new EngineError(
        "InvalidParameter",
        `blob ${blob.digest} has ${current.size} bytes, the manifest says ${blob.size}`,
      );
    let fetch = current;
    if (fetch?.size !== blob.size) {
      fetch = new BlobFetch(this.#deps, this.#slots, blob, current?.closed ?? this.#closing.get(blob.digest));
      this.#current.set(blob.digest, fetch);
    }
    return this.#share(fetch, fetch.join(repository, watcher));
  }

  #share(fetch: BlobFetch, waiter: Waiter): Download {
    const retire = (): void => this.#retire(fetch);
    void this.#retireWhenFailed(fetch);
    let held = true;
    return {
      done: waiter.done.promise,
      started: fetch.started,
      get doubtful() {
        return fetch.resumed || fetch.hasOtherSource(waiter);
      },
      follow: (signal) => fetch.follow(signal),
      discard: () => {
        fetch.discard();
        retire();
      },
      [Symbol.asyncDispose]: async () => {
        if (!held) return;
        held = false;
        if (!fetch.leave(waiter)) return;
        retire();
        await fetch.close();
      },
    };
  }

  /** Nobody joins it from now on. */
  #retire(fetch: BlobFetch): void {
    if (this.#current.get(fetch.digest) !== fetch) return;
    this.#current.delete(fetch.digest);
    this.#closing.set(fetch.digest, fetch.closed);
    void this.#forgetWhenClosed(fetch);
  }

  async #retireWhenFailed(fetch: BlobFetch): Promise<void> {
    if (!(await fetch.ended)) this.#retire(fetch);
  }

  async #forgetWhenClosed(fetch: BlobFetch): Promise<void> {
    await fetch.closed;
    if (this.#closing.get(fetch.digest) === fetch.closed) this.#closing.delete(fetch.digest);
  }
}

/** One blob, and those who want it. */
class BlobFetch {
  readonly digest: Digest;
  readonly size: number;
  /** Resolves with whether the blob is there, once nothing more will come. */
  readonly ended: Promise<boolean>;
  resumed = false;
  isVerified = false;
  readonly #deps: DownloadsDeps;
  readonly #slots: Slots;
  /** In the order of coming; those that were told a failure are still in `#present`. */
  readonly #waiters = new Set<Waiter>();
  readonly #present = new Set<Waiter>();
  readonly #sources = new Set<Waiter["repository"]>();
  readonly #stop = new AbortController();
  readonly #opened = Promise.withResolvers<Ingest>();
  readonly #closed = Promise.withResolvers<void>();
  #discarded = false;
  #isWaiting = false;

  constructor(
    deps: DownloadsDeps,
    slots: Slots,
    blob: { readonly digest: Digest; readonly size: number },
    before: Promise<void> | undefined,
  ) {
    this.digest = blob.digest;
    this.size = blob.size;
    this.#deps = deps;
    this.#slots = slots;
    this.#opened.promise.catch(() => undefined);
    this.ended = this.#run(before);
  }

  get started(): Promise<void> {
    return this.#opened.promise.then(
      () => undefined,
      () => undefined,
    );
  }

  get closed(): Promise<void> {
    return this.#closed.promise;
  }

  join(repository: Waiter["repository"], watcher: DownloadWatcher): Waiter {
    const waiter = { repository, watcher, done: Promise.withResolvers<void>() };
    waiter.done.promise.catch(() => undefined);
    this.#waiters.add(waiter);
    this.#present.add(waiter);
    if (this.#isWaiting) watcher.onWait();
    void this.#resolveWhenThere(waiter);
    return waiter;
  }

  /** @returns true when that was the last one */
  leave(waiter: Waiter): boolean {
    this.#waiters.delete(waiter);
    this.#present.delete(waiter);
    waiter.done.reject(new EngineError("Cancelled", "the pull was cancelled"));
    return this.#present.size === 0;
  }

  /** Whether another's registry was asked for bytes. */
  hasOtherSource({ repository }: Waiter): boolean {
    return this.#sources.size > 1 || (this.#sources.size === 1 && !this.#sources.has(repository));
  }

  discard(): void {
    this.#discarded = true;
  }

  async *follow(signal: AbortSignal): AsyncGenerator<Uint8Array> {
    yield* (await this.#opened.promise).follow(signal);
  }

  async close(): Promise<void> {
    this.#stop.abort();
    try {
      await this.ended;
      const ingest = await this.#opened.promise.catch(() => undefined);
      try {
        if (this.#discarded) await ingest?.reset();
      } catch {
        // It deleted itself when it failed.
      }
      await ingest?.release();
    } finally {
      this.#closed.resolve();
    }
  }

  async #run(before: Promise<void> | undefined): Promise<boolean> {
    // The first waiter joins after the constructor.
    await before;
    try {
      this.#isWaiting = this.#slots.isFull;
      if (this.#isWaiting) this.#tell((watcher) => watcher.onWait());
      using _ = await this.#slots.take(this.#stop.signal);
      this.#isWaiting = false;
      const ingest = await this.#open();
      this.resumed = ingest.offset > 0;
      this.#opened.resolve(ingest);
      return await this.#fetch(ingest);
    } catch (error) {
      this.#opened.reject(error);
      for (const waiter of this.#waiters) this.#failed(waiter, error);
      return false;
    }
  }

  async #open(): Promise<Ingest> {
    for (;;) {
      try {
        return await this.#deps.content.ingest(this.digest, this.size);
      } catch (error) {
        // An archive that is being loaded has the blob as well.
        if (!isEngineError(error, "Conflict")) throw error;
        await sleep(conflictPauseMs, undefined, { signal: this.#stop.signal });
      }
    }
  }

  async #fetch(ingest: Ingest): Promise<boolean> {
    let attempt = 1;
    for (;;) {
      const [waiter] = this.#waiters;
      if (waiter === undefined || this.#stop.signal.aborted) {
        ingest.fail(new EngineError("Cancelled", "the pull was cancelled"));
        return false;
      }
      const before = ingest.offset;
      try {
        await this.#transfer(ingest, waiter.repository);
        this.#tell((watcher) => watcher.onVerify());
        await ingest.finish();
        this.isVerified = true;
        return true;
      } catch (error) {
        if (this.#stop.signal.aborted) continue;
        if (ingest.offset - before >= goodBytes) attempt = 1;
        const decision = planRetry(error, attempt++, this.#deps.maxAttempts());
        if (decision.retry) await this.#pause(decision.delayMs * this.#deps.retryDelayScale());
        else {
          this.#failed(waiter, error);
          attempt = 1;
          // The bytes themselves are wrong, or the disk is full: the file is gone, whoever asks. Others may ask anew.
          if (!(error instanceof RegistryError)) {
            for (const other of this.#waiters) this.#failed(other, error);
            ingest.fail(error);
            return false;
          }
          if (this.#waiters.size === 0) ingest.fail(error);
        }
      }
    }
  }

  /** One connection. */
  async #transfer(ingest: Ingest, repository: Waiter["repository"]): Promise<void> {
    if (ingest.offset === this.size) return;
    this.#sources.add(repository);
    const body = await repository.openBlob(this.digest, ingest.offset, this.#stop.signal);
    if (body.sizeBytes !== undefined && body.sizeBytes !== this.size)
      throw this.#wrong(`the registry has ${body.sizeBytes} bytes, the manifest says ${this.size}`);
    let skip = ingest.offset - body.offset;
    if (skip < 0) throw this.#wrong(`the registry began at byte ${body.offset} when ${ingest.offset} was asked for`);
    for await (const chunk of body.chunks) {
      const rest = skip >= chunk.length ? undefined : chunk.subarray(skip);
      skip = Math.max(0, skip - chunk.length);
      if (rest === undefined) continue;
      await ingest.write(rest);
      this.#tell((watcher) => watcher.onBytes(ingest.offset));
    }
    if (ingest.offset < this.size)
      throw new RegistryError(
        "Unavailable",
        `blob ${this.digest}: the registry sent ${ingest.offset} of ${this.size} bytes and called that all`,
        { transient: true },
      );
  }

  /** Counts down, as dockerd does. */
  async #pause(delayMs: number): Promise<void> {
    const end = performance.now() + delayMs;
    for (let left = delayMs; left > 0; left = end - performance.now()) {
      this.#tell((watcher) => watcher.onRetry(Math.max(1, Math.round(left / 1000))));
      try {
        await sleep(Math.min(1000, left), undefined, { signal: this.#stop.signal });
      } catch {
        return;
      }
    }
  }

  #wrong(why: string): RegistryError {
    return new RegistryError("InvalidParameter", `blob ${this.digest}: ${why}`);
  }

  #failed(waiter: Waiter, error: unknown): void {
    this.#waiters.delete(waiter);
    waiter.done.reject(error);
  }

  async #resolveWhenThere(waiter: Waiter): Promise<void> {
    if (await this.ended) waiter.done.resolve();
  }

  #tell(what: (watcher: DownloadWatcher) => void): void {
    for (const { watcher } of this.#waiters) what(watcher);
  }
}
