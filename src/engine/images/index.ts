// The face of the image room: references, manifests and configs; load, import, tag, delete.
// Bytes live in content/, unpacked layers in snapshots/.

import type { ChainId, Digest } from "../../base/digest.ts";
import type { HistoryEntry, OciImageConfig } from "../../spec/oci/image.ts";
import type { Named } from "../../base/reference.ts";
import type { ImageSummary } from "../../spec/docker/image.ts";
import type { ContentUsage } from "../../spec/docker/disk-usage.ts";
import type { ImagesPort } from "../api/ports.ts";
import type { StagedLayer } from "../snapshots/index.ts";

/** An image as containers need it: its config, and the stack of layers to put a writable one on. */
export interface ResolvedImage {
  /** Digest of the config: the image id. */
  readonly id: Digest;
  readonly config: OciImageConfig;
  /** Chain id of the top layer; undefined for an image without layers. */
  readonly topLayer: ChainId | undefined;
}

/** Who uses an image; asked before one is deleted, so that images/ does not depend on containers/. */
export interface ImageUsers {
  /** Containers made from the image. */
  containersOf(image: Digest): readonly { readonly id: string; readonly running: boolean }[];
}

/** What an image is made of. */
export interface CommittedImage {
  /** Becomes the parent; undefined for an image that begins with this layer. */
  readonly base: Digest | undefined;
  /** undefined when only the config changes. */
  readonly layer: StagedLayer | undefined;
  /**
   * Its history is the last step alone: the base's goes before it, and it is marked as empty without a layer. The engine's version
   * and rootfs are filled in; members beyond those of OciImageConfig are written as they are.
   */
  readonly config: Omit<OciImageConfig, "rootfs" | "history"> & {
    readonly history: HistoryEntry;
    readonly [member: string]: unknown;
  };
  readonly reference: Named | undefined;
}

export interface Images extends ImagesPort {
  /**
   * Makes an image of a layer on top of another image, for commit and build. The layer is the caller's to release.
   *
   * @returns the image's id
   * @throws NotFound the base is gone
   * @throws DataLoss a layer of the base is gone
   */
  commit(image: CommittedImage, signal: AbortSignal): Promise<Digest>;
  /** What `system df` shows: true shared and unique sizes. */
  diskUsage(): Promise<{
    readonly layersBytes: number;
    /** Of layers that no image in use needs. */
    readonly reclaimableLayersBytes: number;
    readonly images: readonly ImageSummary[];
    readonly content: ContentUsage;
  }>;
  /**
   * @param nameOrId reference (normalised as Docker does), full id, or unique prefix of an id
   * @param platform `os/arch[/variant]` wanted, or undefined
   * @throws NotFound "No such image: x:latest"; also when only another platform is there, which the message says
   */
  resolve(nameOrId: string, platform: string | undefined): Promise<ResolvedImage>;
  /** The image of a known id, for a container that already has one. */
  get(id: Digest): Promise<ResolvedImage>;
  /**
   * Holds an image while a container is being made of it, so that a delete cannot slip between.
   * Dispose when the container is in ImageUsers.
   */
  hold(id: Digest): Disposable;
  count(): number;
  /** Content problems for `system check` (F10): dangling rows, missing blobs and layers, unreferenced ones. */
  check(options: { readonly repair: boolean }): Promise<
    readonly {
      readonly invariant: "F10" | "F14";
      readonly subject: string;
      readonly detail: string;
      readonly repaired: boolean;
    }[]
  >;
  /**
   * Loads the image that comes with the engine, once in the life of a data root: one that was deleted does not come back.
   *
   * @returns whether it was loaded now
   * @throws System the archive cannot be read; what load throws
   */
  loadEmbedded(path: string, signal: AbortSignal): Promise<boolean>;
}

export { createImages } from "./images.ts";
