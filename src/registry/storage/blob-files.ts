// Blobs as files, `blobs/sha256/<two hex digits>/<64 hex digits>`, once per server. A file has its name only when it is whole
// and on disk: written elsewhere, synced, renamed, its directory synced.

import { constants, unlinkSync } from "node:fs";
import { type FileHandle, mkdir, open, readdir, rename, stat } from "node:fs/promises";
import { join } from "node:path";
import { type Digest, hexOf } from "../../base/digest.ts";
import { errnoOf } from "../../base/errors.ts";

async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

/** The files of a data directory's blobs. */
export class BlobFiles {
  readonly #root: string;
  /** Renamed, but not yet recorded: no orphans. */
  readonly #placing = new Map<string, number>();

  constructor(root: string) {
    this.#root = root;
  }

  path(digest: Digest): string {
    const hex = hexOf(digest);
    return join(this.#root, hex.slice(0, 2), hex);
  }

  /** Bytes of the file; undefined when there is none. */
  async size(digest: Digest): Promise<number | undefined> {
    try {
      return (await stat(this.path(digest))).size;
    } catch (error) {
      if (errnoOf(error) === "ENOENT") return undefined;
      throw error;
    }
  }

  /** @throws the system's ENOENT */
  open(digest: Digest): Promise<FileHandle> {
    return open(this.path(digest), constants.O_RDONLY | constants.O_NOFOLLOW);
  }

  /**
   * Puts a synced file in its place and then records it.
   *
   * @param record must make the row; until it is done the file is not taken for an orphan
   */
  async place(digest: Digest, from: string, record: () => void): Promise<void> {
    const to = this.path(digest);
    const directory = join(to, "..");
    this.#placing.set(digest, (this.#placing.get(digest) ?? 0) + 1);
    try {
      if ((await mkdir(directory, { recursive: true, mode: 0o700 })) !== undefined) await syncDirectory(this.#root);
      await rename(from, to);
      await syncDirectory(directory);
      record();
    } finally {
      const left = (this.#placing.get(digest) ?? 1) - 1;
      if (left === 0) this.#placing.delete(digest);
      else this.#placing.set(digest, left);
    }
  }

  /** True between the moment that a file is put in its place and that in which its row is there. */
  isPlacing(digest: string): boolean {
    return this.#placing.has(digest);
  }

  /** Deletes a file whose row is gone. Synchronous: nothing may come between the check of the caller and this. */
  remove(digest: Digest): void {
    try {
      unlinkSync(this.path(digest));
    } catch (error) {
      if (errnoOf(error) !== "ENOENT") throw error;
    }
  }

  /** Every file that has a blob's name. */
  async *list(): AsyncGenerator<Digest> {
    for (const prefix of await readdir(this.#root))
      for (const name of await readdir(join(this.#root, prefix)))
        if (/^[0-9a-f]{64}$/.test(name)) yield `sha256:${name}` as Digest;
  }
}
