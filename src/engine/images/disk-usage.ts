// What images take on disk: unpacked layers, of which dockerd's Size, SharedSize and LayersSize speak, and beside them the
// blobs that are kept so that what was pulled is pushed byte for byte: configs, manifests, compressed layers.

import type { Digest } from "../../base/digest.ts";
import type { ContentUsage } from "../../spec/docker/disk-usage.ts";
import type { ImagesDeps } from "./images.ts";
import type { Images } from "./index.ts";
import { listImages } from "./list.ts";
import type { ImageRecord, ImageRecords } from "./records.ts";

export function measureImages(deps: ImagesDeps, records: ImageRecords): Awaited<ReturnType<Images["diskUsage"]>> {
  const images = listImages(deps, records, { all: false, filters: new Map(), sharedSize: true }, () => false);
  const all = [...records.all()];
  const layersBytes = bytesOfLayers(deps, all);
  const usedBytes = bytesOfLayers(
    deps,
    all.filter(({ id }) => deps.users.containersOf(id).length > 0),
  );
  return {
    layersBytes,
    reclaimableLayersBytes: layersBytes - usedBytes,
    images,
    content: measureContent(deps, records),
  };
}

/** Every layer of the images once. */
function bytesOfLayers({ snapshots }: ImagesDeps, images: readonly ImageRecord[]): number {
  const layers = new Set(images.flatMap(({ chain }) => chain));
  return [...layers].reduce((sum, chainId) => sum + (snapshots.has(chainId) ? snapshots.layerSize(chainId) : 0), 0);
}

function measureContent(deps: ImagesDeps, records: ImageRecords): ContentUsage {
  const all = new Set<Digest>();
  const used = new Set<Digest>();
  for (const image of records.all()) {
    const isUsed = deps.users.containersOf(image.id).length > 0;
    for (const digest of records.contentOf(image).blobs) {
      if (!deps.content.has(digest)) continue;
      all.add(digest);
      if (isUsed) used.add(digest);
    }
  }
  const bytesOf = (digests: ReadonlySet<Digest>): number =>
    [...digests].reduce((sum, digest) => sum + (deps.content.size(digest) ?? 0), 0);
  // Downloads that wait to be gone on with are in totalBytes, and no image needs them.
  const total = deps.content.totalBytes();
  return { Count: all.size, Active: used.size, Size: total, Reclaimable: total - bytesOf(used) };
}
