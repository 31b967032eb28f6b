// Disk usage of the Docker Engine API 1.51, as on the wire.

import type { ContainerSummary } from "./container.ts";
import type { ImageSummary } from "./image.ts";
import type { Volume } from "./volume.ts";

/** GET /system/df. Sizes in bytes. Source: Engine API 1.51, SystemDataUsage. */
export interface DiskUsage {
  readonly LayersSize: number;
  readonly Images: readonly ImageSummary[] | null;
  readonly Containers: readonly ContainerSummary[] | null;
  readonly Volumes: readonly Volume[] | null;
  readonly BuildCache: readonly BuildCacheUsage[] | null;
  /** Gantry's own, with images only: bytes of layers that no used image needs. */
  readonly LayersReclaimable?: number;
  /** Gantry's own, with images only: what Docker's LayersSize and Size leave out. */
  readonly Content?: ContentUsage;
}

/** A record of the build cache. Source: Engine API 1.51, BuildCache. */
export interface BuildCacheUsage {
  readonly ID: string;
  readonly Parents?: readonly string[];
  readonly Type: string;
  readonly Description: string;
  readonly InUse: boolean;
  readonly Shared: boolean;
  /** Bytes. */
  readonly Size: number;
  /** RFC 3339. */
  readonly CreatedAt: string;
  readonly LastUsedAt: string | null;
  readonly UsageCount: number;
}

/** Blobs of images as registries have them (configs, manifests, compressed layers), and downloads that wait. Bytes. */
export interface ContentUsage {
  readonly Count: number;
  /** Of images that containers use. */
  readonly Active: number;
  readonly Size: number;
  readonly Reclaimable: number;
}
