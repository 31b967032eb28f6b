// Typed calls about what takes space: disk usage, and prune of everything. Source: Docker Engine API 1.51.

import type { ContainerSummary } from "../spec/docker/container.ts";
import type { ContentUsage } from "../spec/docker/disk-usage.ts";
import type { ImageSummary } from "../spec/docker/image.ts";
import type { Volume } from "../spec/docker/volume.ts";
import type { Client } from "./client.ts";
import { renderFilters, type FilterArgs } from "./filters.ts";

export interface VolumeUsage extends Partial<Omit<Volume, "UsageData">> {
  /** -1 where the daemon does not know. */
  readonly UsageData?: { readonly Size?: number; readonly RefCount?: number } | null;
}

export interface BuildCacheUsage {
  readonly ID?: string;
  readonly Type?: string;
  readonly Size?: number;
  /** RFC 3339 */
  readonly CreatedAt?: string;
  readonly LastUsedAt?: string | null;
  readonly UsageCount?: number;
  readonly InUse?: boolean;
  readonly Shared?: boolean;
}

/** GET /system/df. Sizes in bytes. */
export interface DiskUsage {
  readonly LayersSize?: number;
  readonly Images?: readonly ImageSummary[] | null;
  readonly Containers?: readonly ContainerSummary[] | null;
  readonly Volumes?: readonly VolumeUsage[] | null;
  readonly BuildCache?: readonly BuildCacheUsage[] | null;
  /** gantryd's own. */
  readonly LayersReclaimable?: number;
  /** gantryd's own: blobs of images as registries have them. */
  readonly Content?: ContentUsage;
}

export function diskUsage(client: Client): Promise<DiskUsage> {
  return client.json("GET", "/system/df");
}

/** Bytes; undefined sets no bound. `keepStorage` is the old name of `reservedSpace`. */
export interface CacheSpace {
  readonly keepStorage?: number | undefined;
  readonly reservedSpace?: number | undefined;
  readonly maxUsedSpace?: number | undefined;
  readonly minFreeSpace?: number | undefined;
}

export function pruneBuildCache(
  client: Client,
  all: boolean,
  filters: FilterArgs,
  space: CacheSpace = {},
): Promise<{ readonly CachesDeleted: readonly string[] | null; readonly SpaceReclaimed: number }> {
  return client.json("POST", "/build/prune", {
    query: {
      all: all ? 1 : undefined,
      filters: renderFilters(filters),
      "keep-storage": space.keepStorage,
      "reserved-space": space.reservedSpace,
      "max-used-space": space.maxUsedSpace,
      "min-free-space": space.minFreeSpace,
    },
  });
}
