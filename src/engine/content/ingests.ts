// The directory content/ingest: <hex> is a part of a blob, <hex>.done a verified whole that waits to be placed. It becomes a
// blob by a second link, whose row the caller commits; only then is its name here taken away. A kill in between leaves the
// file here, and a link there that the next start deletes: nothing has to be fetched again.

import { createHash } from "node:crypto";
import { constants, renameSync, unlinkSync } from "node:fs";
import { type FileHandle, chmod, link, lstat, mkdir, open, readdir, rename, rm, statfs } from "node:fs/promises";
import { join } from "node:path";
import { type Digest, hexOf, parseDigest } from "../../base/digest.ts";
import { EngineError, errnoOf, messageOf } from "../../base/errors.ts";
import { syncDirectory } from "../kernel/sync-directory.ts";
import { FileIngest, type OpenedFile, stepBytes } from "./ingest.ts";

/** Ingests that nobody came back for are deleted after so long: 7 days. */
export const staleIngestMs = 7 * 24 * 3_600_000;

// What downloads leave free for the store, logs and writable layers.
const reserveBytes = 64 << 20;
const doneSuffix = ".done";

interface Entry {
  readonly bytes: number;
  readonly complete: boolean;
}

/** All ingests of a data root. */
export class IngestDirectory {
  readonly #directory: string;
  readonly #entries = new Map<Digest, Entry>();
  readonly #open = new Map<Digest, FileIngest>();
  /** On their way to become blobs: the file must not be written to, because it has a second name. */
  readonly #placing = new Set<Digest>();

  private constructor(directory: string) {
    this.#directory = directory;
  }

