// The face of the image room: references, manifests and configs; load, import, tag, delete.
// Bytes live in content/, unpacked layers in snapshots/.

import type { ChainId, DiffId, Digest } from "../../base/digest.ts";
import type { HistoryEntry, OciImageConfig } from "../../spec/oci/image.ts";
import type { Named } from "../../base/reference.ts";
import type { ImageSummary } from "../../spec/docker/image.ts";
import type { ContentUsage } from "../../spec/docker/disk-usage.ts";
import type { ImagesPort, ProgressMessage, RegistryCredentials } from "../api/ports.ts";
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

/** An image whose layers are there, complete. */
export interface AssembledImage {
  /** The whole config; its rootfs names the layers. */
  readonly configBytes: Uint8Array;
  /** Names that are the image's from now on; whoever had them loses them. */
  readonly references: readonly Named[];
  /** The image that it was built from, where that is known here. */
  readonly parent?: Digest | undefined;
  /** Manifests that it can be pushed with; blobs of their layers that wait as complete ingests become blobs with them. */
  readonly manifests?: readonly {
    readonly bytes: Uint8Array;
    readonly mediaType: string;
    /** The index that it is in, which is kept as well. */
    readonly index?: { readonly bytes: Uint8Array; readonly mediaType: string };
    readonly layers: readonly { readonly digest: Digest; readonly mediaType: string; readonly sizeBytes: number }[];
  }[];
}

export type LayerCompression = "gzip" | "zstd" | "uncompressed";

/** How a layer becomes a blob. */
export interface LayerEncoding {
  /** undefined: gzip for what is compressed anew; blobs that are here are taken as they are. */
  readonly compression: LayerCompression | undefined;
  /** undefined: the room's own choice. */
  readonly level: number | undefined;
  /** With a level: blobs of the same compression that are here are not taken either. */
  readonly force: boolean;
}

/** A layer's blob; it stays here until disposed. */
export interface LayerBlob extends AsyncDisposable {
  readonly digest: Digest;
  readonly sizeBytes: number;
  readonly compression: LayerCompression;
  /** Its bytes from an offset on. */
  readonly open: (offset: number, signal: AbortSignal) => AsyncIterable<Uint8Array>;
}

/** What is sent to one repository. */
export interface Publication {
  readonly named: Named;
  readonly credentials: RegistryCredentials | undefined;
  /** Everything that the manifests name, configs too. */
  readonly blobs: readonly {
    readonly digest: Digest;
    readonly sizeBytes: number;
    readonly open: (offset: number, signal: AbortSignal) => AsyncIterable<Uint8Array>;
  }[];
  /** Children first; without a tag they are sent by their digests. */
  readonly manifests: readonly {
    readonly bytes: Uint8Array;
    readonly mediaType: string;
    readonly tag: string | undefined;
  }[];
  /** Called when all blobs are there, before the manifests are sent. */
  onBlobs?(): void;
  /** Of the image, for its event. */
  readonly labels: Readonly<Record<string, string>>;
}

/** Makes images when they are named; see Images.provide. */
export interface ImageSource {
  /** @param prefix of an id, in hex @returns the config, whose digest the id is and whose layers are there; undefined: none, or several */
  find(prefix: string): { readonly id: Digest; readonly configBytes: Uint8Array } | undefined;
}

/** A pull, as the API's, for rooms that need the image and not its name. */
export type PullRequest = Parameters<ImagesPort["pull"]>[0] & {
  /** false: no tag or digest is to mean the image, which stays without a name. Without it: true. */
  readonly isNamed?: boolean;
};

export interface Images extends ImagesPort {
  /**
   * Pulls one reference. The image is that of the platform which was asked for, whatever its tag means meanwhile; a manifest without
   * an index is taken as it is.
   *
   * @throws what pull throws; Cancelled
   */
  pullOne(request: PullRequest, tell: (message: ProgressMessage) => void, signal: AbortSignal): Promise<ResolvedImage>;
  /**
   * An id that is no image's is asked of `source`, and what it has becomes an image without a name, which lists leave out. What an
   * earlier run's source left is removed where nothing uses it. For one source, once containers are known.
   */
  provide(source: ImageSource): Promise<void>;
  /** The source has it no more: it goes, or becomes an ordinary image where a container or an image uses it, or it has a name. */
  withdraw(id: Digest): Promise<void>;
  /**
   * Makes an image of a layer on top of another image, for commit and build. The layer is the caller's to release.
   *
   * @returns the image's id
   * @throws NotFound the base is gone
   * @throws DataLoss a layer of the base is gone
   */
  commit(image: CommittedImage, signal: AbortSignal): Promise<Digest>;
  /**
   * Makes an image of layers that are there, in one commit: nothing is read or copied but the config.
   *
   * @returns the image's id
   * @throws InvalidParameter the config is none
   * @throws DataLoss         a layer is not there
   */
  assemble(image: AssembledImage, signal: AbortSignal): Promise<Digest>;
  /**
   * A layer as a blob: one that is here, or made now.
   *
   * @param onProgress bytes of the layer's tar that were compressed, and its length
   * @throws DataLoss the layer's tar cannot be had; Unavailable the disk is full; Cancelled
   */
  layerBlob(
    layer: { readonly diffId: DiffId; readonly chainId: ChainId },
    encoding: LayerEncoding,
    onProgress: (current: number, total: number) => void,
    signal: AbortSignal,
  ): Promise<LayerBlob>;
  /** Sends manifests with their blobs; lines as docker push tells them. @throws what the registry client throws */
  publish(publication: Publication, tell: (message: ProgressMessage) => void, signal: AbortSignal): Promise<void>;
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
