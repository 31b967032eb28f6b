// docker system df, out of all rooms. Requests that come while one of them is being answered share its measurement: the walk over
// writable layers is the dear part. Volumes and build cache do not exist here.

import type { DiskUsage } from "../../spec/docker/disk-usage.ts";
import type { SystemPort } from "../api/ports.ts";
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
}

export function createDiskMeter(rooms: DiskMeterDeps): SystemPort["diskUsage"] {
  const images = shared(() => rooms.images.diskUsage());
  const containers = shared(() =>
    rooms.containers.list({ all: true, limit: undefined, size: true, filters: new Map() }),
  );
  return async (types): Promise<DiskUsage> => {
    const [ofImages, ofContainers] = await Promise.all([
      types.has("image") ? images() : undefined,
      types.has("container") ? containers() : null,
    ]);
    return {
      LayersSize: ofImages?.layersBytes ?? 0,
      Images: ofImages?.images ?? null,
      Containers: ofContainers,
      Volumes: types.has("volume") ? [] : null,
      BuildCache: types.has("build-cache") ? [] : null,
      ...(ofImages === undefined
        ? {}
        : { LayersReclaimable: ofImages.reclaimableLayersBytes, Content: ofImages.content }),
    };
  };
}
