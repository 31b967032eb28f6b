// Blobs on disk and their rows. A small blob is written to tmp/, hashed, synced and renamed; a large one comes through an
// ingest. Rows are the callers' to commit.

import { constants } from "node:fs";
import { type FileHandle, chmod, mkdir, open, readdir, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { type Digest, digestOf, hexOf, parseDigest } from "../../base/digest.ts";
import { EngineError, errnoOf, messageOf } from "../../base/errors.ts";
import { syncDirectory } from "../kernel/sync-directory.ts";
import type { Change, Store } from "../store/index.ts";
import type { ContentDeps, ContentFinding, ContentStore, Ingest, PlacedBlobs, WrittenBlob } from "./index.ts";
import { IngestDirectory } from "./ingests.ts";

const readBytes = 256 << 10;
// `check` reads documents whole; of layers it looks at the size: their digest is checked by whoever unpacks or receives them.
const checkedBytes = 4 << 20;

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
  const ingests = await IngestDirectory.create(join(deps.dataRoot, "content", "ingest"), (digest) => sizes.has(digest));
  return new FileContentStore(deps.store, directory, tmp, sizes, ingests);
}

class FileContentStore implements ContentStore {
  readonly #store: Store;
  readonly #directory: string;
  readonly #tmp: string;
  readonly #sizes: Map<Digest, number>;
  readonly #ingests: IngestDirectory;

  constructor(store: Store, directory: string, tmp: string, sizes: Map<Digest, number>, ingests: IngestDirectory) {
    this.#store = store;
    this.#directory = directory;
    this.#tmp = tmp;
    this.#sizes = sizes;
    this.#ingests = ingests;
  }

  has(digest: Digest): boolean {
    return this.#sizes.has(digest);
  }

  size(digest: Digest): number | undefined {
    return this.#sizes.get(digest);
  }

  digests(): readonly Digest[] {
    return [...this.#sizes.keys()];
  }

  async open(digest: Digest, offset = 0): Promise<Readable> {
    const size = this.#known(digest);
    const file = await this.#openFile(digest, size);
    if (file === undefined) throw lost(digest);
    return file.createReadStream({ start: offset, highWaterMark: readBytes });
  }

  ingest(digest: Digest, sizeBytes: number): Promise<Ingest> {
    return this.#ingests.ingest(digest, sizeBytes);
  }

  isIngested(digest: Digest): boolean {
    return this.#ingests.isComplete(digest);
  }

  async place(blobs: readonly { readonly digest: Digest; readonly mediaType: string }[]): Promise<PlacedBlobs> {
    // Taken before the first await: nobody may begin them anew from now on.
    const taken = new Map(blobs.map(({ digest }) => [digest, this.#ingests.take(digest)]));
    const made = new Map<Digest, { readonly size: number; readonly mediaType: string }>();
    const giveBack = (): void => {
      for (const digest of taken.keys()) this.#ingests.giveBack(digest);
    };
    const undo = async (): Promise<void> => {
      try {
        for (const digest of made.keys()) if (!this.#sizes.has(digest)) await rm(this.#path(digest), { force: true });
      } finally {
        giveBack();
      }
    };
    try {
      for (const { digest, mediaType } of blobs) {
        if (made.has(digest)) continue;
        const size = taken.get(digest);
        const known = this.#sizes.get(digest);
        // One whose file was lost is brought back.
        if (known !== undefined && (size === undefined || (await this.#isThere(digest, known)))) continue;
        if (size === undefined) throw new EngineError("DataLoss", `place blob ${digest}: it was not fetched`);
        made.set(digest, { size, mediaType });
        await this.#ingests.link(digest, this.#path(digest));
      }
      if (made.size > 0) await syncDirectory(this.#directory);
    } catch (error) {
      await undo();
      throw error;
    }
    return {
      changes: [...made].map(([digest, { size, mediaType }]) => ({
        put: "blobs",
        row: { digest, size, media_type: mediaType },
      })),
      committed: () => {
        for (const [digest, { size }] of made) {
          this.#sizes.set(digest, size);
          this.#ingests.forget(digest);
        }
        giveBack();
      },
      undo,
    };
  }

  sweepIngests(olderThanMs: number): Promise<number> {
    return this.#ingests.sweep(olderThanMs);
  }

  totalBytes(): number {
    return [...this.#sizes.values()].reduce((sum, size) => sum + size, this.#ingests.totalBytes());
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
    const bytes = await this.#readFile(digest, this.#known(digest));
    if (bytes === undefined) throw lost(digest);
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
      } else if (!(await this.#isThere(digest, size))) {
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

  #known(digest: Digest): number {
    const size = this.#sizes.get(digest);
    if (size === undefined) throw new EngineError("NotFound", `no such blob: ${digest}`);
    return size;
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
      const isFull = errnoOf(error) === "ENOSPC" || errnoOf(error) === "EDQUOT";
      const why = isFull ? "no space left on device" : messageOf(error);
      throw new EngineError(isFull ? "Unavailable" : "System", `write blob ${digest}: ${why}`, { cause: error });
    }
  }

  async #isThere(digest: Digest, size: number): Promise<boolean> {
    if (size <= checkedBytes) return (await this.#readFile(digest, size)) !== undefined;
    const file = await this.#openFile(digest, size);
    await file?.close();
    return file !== undefined;
  }

  /** undefined when the file is missing, of another size, or of another digest. */
  async #readFile(digest: Digest, size: number): Promise<Buffer | undefined> {
    const file = await this.#openFile(digest, size);
    if (file === undefined) return undefined;
    try {
      const bytes = await file.readFile();
      return digestOf(bytes) === digest ? bytes : undefined;
    } catch (error) {
      if (errnoOf(error) === "EIO") return undefined;
      throw error;
    } finally {
      await file.close();
    }
  }

  /** undefined when the file is missing or of another size. */
  async #openFile(digest: Digest, size: number): Promise<FileHandle | undefined> {
    let file: FileHandle;
    try {
      // A FIFO in its place must not hold anybody up.
      file = await open(this.#path(digest), constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    } catch (error) {
      if (["ENOENT", "EIO", "ELOOP", "ENXIO"].includes(errnoOf(error) ?? "")) return undefined;
      throw error;
    }
    const stat = await file.stat();
    if (stat.isFile() && stat.size === size) return file;
    await file.close();
    return undefined;
  }
}

function lost(digest: Digest): EngineError {
  return new EngineError("DataLoss", `blob ${digest} is missing or corrupt`);
}

function isKnown(sizes: ReadonlyMap<Digest, number>, name: string): boolean {
  return /^[0-9a-f]{64}$/.test(name) && sizes.has(parseDigest(`sha256:${name}`));
}
