// One blob that is coming in. Bytes are hashed as they arrive, gathered, and written in few large calls; followers read the file
// behind the writer, as many as there are, each with one chunk in memory. A file is complete when it is called <hex>.done:
// it is renamed after its digest was verified and its bytes were synced, so a kill leaves either a part or a verified whole.

import { type Hash, createHash } from "node:crypto";
import type { FileHandle } from "node:fs/promises";
import type { Digest } from "../../base/digest.ts";
import { EngineError, errnoOf, messageOf } from "../../base/errors.ts";
import type { Ingest } from "./index.ts";

/** Bytes that wait for the next write to the file. */
const flushBytes = 512 << 10;
const flushChunks = 512;
/** No single step on the event loop takes longer than hashing this many. */
export const stepBytes = 256 << 10;

/** What an ingest needs of the directory that it is in. */
export interface IngestPlace {
  /** Renames <hex> to <hex>.done, durably. */
  complete(): Promise<void>;
  /** Renames <hex>.done to <hex>. */
  reopen(): Promise<void>;
  /** Deletes the file, whatever it is called. */
  remove(): Promise<void>;
  /** The ingest was let go with so many bytes in its file. */
  closed(bytes: number): void;
}

export interface OpenedFile {
  readonly file: FileHandle;
  /** Bytes that are there, hashed; undefined for a complete one, which was verified before. */
  readonly hash: Hash | undefined;
  readonly bytes: number;
}

/** See Ingest. */
export class FileIngest implements Ingest {
  readonly digest: Digest;
  readonly sizeBytes: number;
  readonly #place: IngestPlace;
  readonly #file: FileHandle;
  #hash: Hash;
  /** Bytes taken from the writer, and bytes in the file. */
  #offset: number;
  #written: number;
  #queue: Uint8Array[] = [];
  #queuedBytes = 0;
  #flushing: Promise<void> = Promise.resolve();
  #complete: boolean;
  #removed = false;
  #released = false;
  #closed = false;
  #failure: { readonly error: unknown } | undefined;
  #followers = 0;
  /** Grows with each reset: what a follower of an earlier one has read is void. */
  #generation = 0;
  #more = Promise.withResolvers<void>();

  constructor(digest: Digest, sizeBytes: number, opened: OpenedFile, place: IngestPlace) {
    this.digest = digest;
    this.sizeBytes = sizeBytes;
    this.#place = place;
    this.#file = opened.file;
    this.#hash = opened.hash ?? createHash("sha256");
    this.#offset = opened.bytes;
    this.#written = opened.bytes;
    this.#complete = opened.hash === undefined;
  }

  get offset(): number {
    return this.#offset;
  }

  async write(chunk: Uint8Array): Promise<void> {
    this.#checkUsable();
    if (this.#complete || this.#offset + chunk.length > this.sizeBytes) {
      throw await this.#refuse(`it has more than ${this.sizeBytes} bytes`);
    }
    for (let at = 0; at < chunk.length; at += stepBytes) this.#hash.update(chunk.subarray(at, at + stepBytes));
    this.#offset += chunk.length;
    this.#queue.push(chunk);
    this.#queuedBytes += chunk.length;
    if (this.#queuedBytes >= flushBytes || this.#queue.length >= flushChunks) {
      await this.#flushing;
      this.#startFlush();
    }
  }

