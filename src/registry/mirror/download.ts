// One blob on its way from the upstream: written into an upload, read from there by everybody who asked for it while it grows.
// The last byte is handed out only when the digest is right, so that a wrong blob is a short one to every reader.

import { constants } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import type { Digest } from "../../base/digest.ts";
import { errnoOf, isEngineError, messageOf } from "../../base/errors.ts";
import { planRetry, type Repository } from "../../distribution/index.ts";
import { RegistryError } from "../errors.ts";
import type { ByteRange } from "../http/ranges.ts";
import type { Storage, Upload } from "../storage/index.ts";

const readBytes = 1 << 20;
const maxAttempts = 5;

/** Bytes from `offset` on, whatever the registry made of the range that was asked for. */
async function* chunksFrom(
  repository: Repository,
  digest: Digest,
  offset: number,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  const body = await repository.openBlob(digest, offset, signal);
  let skip = offset - body.offset;
  for await (const chunk of body.chunks) {
    const taken = Math.min(skip, chunk.length);
    skip -= taken;
    if (taken < chunk.length) yield chunk.subarray(taken);
  }
}

/** Fetches the blob of a repository; `done` settles when it is stored or given up. */
export class Download {
  readonly sizeBytes: number;
  readonly done: Promise<void>;
  readonly #storage: Storage;
  readonly #digest: Digest;
  readonly #upload: Upload;
  #state: "running" | "stored" | RegistryError = "running";
  #grown = Promise.withResolvers<void>();

  constructor(
    storage: Storage,
    source: {
      readonly path: string;
      readonly repository: Repository;
      readonly digest: Digest;
      readonly sizeBytes: number;
    },
    upload: Upload,
    signal: AbortSignal,
  ) {
    this.#storage = storage;
    this.#digest = source.digest;
    this.sizeBytes = source.sizeBytes;
    this.#upload = upload;
    this.done = this.#run(source.path, source.repository, signal);
  }

  async #run(path: string, repository: Repository, signal: AbortSignal): Promise<void> {
    const { uploads } = this.#storage;
    using held = await uploads.hold(path, this.#upload.id, () => undefined);
    try {
      await this.#fetch(repository, signal);
      await this.#storage.finishUpload(path, held.upload, this.#digest);
      this.#state = "stored";
    } catch (error) {
      await uploads.remove(held.upload).catch(() => undefined);
      this.#state =
        error instanceof RegistryError
          ? error
          : new RegistryError("UNAVAILABLE", `the upstream broke off: ${messageOf(error)}`, { cause: error });
      throw this.#state;
    } finally {
      this.#grown.resolve();
    }
  }

  async #fetch(repository: Repository, signal: AbortSignal): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      const before = this.#upload.offset;
      try {
        await this.#upload.append(
          this.#watched(repository, signal),
          this.sizeBytes,
          () => new RegistryError("UNAVAILABLE", "the upstream sends more than it said"),
        );
        if (this.#upload.offset === this.sizeBytes) return;
        throw new RegistryError("UNAVAILABLE", "the upstream sent less than it said");
      } catch (error) {
        if (this.#upload.offset > before) attempt = 1;
        const decision = planRetry(error, attempt, maxAttempts);
        const isShort = isEngineError(error, "Unavailable") && attempt < maxAttempts;
        if (!decision.retry && !isShort) throw error;
        await sleep(decision.retry ? decision.delayMs : 1000, undefined, { signal });
      }
    }
  }

  async *#watched(repository: Repository, signal: AbortSignal): AsyncGenerator<Uint8Array> {
    let seen = this.#upload.offset;
    for await (const chunk of chunksFrom(repository, this.#digest, seen, signal)) {
      yield chunk;
      if (this.#upload.offset === seen) continue;
      seen = this.#upload.offset;
      this.#grown.resolve();
      this.#grown = Promise.withResolvers();
    }
  }

  /** Bytes that may be handed out. */
  get #readable(): number {
    return this.#state === "stored" ? this.sizeBytes : Math.min(this.#upload.offset, this.sizeBytes - 1);
  }

  async #open(): Promise<FileHandle> {
    try {
      return await open(this.#upload.path, constants.O_RDONLY | constants.O_NOFOLLOW);
    } catch (error) {
      if (errnoOf(error) !== "ENOENT") throw error;
    }
    await this.done;
    return this.#storage.files.open(this.#digest);
  }

  /** The bytes of a range, as they come. @throws UNAVAILABLE, DIGEST_INVALID the download has failed */
  async *chunks({ first, last }: ByteRange): AsyncGenerator<Uint8Array> {
    const file = await this.#open();
    try {
      let at = first;
      while (at <= last) {
        const grown = this.#grown.promise;
        const available = Math.min(this.#readable, last + 1) - at;
        if (available <= 0) {
          if (this.#state instanceof RegistryError) throw this.#state;
          await grown;
          continue;
        }
        const { buffer, bytesRead } = await file.read(
          Buffer.allocUnsafe(Math.min(readBytes, available)),
          0,
          undefined,
          at,
        );
        if (bytesRead === 0) throw new RegistryError("UNAVAILABLE", "the download was cut");
        at += bytesRead;
        yield buffer.subarray(0, bytesRead);
      }
    } finally {
      await file.close();
    }
  }
}
