// The face of the snapshotter: unpacked layers shared by chain id, and one writable layer per container on top.
// Everything is directories under `<dataRoot>/snapshots/<n>/{fs,work}`; mounting is the shim's (see runtime/shim.ts).

import type { Readable } from "node:stream";
import type { ChainId, DiffId } from "../../base/digest.ts";
import type { Change } from "../store/index.ts";

export interface OverlayDirs {
  /** Top-most first, at least one. */
  readonly lower: readonly string[];
  readonly upper: string;
  readonly work: string;
}

/** A step that is done on disk and becomes true with a commit: put `changes` into the caller's transaction. */
export interface Prepared {
  readonly changes: readonly Change[];
  readonly dirs: OverlayDirs;
  /** Takes the directories away again when the caller's commit did not happen. */
  undo(): Promise<void>;
}

export interface Snapshotter {
  /** Makes the writable layer of container `key` over `parent`; the caller commits `changes`, then calls nothing more. */
  prepare(key: string, parent: ChainId | undefined): Promise<Prepared>;
  /** Directories of a committed writable layer. @throws DataLoss the layer's rows or directories are gone */
  dirs(key: string): OverlayDirs;
  /** Rows to delete with the container; afterwards call `discard`. */
  removal(key: string): { readonly changes: readonly Change[]; discard(): Promise<void> };
  /** Bytes in the writable layer (as `docker ps -s`), and in the layers under it. */
  usage(key: string): Promise<{ readonly writableBytes: number; readonly totalBytes: number }>;
  has(chainId: ChainId): boolean;
  /** Unpacks one layer's uncompressed tar over `parent`; verifies the digest; synced and committed when it resolves. */
  unpack(parent: ChainId | undefined, diffId: DiffId, tar: Readable, signal: AbortSignal): Promise<ChainId>;
  layerSize(chainId: ChainId): number;
  /** Removes layers that no image (given) and no writable layer needs; returns bytes freed. */
  collect(neededTops: readonly ChainId[]): Promise<number>;
}