  async reset(): Promise<void> {
    this.#checkUsable();
    this.#generation++;
    await this.#flushing.catch(() => undefined);
    if (this.#complete) await this.#place.reopen();
    await this.#file.truncate(0);
    this.#complete = false;
    this.#failure = undefined;
    this.#hash = createHash("sha256");
    this.#queue = [];
    this.#queuedBytes = this.#offset = this.#written = 0;
    this.#wake();
  }

  async finish(): Promise<void> {
    this.#checkUsable();
    if (this.#complete) return;
    await this.#flushAll();
    const actual = `sha256:${this.#hash.copy().digest("hex")}`;
    if (this.#offset !== this.sizeBytes || actual !== this.digest) {
      const why =
        this.#offset === this.sizeBytes
          ? `its digest is ${actual}`
          : `it has ${this.#offset} bytes, not ${this.sizeBytes}`;
      throw await this.#refuse(why);
    }
    try {
      await this.#file.sync();
      await this.#place.complete();
    } catch (error) {
      throw await this.#notWritten(error);
    }
    this.#complete = true;
    this.#wake();
  }

  async *follow(signal: AbortSignal): AsyncGenerator<Uint8Array> {
    const generation = this.#generation;
    this.#followers++;
    try {
      for (let at = 0; ; ) {
        if (signal.aborted) throw new EngineError("Cancelled", "reading a blob was cancelled");
        if (generation !== this.#generation)
          throw new EngineError("Unavailable", `blob ${this.digest} is being fetched anew`);
        if (at < this.#written) {
          const buffer = Buffer.allocUnsafeSlow(Math.min(stepBytes, this.#written - at));
          const { bytesRead } = await this.#file.read(buffer, 0, buffer.length, at);
          if (generation !== this.#generation) continue;
          if (bytesRead === 0)
            throw this.#failure?.error ?? new EngineError("DataLoss", `blob ${this.digest} became shorter on disk`);
          at += bytesRead;
          yield buffer.subarray(0, bytesRead);
        } else if (this.#failure !== undefined) throw this.#failure.error;
        else if (this.#complete) return;
        else if (this.#released) throw new EngineError("Cancelled", `fetching blob ${this.digest} was given up`);
        else await this.#waitForMore(signal);
      }
    } finally {
      this.#followers--;
      await this.#closeWhenUnused();
    }
  }

  fail(error: unknown): void {
    this.#failure ??= { error };
    this.#wake();
  }

  async release(): Promise<void> {
    if (this.#released) return;
    try {
      if (!this.#complete && !this.#removed) await this.#flushAll();
    } catch {
      // What could not be written is fetched again.
    }
    this.#released = true;
    this.#wake();
    try {
      if (!this.#removed && !this.#complete && this.#written === 0) await this.#place.remove();
      await this.#closeWhenUnused();
    } finally {
      this.#place.closed(this.#removed ? 0 : this.#written);
    }
  }

  #checkUsable(): void {
    if (this.#released) throw new EngineError("Conflict", `blob ${this.digest} was let go`);
    if (this.#removed) throw this.#failure?.error;
  }

  #startFlush(): void {
    const queue = this.#queue;
    this.#queue = [];
    this.#queuedBytes = 0;
    this.#flushing = this.#writeOut(queue);
    // Whoever writes next meets the failure.
    this.#flushing.catch(() => undefined);
  }

  async #flushAll(): Promise<void> {
    await this.#flushing;
    if (this.#queue.length > 0) this.#startFlush();
    await this.#flushing;
  }

  async #writeOut(queue: Uint8Array[]): Promise<void> {
    try {
      for (let left = queue; left.length > 0; ) {
        const { bytesWritten } = await this.#file.writev(left, this.#written);
        this.#written += bytesWritten;
        left = without(left, bytesWritten);
      }
    } catch (error) {
      throw await this.#notWritten(error);
    }
    this.#wake();
  }

  #refuse(why: string): Promise<EngineError> {
    return this.#discard(new EngineError("InvalidParameter", `blob ${this.digest} is not what was claimed: ${why}`));
  }

  /** A full disk gets the space back; the next attempt begins anew. */
  #notWritten(cause: unknown): Promise<EngineError> {
    const errno = errnoOf(cause);
    const isFull = errno === "ENOSPC" || errno === "EDQUOT" || errno === "EFBIG";
    const what = `write blob ${this.digest} (${this.sizeBytes} bytes)`;
    return this.#discard(
      isFull
        ? new EngineError("Unavailable", `${what}: no space left on device; free some and try again`, { cause })
        : new EngineError("System", `${what}: ${messageOf(cause)}`, { cause }),
    );
  }

  /** Deletes the file and tells everybody why. */
  async #discard(error: EngineError): Promise<EngineError> {
    this.#removed = true;
    this.fail(error);
    await this.#place.remove();
    // Followers hold the file open: its blocks are to be free at once.
    try {
      await this.#file.truncate(0);
    } catch {
      // They are when the last of them leaves.
    }
    this.#written = 0;
    return error;
  }

  #wake(): void {
    this.#more.resolve();
    this.#more = Promise.withResolvers();
  }

  async #waitForMore(signal: AbortSignal): Promise<void> {
    const wake = this.#more;
    const { promise, resolve } = Promise.withResolvers<void>();
    void wake.promise.then(resolve);
    const onAbort = (): void => resolve();
    signal.addEventListener("abort", onAbort, { once: true });
    await promise;
    signal.removeEventListener("abort", onAbort);
  }

  async #closeWhenUnused(): Promise<void> {
    if (!this.#released || this.#followers > 0 || this.#closed) return;
    this.#closed = true;
    await this.#file.close();
  }
}

/** The buffers without their first `bytes`. */
function without(buffers: readonly Uint8Array[], bytes: number): Uint8Array[] {
  let rest = bytes;
  const left: Uint8Array[] = [];
  for (const buffer of buffers) {
    if (rest < buffer.length) left.push(rest === 0 ? buffer : buffer.subarray(rest));
    rest = Math.max(0, rest - buffer.length);
  }
  return left;
}
