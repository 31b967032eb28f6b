// The face of the content room: blobs by digest under content/blobs/sha256 (image configs, manifests, layers as registries have
// them), and those that are coming in under content/ingest. A file is complete, synced and in place before its row is
// committed; a file without a row is deleted at start, a row without its file is a finding of check.

import type { Readable } from "node:stream";
import type { Digest } from "../../base/digest.ts";
import type { Change, Store } from "../store/index.ts";

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
  /** Of all blobs. */
  digests(): readonly Digest[];
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

export { createContentStore } from "./content-store.ts";
export { staleIngestMs } from "./ingests.ts";
