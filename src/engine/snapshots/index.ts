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
  /**
   * Makes the writable layer of container `key` over `parent`; the caller commits `changes`, then calls nothing more.
   *
   * @param limit of what is written to it, in bytes above 0, as long as it is there; the layer that it becomes has none
   * @throws NotImplemented a limit, which the file system cannot keep; System
   */
  prepare(
    key: string,
    parent: ChainId | undefined,
    limit?: { readonly sizeBytes: number | undefined },
  ): Promise<Prepared>;
  /** Why writable layers cannot be limited here, and what to do; undefined where they can. */
  limitsUnsupported(): Promise<string | undefined>;
  /** Directories of a committed writable layer. @throws DataLoss the layer's rows or directories are gone */
  dirs(key: string): OverlayDirs;
  /** Rows to delete with the container; afterwards call `discard`, which takes the snapshotter's lock when layers go too. */
  removal(key: string): { readonly changes: readonly Change[]; discard(): Promise<void> };
  /** Bytes in the writable layer (as `docker ps -s`), and in the layers under it. */
  usage(key: string): Promise<{ readonly writableBytes: number; readonly totalBytes: number }>;
  has(chainId: ChainId): boolean;
  /** Unpacks one layer's uncompressed tar over `parent`; verifies the digest; synced and committed when it resolves. */
  unpack(parent: ChainId | undefined, diffId: DiffId, tar: Readable, signal: AbortSignal): Promise<ChainId>;
  layerSize(chainId: ChainId): number;
  /** Removes layers that neither the owner (given), nor another owner of roots, nor a writable layer needs; returns bytes freed. */
  collect(neededTops: readonly ChainId[], owner?: RootOwner): Promise<number>;

  // What images/ needs to unpack a layer before it knows which layer it is.

  /**
   * Unpacks a tar into a place of its own, to be put into chains by `place`. With a claimed diff id that is already unpacked
   * nothing is written, only hashed; callers with one claim at the same time share one unpacking.
   *
   * @throws InvalidParameter malformed, hostile, too large, or not what was claimed
   */
  stage(
    tar: AsyncIterable<Uint8Array>,
    options: { readonly claimed: DiffId | undefined; readonly maxBytes: number },
    signal: AbortSignal,
  ): Promise<StagedLayer>;
  /**
   * Puts staged layers under their chain ids, bottom first; those that are there are skipped. To be called with `lock` held
   * until the changes are committed.
   *
   * @throws DataLoss a layer was neither staged nor unpacked before
   */
  place(layers: readonly { readonly diffId: DiffId; readonly staged: StagedLayer | undefined }[]): Promise<Placed>;
  /**
   * Says whom to ask for the top layers that an owner needs, in place of whom was named for it before: so that what a deleted image
   * left to a container goes with that, and one owner's collection leaves what others need. Before anything is collected.
   */
  addRoots(owner: RootOwner, roots: () => readonly ChainId[]): void;
  /** All layers under an owner's roots. */
  neededBy(owner: RootOwner): ReadonlySet<ChainId>;
  /** Held while layers come and go together with the images that need them. Taken before the store, after a container's mutex. */
  lock(): Promise<Disposable>;
  /** What `collect` would remove, top-most first, for a commit together with the caller's rows. @param owner "images" without it */
  planCollect(neededTops: readonly ChainId[], owner?: RootOwner): LayerRemoval;
  /**
   * The layer's uncompressed tar, byte for byte as it was unpacked. Hashed while it is read: the last read throws DataLoss
   * when the bytes are no longer what the diff id says.
   *
   * @throws DataLoss the layer is gone, or was unpacked by a version that did not record its headers
   */
  tar(chainId: ChainId, signal: AbortSignal): Readable;
  /** Length of that tar, in bytes. @throws DataLoss as `tar` */
  tarBytes(chainId: ChainId): number;
  /**
   * A writable layer as it is now, as a staged layer: what was added and changed, and whiteouts for what was deleted, without
   * the empty files and directories that the engine made to mount on. The caller sees to it that nobody writes meanwhile, or accepts what it gets.
   */
  stageWritable(key: string, maxBytes: number, signal: AbortSignal): Promise<StagedLayer>;
  /**
   * Makes the writable layer `key` a staged one in place, without copying a file; its key is free from then on. Nobody may have
   * it mounted. Its row, if it has one, is the caller's to delete; what is no member of its tar is gone from its files.
   *
   * @param clampTimes seconds since 1970 that no time of a file may be above; undefined leaves them
   * @returns undefined when nothing was changed in it: then it is removed
   * @throws InvalidParameter a limit of the format was exceeded; System; the layer is still there then, in an unknown state
   */
  seal(key: string, clampTimes: number | undefined, signal: AbortSignal): Promise<StagedLayer | undefined>;
  /** Keeps a layer, and those under it, from being collected until disposed; undefined when it is not there or going. */
  pin(chainId: ChainId): Disposable | undefined;
  /**
   * The whole file system of a writable layer over its chain, as one tar; mounts inside it are not in it. The last read
   * throws DataLoss when the layer was removed meanwhile.
   */
  export(key: string, signal: AbortSignal): Readable;
  /** Directories under a chain, top-most first; for `docker inspect`. */
  chainDirs(top: ChainId): readonly string[];
  /**
   * Problems of layers and directories (F10, F14); with repair, what is no container's data is deleted.
   *
   * @param neededTops asked under the lock: an image that is being loaded has its layers before its record
   */
  check(neededTops: () => readonly ChainId[], repair: boolean): Promise<readonly SnapshotFinding[]>;
}

/** Who needs layers: images, and what builds remember. */
export type RootOwner = "images" | "builds";

export interface StagedLayer {
  readonly diffId: DiffId;
  /** Bytes in regular files. */
  readonly sizeBytes: number;
  /** Length of its tar; undefined for a layer that an older version unpacked. */
  readonly tarBytes: number | undefined;
  /** To be called once, when the layer was placed or is not wanted. */
  release(): Promise<void>;
}

/** Layers on disk whose rows the caller commits. */
export interface Placed {
  /** Of the top-most layer; undefined for none. */
  readonly top: ChainId | undefined;
  readonly changes: readonly Change[];
  committed(): void;
  undo(): Promise<void>;
}

export interface LayerRemoval {
  /** Top-most first. */
  readonly removed: readonly ChainId[];
  readonly bytes: number;
  readonly changes: readonly Change[];
  /** After the commit: forgets the layers and deletes their directories. */
  discard(): Promise<void>;
}

export interface SnapshotFinding {
  readonly invariant: "F10" | "F14";
  readonly subject: string;
  readonly detail: string;
  readonly repaired: boolean;
}

export { createSnapshotter } from "./overlay.ts";
