// Compressed blobs of an archive that is being read: ingests that are deleted again unless an image was made of them.

import { type Digest, parseDigest } from "../../base/digest.ts";
import { isEngineError } from "../../base/errors.ts";
import type { ContentStore, Ingest } from "../content/index.ts";

export class KeptBlobs {
  readonly #content: Pick<ContentStore, "ingest" | "has" | "isIngested">;
  readonly #finished = new Map<Digest, number>();

  constructor(content: Pick<ContentStore, "ingest" | "has" | "isIngested">) {
    this.#content = content;
  }

  /**
   * Begins to keep a blob; undefined where that is not needed (it is here already) or somebody else is fetching it.
   *
   * @param hex of the digest that the archive claims; undefined for a file that is no blob
   */
  async begin(hex: string | undefined, sizeBytes: number): Promise<Ingest | undefined> {
    if (hex === undefined) return undefined;
    const digest = parseDigest(`sha256:${hex}`);
    if (this.#content.has(digest) || this.#content.isIngested(digest)) return undefined;
    let ingest: Ingest;
    try {
      ingest = await this.#content.ingest(digest, sizeBytes);
    } catch (error) {
      if (isEngineError(error, "Conflict")) return undefined;
      throw error;
    }
    try {
      await ingest.reset();
      return ingest;
    } catch (error) {
      await ingest.release();
      throw error;
    }
  }

  /** All of it was written. @throws InvalidParameter it is not what its name says */
  async finish(ingest: Ingest): Promise<void> {
    await ingest.finish();
    await ingest.release();
    this.#finished.set(ingest.digest, ingest.sizeBytes);
  }

  /** Deletes those that are no blobs by now. */
  async discard(): Promise<void> {
    for (const [digest, sizeBytes] of this.#finished) {
      if (!this.#content.isIngested(digest)) continue;
      try {
        await deleteIngest(await this.#content.ingest(digest, sizeBytes));
      } catch (error) {
        // Somebody else wants it now.
        if (!isEngineError(error, "Conflict")) throw error;
      }
    }
    this.#finished.clear();
  }
}

/** An ingest without bytes is none. */
export async function deleteIngest(ingest: Ingest): Promise<void> {
  try {
    await ingest.reset();
  } catch {
    // It deleted itself already when it failed.
  } finally {
    await ingest.release();
  }
}
