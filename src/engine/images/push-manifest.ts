// The manifest of an image that came without one (loaded, imported, committed), or whose blobs are out of reach: its layers'
// tars are compressed into content, and manifest, blobs and rows become true in one commit, before anything is uploaded. The
// next push, to wherever, sends the same bytes. A kill before the commit leaves files that the next start sweeps away.

import { type ChainId, parseDiffId } from "../../base/digest.ts";
import { EngineError } from "../../base/errors.ts";
import { failpoint } from "../../base/failpoint.ts";
import { encodeLayer } from "./compress-layer.ts";
import type { ImagesDeps } from "./images.ts";
import type { LayerEncoding } from "./index.ts";
import { type ManifestLayer, dockerLayerType, dockerManifestType, renderManifest } from "./plan-push.ts";
import type { PushShare } from "./push-slots.ts";
import { type ImageRecord, type ImageRecords, type ManifestRecord, manifestRow } from "./records.ts";

/** What every client of a registry reads. */
const gzip: LayerEncoding = { compression: "gzip", level: undefined, force: false };

/**
 * Makes a Docker schema 2 manifest and keeps it.
 *
 * @param onProgress bytes of a layer's tar that were compressed
 * @throws DataLoss the tar of a layer cannot be had; NotFound the image was deleted meanwhile; Unavailable the disk is full
 * Order: takes the snapshotter's lock for the commit.
 */
export async function makeManifest(
  deps: ImagesDeps,
  records: ImageRecords,
  share: PushShare,
  image: ImageRecord,
  onProgress: (layer: number, current: number, total: number) => void,
  signal: AbortSignal,
): Promise<ManifestRecord> {
  const { content, snapshots, store } = deps;
  const layers = await compressLayers(deps, records, share, image, onProgress, signal);
  const config = { digest: image.id, sizeBytes: content.size(image.id) ?? 0 };
  const bytes = renderManifest(config, layers);
  using _ = await snapshots.lock();
  if (records.get(image.id) === undefined) throw new EngineError("NotFound", `No such image: ${image.id}`);
  await using undo = new AsyncDisposableStack();
  const placed = await content.place(distinct(layers));
  undo.defer(() => placed.undo());
  const blob = await content.write(bytes, dockerManifestType);
  undo.defer(() => blob.undo());
  const record: ManifestRecord = {
    digest: blob.digest,
    imageId: image.id,
    mediaType: dockerManifestType,
    sizeBytes: bytes.length,
    index: undefined,
    layers,
  };
  await failpoint("images.push.manifest");
  await store.commit([...placed.changes, ...blob.changes, manifestRow(record)]);
  undo.move();
  placed.committed();
  blob.committed();
  records.putManifest(record);
  return record;
}

function distinct(layers: readonly ManifestLayer[]): readonly ManifestLayer[] {
  return [...new Map(layers.map((layer) => [layer.digest, layer])).values()];
}

/** All layers, bottom first; the first failure stops the others. */
async function compressLayers(
  deps: ImagesDeps,
  records: ImageRecords,
  share: PushShare,
  image: ImageRecord,
  onProgress: (layer: number, current: number, total: number) => void,
  signal: AbortSignal,
): Promise<readonly ManifestLayer[]> {
  const stop = new AbortController();
  const any = AbortSignal.any([signal, stop.signal]);
  const results = await Promise.allSettled(
    image.config.rootfs.diff_ids.map(async (diffId, index) => {
      try {
        const layer = { diffId: parseDiffId(diffId), chainId: image.chain[index] as ChainId };
        const report = (current: number, total: number): void => onProgress(index, current, total);
        const { digest, sizeBytes } = await encodeLayer(deps, records, share, layer, gzip, report, any);
        return { digest, sizeBytes, mediaType: dockerLayerType };
      } catch (error) {
        if (!stop.signal.aborted) stop.abort(error);
        throw error;
      }
    }),
  );
  if (stop.signal.aborted) throw stop.signal.reason;
  return results.map((result) => (result as PromiseFulfilledResult<ManifestLayer>).value);
}
