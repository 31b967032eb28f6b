// The content room: small blobs (image configs, manifests) by digest under content/blobs/sha256. A blob is written to tmp/,
// hashed, fsynced, renamed, its directory fsynced, and only then becomes a row; a row without its blob is a finding of check.

import { constants } from "node:fs";
import { chmod, lstat, mkdir, open, readdir, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { type Digest, digestOf, hexOf, parseDigest } from "../../base/digest.ts";
import { EngineError, errnoOf } from "../../base/errors.ts";
import type { Change, Store } from "../store/index.ts";
import { syncDirectory } from "../kernel/sync-directory.ts";

/** A blob on disk whose row the caller commits. */
export interface WrittenBlob {
  readonly digest: Digest;
  readonly changes: readonly Change[];
  /** To be called after the commit. */
  committed(): void;
  /** Takes the file away again, unless it was there before. */
  undo(): Promise<void>;
}

/** Something that `check` found. */
export interface ContentFinding {
  readonly subject: string;
  readonly detail: string;
  readonly repaired: boolean;
}

/** Blobs on disk whose rows the caller commits. */
export interface PlacedBlobs {
  readonly changes: readonly Change[];
  /** To be called after the commit. */
  committed(): void;
  /** Makes them ingests again. */
  undo(): Promise<void>;
}

/**
 * A blob that is coming in: a file content/ingest/<hex> that survives a kill. One at a time per digest: the caller shares it
 * among those who want the blob. Complete ones wait there until `place` makes them blobs, in the commit of who needs them.
 */
export interface Ingest {
  readonly digest: Digest;
  readonly sizeBytes: number;
  /** Bytes that are there: where the next write goes. */
  readonly offset: number;
  /** Appends. @throws InvalidParameter more than sizeBytes; Unavailable the disk is full */
  write(chunk: Uint8Array): Promise<void>;
  /** Starts over. */
  reset(): Promise<void>;
  /** Verifies and syncs. @throws InvalidParameter another digest or size than claimed: the file is deleted */
  finish(): Promise<void>;
  /** The bytes from the start, following the writer to the end; throws what `fail` was told. */
  follow(signal: AbortSignal): AsyncIterable<Uint8Array>;
  /** Tells the followers that no more will come. */
  fail(error: unknown): void;
  /** Lets go; what is there stays for the next one. */
  release(): Promise<void>;
}

export interface ContentStore {
  has(digest: Digest): boolean;
  /** Bytes of a blob; undefined for none. */
  size(digest: Digest): number | undefined;
  /** A blob's bytes from an offset on, for streaming. @throws NotFound, DataLoss */
  open(digest: Digest, offset?: number): Promise<Readable>;
  /** Begins a blob, or goes on with one. @throws Conflict somebody else has it open */
  ingest(digest: Digest, sizeBytes: number): Promise<Ingest>;
  /** Whether a complete, verified ingest waits. */
  isIngested(digest: Digest): boolean;
  /** Makes complete ingests blobs, together with the caller's rows; those that are blobs already are skipped. */
  place(blobs: readonly { readonly digest: Digest; readonly mediaType: string }[]): Promise<PlacedBlobs>;
  /** Deletes ingests that nobody has open and that are older than `olderThanMs`; bytes freed. */
  sweepIngests(olderThanMs: number): Promise<number>;
  /** Bytes of all blobs and ingests, for disk usage. */
  totalBytes(): number;
  write(bytes: Uint8Array, mediaType: string): Promise<WrittenBlob>;
  /**
   * @throws NotFound no such blob
   * @throws DataLoss the file is missing, or is not what its digest says
   */
  read(digest: Digest): Promise<Buffer>;
  /** Rows to delete; afterwards call `discard`. */
  removal(digest: Digest): { readonly changes: readonly Change[]; discard(): Promise<void> };
  /** Compares rows, files and `needed`; with repair, files without a row and blobs that nobody needs are deleted. */
  check(needed: ReadonlySet<Digest>, repair: boolean): Promise<readonly ContentFinding[]>;
}

export interface ContentDeps {
  readonly store: Store;
  readonly dataRoot: string;
}

/** Loads the rows, and sweeps what an earlier process left behind; makes the directories, readable for root only. */
export async function createContentStore(deps: ContentDeps): Promise<ContentStore> {
  const directory = join(deps.dataRoot, "content", "blobs", "sha256");
  const tmp = join(deps.dataRoot, "tmp");
  await mkdir(directory, { recursive: true, mode: 0o700 });
  await mkdir(tmp, { recursive: true, mode: 0o700 });
  await chmod(join(deps.dataRoot, "content"), 0o700);
  await chmod(tmp, 0o700);
  const sizes = new Map<Digest, number>();
  for (const row of await deps.store.load("blobs")) sizes.set(parseDigest(row.digest), row.size);
  // A file whose row never came: the process was killed between the two.
  for (const name of await readdir(directory))
    if (!isKnown(sizes, name)) await rm(join(directory, name), { recursive: true, force: true });
  return new FileContentStore(deps.store, directory, tmp, sizes);
}

class FileContentStore implements ContentStore {
  readonly #store: Store;
  readonly #directory: string;
  readonly #tmp: string;
  readonly #sizes: Map<Digest, number>;

  constructor(store: Store, directory: string, tmp: string, sizes: Map<Digest, number>) {
    this.#store = store;
    this.#directory = directory;
    this.#tmp = tmp;
    this.#sizes = sizes;
  }

  has(digest: Digest): boolean {
    return this.#sizes.has(digest);
  }

  size(digest: Digest): number | undefined {
    return this.#sizes.get(digest);
  }

  async open(_digest: Digest, _offset?: number): Promise<Readable> {
    throw new EngineError("NotImplemented", "open");
  }

  async ingest(_digest: Digest, _sizeBytes: number): Promise<Ingest> {
    throw new EngineError("NotImplemented", "ingest");
  }

  isIngested(_digest: Digest): boolean {
    return false;
  }

  async place(_blobs: readonly { readonly digest: Digest; readonly mediaType: string }[]): Promise<PlacedBlobs> {
    throw new EngineError("NotImplemented", "place");
  }

  async sweepIngests(_olderThanMs: number): Promise<number> {
    return 0;
  }

  totalBytes(): number {
    return [...this.#sizes.values()].reduce((sum, size) => sum + size, 0);
  }

  async write(bytes: Uint8Array, mediaType: string): Promise<WrittenBlob> {
    const digest = digestOf(bytes);
    // A blob that was lost or damaged is written anew.
    const existed = this.#sizes.has(digest) && (await this.#readFile(digest, bytes.length)) !== undefined;
    if (!existed) await this.#writeFile(digest, bytes);
    return {
      digest,
      changes: [{ put: "blobs", row: { digest, size: bytes.length, media_type: mediaType } }],
      committed: () => this.#sizes.set(digest, bytes.length),
      undo: async () => {
        if (!existed && !this.#sizes.has(digest)) await rm(this.#path(digest), { force: true });
      },
    };
  }

  async read(digest: Digest): Promise<Buffer> {
    const size = this.#sizes.get(digest);
    if (size === undefined) throw new EngineError("NotFound", `no such blob: ${digest}`);
    const bytes = await this.#readFile(digest, size);
    if (bytes === undefined) throw new EngineError("DataLoss", `blob ${digest} is missing or corrupt`);
    return bytes;
  }

  removal(digest: Digest): { readonly changes: readonly Change[]; discard(): Promise<void> } {
    return {
      changes: this.#sizes.has(digest) ? [{ delete: "blobs", key: digest }] : [],
      discard: async () => {
        this.#sizes.delete(digest);
        await rm(this.#path(digest), { force: true });
      },
    };
  }

  async check(needed: ReadonlySet<Digest>, repair: boolean): Promise<readonly ContentFinding[]> {
    const findings: ContentFinding[] = [];
    for (const [digest, size] of this.#sizes) {
      if (!needed.has(digest)) {
        if (repair) {
          await this.#store.commit([{ delete: "blobs", key: digest }]);
          await this.removal(digest).discard();
        }
        findings.push({ subject: `blob ${digest}`, detail: "no image needs it", repaired: repair });
      } else if ((await this.#readFile(digest, size)) === undefined) {
        findings.push({ subject: `blob ${digest}`, detail: "its file is missing or corrupt", repaired: false });
      }
    }
    for (const name of await readdir(this.#directory)) {
      if (isKnown(this.#sizes, name)) continue;
      if (repair) await rm(join(this.#directory, name), { recursive: true, force: true });
      findings.push({ subject: `file ${join(this.#directory, name)}`, detail: "no row names it", repaired: repair });
    }
    return findings;
  }

  #path(digest: Digest): string {
    return join(this.#directory, hexOf(digest));
  }

  async #writeFile(digest: Digest, bytes: Uint8Array): Promise<void> {
    const partial = join(this.#tmp, `blob-${hexOf(digest)}-${process.hrtime.bigint()}`);
    try {
      const file = await open(partial, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, 0o600);
      try {
        await file.writeFile(bytes);
        await file.sync();
      } finally {
        await file.close();
      }
      await rename(partial, this.#path(digest));
      await syncDirectory(this.#directory);
    } catch (error) {
      await rm(partial, { force: true });
      throw new EngineError("System", `write blob ${digest}: ${errnoOf(error) ?? String(error)}`, { cause: error });
    }
  }

  /** undefined when the file is missing, of another size, or of another digest. */
  async #readFile(digest: Digest, size: number): Promise<Buffer | undefined> {
    try {
      const path = this.#path(digest);
      const stat = await lstat(path);
      if (!stat.isFile() || stat.size !== size) return undefined;
      const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW);
      try {
        const bytes = await file.readFile();
        return digestOf(bytes) === digest ? bytes : undefined;
      } finally {
        await file.close();
      }
    } catch (error) {
      if (errnoOf(error) === "ENOENT" || errnoOf(error) === "EIO") return undefined;
      throw error;
    }
  }
}

function isKnown(sizes: ReadonlyMap<Digest, number>, name: string): boolean {
  return /^[0-9a-f]{64}$/.test(name) && sizes.has(parseDigest(`sha256:${name}`));
}
