// The face of a build's layers: a step gets a writable layer over others and leaves a layer of its own, in place, without copying.
// Layers are those of images (snapshots/): what a build made is in the image store already.

import type { ChainId, DiffId } from "../../../base/digest.ts";
import type { OverlayDirs, Snapshotter } from "../../snapshots/index.ts";
import type { Store } from "../../store/index.ts";

/** The tree that a step writes. */
export interface StepLayer extends AsyncDisposable {
  readonly key: string;
  readonly dirs: OverlayDirs;
  /**
   * Makes it a layer on top of its parent, durable when a commit that follows is. Without a change in it: the parent's layers.
   *
   * @param clampTimes seconds since 1970 that no time of a file may be above; undefined leaves them
   * @returns all layers, bottom first
   */
  finish(clampTimes: number | undefined, signal: AbortSignal): Promise<readonly DiffId[]>;
}

export interface BuildLayers {
  /** @param parent layers, bottom first, that are there; [] for an empty tree. @throws DataLoss one is not; InvalidParameter "max depth exceeded" */
  begin(parent: readonly DiffId[]): Promise<StepLayer>;
  /** The layers of `upper` beyond those of its own base, put upon `lower`. @returns all layers, bottom first */
  stack(lower: readonly DiffId[], upper: readonly DiffId[], signal: AbortSignal): Promise<readonly DiffId[]>;
  /** Whether the whole chain is there. */
  has(layers: readonly DiffId[]): boolean;
  /** Keeps a chain from being collected until disposed; without effect on what is not there. */
  keep(layers: readonly DiffId[]): Disposable;
  /** Directories to mount, top-most first. */
  directories(layers: readonly DiffId[]): readonly string[];
  chainId(layers: readonly DiffId[]): ChainId | undefined;
  /** Bytes of the top-most layer alone. */
  sizeBytes(layers: readonly DiffId[]): number;
}

export interface BuildLayersDeps {
  readonly snapshots: Snapshotter;
  readonly store: Store;
}

export { createBuildLayers } from "./layers.ts";
