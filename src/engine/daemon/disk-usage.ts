// docker system df, out of all rooms. Requests that come while one of them is being answered share its measurement: the walk over
// writable layers and volumes is the dear part.

import type { BuildCacheUsage, DiskUsage } from "../../spec/docker/disk-usage.ts";
import type { SystemPort } from "../api/ports.ts";
import type { CacheEntry } from "../build/solver/index.ts";
import type { SystemDeps } from "./system.ts";

/** One measurement at a time, shared by those who ask meanwhile. */
function shared<T>(measure: () => Promise<T>): () => Promise<T> {
  let running: Promise<T> | undefined;
  return () => {
    running ??= measure().finally(() => {
      running = undefined;
    });
    return running;
  };
}

/** The parts of the rooms that are measured. */
export interface DiskMeterDeps {
  readonly images: Pick<SystemDeps["rooms"]["images"], "diskUsage">;
  readonly containers: Pick<SystemDeps["rooms"]["containers"], "list">;
  readonly volumes: Pick<SystemDeps["rooms"]["volumes"], "usage">;
  readonly buildCache: Pick<SystemDeps["rooms"]["buildCache"], "entries">;
}

export function createDiskMeter(rooms: DiskMeterDeps): SystemPort["diskUsage"] {
  const images = shared(() => rooms.images.diskUsage());
  const containers = shared(() =>
    rooms.containers.list({ all: true, limit: undefined, size: true, filters: new Map() }),
  );
  const volumes = shared(() => rooms.volumes.usage());
  const buildCache = shared(async () => (await rooms.buildCache.entries()).map(renderCacheEntry));
  return async (types): Promise<DiskUsage> => {
    const [ofImages, ofContainers, ofVolumes, ofBuilds] = await Promise.all([
      types.has("image") ? images() : undefined,
      types.has("container") ? containers() : null,
      types.has("volume") ? volumes() : null,
      types.has("build-cache") ? buildCache() : null,
    ]);
    return {
      LayersSize: ofImages?.layersBytes ?? 0,
      Images: ofImages?.images ?? null,
      Containers: ofContainers,
      Volumes: ofVolumes,
      BuildCache: ofBuilds,
      ...(ofImages === undefined
        ? {}
        : { LayersReclaimable: ofImages.reclaimableLayersBytes, Content: ofImages.content }),
    };
  };
}

function renderCacheEntry(entry: CacheEntry): BuildCacheUsage {
  const {
    id,
    parents,
    type,
    description,
    inUse,
    shared: isShared,
    sizeBytes,
    createdAt,
    lastUsedAt,
    usageCount,
  } = entry;
  return {
    ID: id,
    ...(parents.length === 0 ? {} : { Parents: parents }),
    Type: type,
    Description: description,
    InUse: inUse,
    Shared: isShared,
    Size: sizeBytes,
    CreatedAt: createdAt,
    LastUsedAt: lastUsedAt ?? null,
    UsageCount: usageCount,
  };
}