  /**
   * Makes the directory or reads it; deletes what is none of its files, too old, or a blob already.
   *
   * @param isBlob whether a digest has a row
   */
  static async create(directory: string, isBlob: (digest: Digest) => boolean): Promise<IngestDirectory> {
    await mkdir(directory, { recursive: true, mode: 0o700 });
    await chmod(directory, 0o700);
    const ingests = new IngestDirectory(directory);
    for (const name of await readdir(directory)) {
      const match = /^([0-9a-f]{64})(\.done)?$/.exec(name);
      const stat = await lstat(join(directory, name));
      const digest = match === null ? undefined : parseDigest(`sha256:${match[1]}`);
      if (digest === undefined || !stat.isFile() || isStale(stat.mtimeMs, staleIngestMs) || isBlob(digest)) {
        await rm(join(directory, name), { recursive: true, force: true });
        continue;
      }
      const complete = match?.[2] !== undefined;
      // Of a part and a whole, the whole counts.
      if (ingests.#entries.get(digest)?.complete !== true) ingests.#entries.set(digest, { bytes: stat.size, complete });
    }
    return ingests;
  }

  isComplete(digest: Digest): boolean {
    return this.#entries.get(digest)?.complete === true;
  }

  /** Bytes of a complete one; undefined for none. */
  size(digest: Digest): number | undefined {
    const entry = this.#entries.get(digest);
    return entry?.complete === true ? entry.bytes : undefined;
  }

  totalBytes(): number {
    let sum = 0;
    for (const [digest, { bytes }] of this.#entries) sum += this.#open.get(digest)?.offset ?? bytes;
    return sum;
  }

  /** See ContentStore.ingest. */
  async ingest(digest: Digest, sizeBytes: number): Promise<FileIngest> {
    if (this.#open.has(digest)) throw new EngineError("Conflict", `blob ${digest} is being fetched already`);
    if (this.#placing.has(digest)) throw placed(digest);
    // Taken before the first await; replaced by the ingest itself.
    const reserved = {} as FileIngest;
    this.#open.set(digest, reserved);
    try {
      const opened = await this.#openFile(digest, sizeBytes);
      try {
        await this.#checkSpace(digest, sizeBytes - opened.bytes);
      } catch (error) {
        await opened.file.close();
        throw error;
      }
      this.#entries.set(digest, { bytes: opened.bytes, complete: opened.hash === undefined });
      const ingest = new FileIngest(digest, sizeBytes, opened, {
        complete: async () => {
          await rename(this.#part(digest), this.#done(digest));
          await syncDirectory(this.#directory);
          this.#entries.set(digest, { bytes: sizeBytes, complete: true });
        },
        reopen: async () => {
          // Blobs already, or about to be: their bytes are not this ingest's any more.
          if (this.#placing.has(digest) || !this.isComplete(digest)) throw placed(digest);
          this.#entries.set(digest, { bytes: 0, complete: false });
          await rename(this.#done(digest), this.#part(digest));
        },
        remove: async () => {
          this.#entries.delete(digest);
          await this.#remove(digest);
        },
        closed: (bytes) => {
          this.#open.delete(digest);
          const entry = this.#entries.get(digest);
          if (entry?.complete === false) this.#entries.set(digest, { bytes, complete: false });
        },
      });
      this.#open.set(digest, ingest);
      return ingest;
    } catch (error) {
      this.#open.delete(digest);
      throw error;
    }
  }

  /** Takes a complete one to be linked, until `giveBack` or `forget`; the bytes, undefined for none. */
  take(digest: Digest): number | undefined {
    const size = this.size(digest);
    if (size !== undefined) this.#placing.add(digest);
    return size;
  }

  /** It waits here again. */
  giveBack(digest: Digest): void {
    this.#placing.delete(digest);
  }

  /** Links one that was taken to `path`. @throws DataLoss there is none */
  async link(digest: Digest, path: string): Promise<void> {
    try {
      await rm(path, { force: true });
      await link(this.#done(digest), path);
    } catch (error) {
      const kind = errnoOf(error) === "ENOENT" ? "DataLoss" : "System";
      throw new EngineError(kind, `place blob ${digest}: ${messageOf(error)}`, { cause: error });
    }
  }

  /** It is a blob now. Only a name goes, so this takes no time. */
  forget(digest: Digest): void {
    this.#placing.delete(digest);
    if (!this.#entries.delete(digest)) return;
    try {
      unlinkSync(this.#done(digest));
    } catch {
      // The next start sees that it is a blob.
    }
  }

  /** See ContentStore.sweepIngests. */
  async sweep(olderThanMs: number): Promise<number> {
    let freed = 0;
    for (const [digest, { complete }] of this.#entries) {
      if (this.#open.has(digest) || this.#placing.has(digest)) continue;
      const path = complete ? this.#done(digest) : this.#part(digest);
      const stat = await lstat(path).catch(() => undefined);
      if (
        this.#open.has(digest) ||
        this.#placing.has(digest) ||
        (stat !== undefined && !isStale(stat.mtimeMs, olderThanMs))
      )
        continue;
      this.#entries.delete(digest);
      if (stat === undefined) continue;
      // At once under another name: who wants the blob from now on makes a file of their own.
      const swept = `${this.#part(digest)}.swept`;
      renameSync(path, swept);
      await rm(swept, { force: true });
      freed += stat.size;
    }
    return freed;
  }

  #part(digest: Digest): string {
    return join(this.#directory, hexOf(digest));
  }

  #done(digest: Digest): string {
    return `${this.#part(digest)}${doneSuffix}`;
  }

  async #remove(digest: Digest): Promise<void> {
    await rm(this.#part(digest), { force: true });
    await rm(this.#done(digest), { force: true });
  }

  async #openFile(digest: Digest, sizeBytes: number): Promise<OpenedFile> {
    const flags = constants.O_RDWR | constants.O_NOFOLLOW;
    try {
      if (this.isComplete(digest)) {
        const file = await open(this.#done(digest), flags).catch(() => undefined);
        const stat = await file?.stat();
        if (file !== undefined && stat?.isFile() === true && stat.size === sizeBytes)
          return { file, hash: undefined, bytes: sizeBytes };
        await file?.close();
        await this.#remove(digest);
      }
      const file = await open(this.#part(digest), flags | constants.O_CREAT, 0o600);
      try {
        return await rehash(file, sizeBytes);
      } catch (error) {
        await file.close();
        throw error;
      }
    } catch (error) {
      const isFull = errnoOf(error) === "ENOSPC" || errnoOf(error) === "EDQUOT";
      const message = `open ${this.#part(digest)}: ${messageOf(error)}`;
      throw new EngineError(isFull ? "Unavailable" : "System", message, { cause: error });
    }
  }

  /** Better refused now than after the disk is full for everybody. */
  async #checkSpace(digest: Digest, bytes: number): Promise<void> {
    const { bavail, bsize } = await statfs(this.#directory);
    if (bytes === 0 || bytes + reserveBytes <= bavail * bsize) return;
    throw new EngineError(
      "Unavailable",
      `no space left on device for blob ${digest}: ${bytes} bytes are missing, ${bavail * bsize} are free in ` +
        `${this.#directory}, of which ${reserveBytes} are kept in reserve`,
    );
  }
}

function placed(digest: Digest): EngineError {
  return new EngineError("Conflict", `blob ${digest} is being placed`);
}

function isStale(mtimeMs: number, olderThanMs: number): boolean {
  return Date.now() - mtimeMs >= olderThanMs;
}

/** What is there counts only after it was hashed; more than the blob has is no part of it. */
async function rehash(file: FileHandle, sizeBytes: number): Promise<OpenedFile> {
  const stat = await file.stat();
  if (!stat.isFile()) throw new Error("not a regular file");
  const hash = createHash("sha256");
  if (stat.size > sizeBytes) {
    await file.truncate(0);
    return { file, hash, bytes: 0 };
  }
  const buffer = Buffer.allocUnsafeSlow(stepBytes);
  let bytes = 0;
  while (bytes < stat.size) {
    const { bytesRead } = await file.read(buffer, 0, buffer.length, bytes);
    if (bytesRead === 0) break;
    hash.update(buffer.subarray(0, bytesRead));
    bytes += bytesRead;
  }
  return { file, hash, bytes };
}
