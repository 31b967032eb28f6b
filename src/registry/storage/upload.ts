// One upload: a file that grows, and the digest of what is in it. After a restart of the server the file is all that is left:
// the digest is then computed anew from it.

import { createHash, type Hash } from "node:crypto";
import { constants, createReadStream } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { pipeline } from "node:stream/promises";
import type { Digest } from "../../base/digest.ts";

const batchBytes = 1 << 20;
// So often the file is synced while more comes in, so that the end of a large upload does not wait for all of it.
const syncBytes = 32 << 20;

/** The bytes that somebody is sending, one request after the other. */
export class Upload {
  readonly id: string;
  readonly path: string;
  /** Bytes that are in the file. */
  #offset: number;
  /** undefined: not known for what is in the file. */
  #hash: Hash | undefined;
  #syncError: unknown;

  /** @param offset size of the file that is there */
  constructor(id: string, path: string, offset: number) {
    this.id = id;
    this.path = path;
    this.#offset = offset;
    this.#hash = offset === 0 ? createHash("sha256") : undefined;
  }

  get offset(): number {
    return this.#offset;
  }

  /**
   * Appends; what came before a failure stays, and `offset` says how much that is.
   *
   * @param chunks        copied: each may be overwritten when the next is asked for
   * @param limitBytes    of the whole file
   * @param exceeded      makes the error for more than that
   * @param expectedBytes about so many come: less memory for few
   */
  async append(
    chunks: AsyncIterable<Uint8Array>,
    limitBytes: number,
    exceeded: () => Error,
    expectedBytes = batchBytes,
  ): Promise<void> {
    const file = await open(this.path, constants.O_WRONLY | constants.O_NOFOLLOW);
    const batch = Buffer.allocUnsafeSlow(Math.min(batchBytes, Math.max(expectedBytes, 1)));
    let batched = 0;
    let synced = this.#offset;
    let syncing: Promise<void> | undefined;
    const syncAhead = async (): Promise<void> => {
      try {
        await file.datasync();
        syncing = undefined;
      } catch (error) {
        this.#syncError = error;
      }
    };
    const flush = async (): Promise<void> => {
      const bytes = batched;
      batched = 0;
      await this.#write(file, batch.subarray(0, bytes));
      if (syncing !== undefined || this.#offset - synced < syncBytes) return;
      synced = this.#offset;
      syncing = syncAhead();
    };
    try {
      await file.truncate(this.#offset);
      for await (const chunk of chunks) {
        if (this.#offset + batched + chunk.length > limitBytes) throw exceeded();
        for (let taken = 0; taken < chunk.length; ) {
          const part = chunk.subarray(taken, taken + batch.length - batched);
          batch.set(part, batched);
          taken += part.length;
          batched += part.length;
          if (batched === batch.length) await flush();
        }
      }
    } finally {
      try {
        if (batched > 0) await flush();
        await syncing;
      } finally {
        await file.close();
      }
    }
    this.#checkSynced();
  }

  /** What a failed sync has lost, a later one does not tell. @throws the error of the first */
  #checkSynced(): void {
    if (this.#syncError !== undefined) throw this.#syncError;
  }

  async #write(file: FileHandle, bytes: Uint8Array): Promise<void> {
    this.#hash?.update(bytes);
    try {
      for (let written = 0; written < bytes.length; )
        written += (await file.write(bytes, written, bytes.length - written, this.#offset + written)).bytesWritten;
      this.#offset += bytes.length;
    } catch (error) {
      this.#hash = undefined;
      throw error;
    }
  }

  /** Cuts off what came after `offset`. */
  async truncate(offset: number): Promise<void> {
    if (offset === this.#offset) return;
    const file = await open(this.path, constants.O_WRONLY | constants.O_NOFOLLOW);
    try {
      await file.truncate(offset);
    } finally {
      await file.close();
    }
    this.#offset = offset;
    this.#hash = offset === 0 ? createHash("sha256") : undefined;
  }

  /** The digest of what is there, and the file synced. */
  async finish(): Promise<Digest> {
    this.#checkSynced();
    const file = await open(this.path, constants.O_WRONLY | constants.O_NOFOLLOW);
    try {
      await file.datasync();
    } finally {
      await file.close();
    }
    if (this.#hash === undefined) {
      const hash = createHash("sha256");
      await pipeline(createReadStream(this.path, { end: this.#offset - 1, highWaterMark: batchBytes }), hash);
      return `sha256:${hash.digest("hex")}` as Digest;
    }
    return `sha256:${this.#hash.copy().digest("hex")}` as Digest;
  }
}
