// The data directory: registry.db (who has what), blobs/ (once per server), uploads/ (under way). One process at a time.

import { mkdirSync, statfsSync } from "node:fs";
import { open, unlink } from "node:fs/promises";
import { join } from "node:path";
import type { Digest } from "../../base/digest.ts";
import { RegistryError } from "../errors.ts";
import { BlobFiles } from "./blob-files.ts";
import { type Collected, collect, type CollectOptions } from "./collect.ts";
import { openDatabase } from "./database.ts";
import { Records } from "./records.ts";
import type { Upload } from "./upload.ts";
import { Uploads } from "./uploads.ts";

export type { Collected, CollectOptions } from "./collect.ts";
export type { Records, StoredManifest } from "./records.ts";
export type { Upload } from "./upload.ts";

export interface Storage {
  readonly records: Records;
  readonly files: BlobFiles;
  readonly uploads: Uploads;
  /**
   * Size of a blob that the repository has and whose file is whole; what is lost is forgotten, so that it can be pushed again.
   */
  blobSize(repository: string, digest: Digest): Promise<number | undefined>;
  /**
   * Makes an upload the repository's blob, on disk when this resolves.
   *
   * @throws DIGEST_INVALID the bytes are others; the upload is gone
   */
  finishUpload(repository: string, upload: Upload, expected: Digest): Promise<void>;
  /** One at a time: a second call waits for the first and gets its result. */
  collect(options: CollectOptions): Promise<Collected>;
  /** Tries to write. @throws the system's error */
  checkWritable(): Promise<void>;
  /** Bytes that are free for others than root. */
  freeBytes(): number;
  close(): void;
}

/**
 * Opens or makes a data directory.
 *
 * @throws Conflict another registry serves it, or it is of another version
 */
export function openStorage(directory: string): Storage {
  const blobs = join(directory, "blobs", "sha256");
  const uploadsDirectory = join(directory, "uploads");
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const records = new Records(openDatabase(join(directory, "registry.db")));
  mkdirSync(blobs, { recursive: true, mode: 0o700 });
  mkdirSync(uploadsDirectory, { recursive: true, mode: 0o700 });
  const parts = { records, files: new BlobFiles(blobs), uploads: new Uploads(uploadsDirectory) };
  let collecting: Promise<Collected> | undefined;

  return {
    ...parts,

    async blobSize(repository, digest) {
      const recorded = records.blobSize(repository, digest);
      if (recorded === undefined) return undefined;
      if ((await parts.files.size(digest)) === recorded) return recorded;
      // Asked again, because a collection may have taken both since.
      if (records.blobSize(repository, digest) !== undefined && !parts.files.isPlacing(digest))
        records.dropBlob(digest);
      return undefined;
    },

    async finishUpload(repository, upload, expected) {
      const digest = await upload.finish().catch(async (error: unknown) => {
        // After a failed sync a second one may report success for pages that are lost: these bytes are given up.
        await parts.uploads.remove(upload);
        throw error;
      });
      if (digest !== expected) {
        await parts.uploads.remove(upload);
        throw new RegistryError("DIGEST_INVALID", `the bytes that were uploaded have the digest ${digest}`, {
          detail: { digest: expected },
        });
      }
      await parts.files.place(digest, upload.path, () => {
        parts.uploads.forget(upload);
        records.addBlob(repository, digest, upload.offset, Date.now());
      });
    },

    async collect(options) {
      collecting ??= collect(parts, options).finally(() => {
        collecting = undefined;
      });
      return collecting;
    },

    async checkWritable() {
      const path = join(directory, "health");
      const file = await open(path, "w", 0o600);
      try {
        await file.writeFile("1");
        await file.datasync();
      } finally {
        await file.close();
      }
      await unlink(path);
    },

    freeBytes() {
      const { bavail, bsize } = statfsSync(directory);
      return bavail * bsize;
    },

    close: () => records.close(),
  };
}
