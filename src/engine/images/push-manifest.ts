// The manifest of an image that came without one (loaded, imported, committed), or whose blobs are out of reach: its layers'
// tars are compressed into content, and manifest, blobs and rows become true in one commit, before anything is uploaded. The
// next push, to wherever, sends the same bytes. A kill before the commit leaves files that the next start sweeps away.

import { createHash, randomUUID } from "node:crypto";
import { createReadStream, createWriteStream } from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createGzip } from "node:zlib";
import { type ChainId, type Digest, parseDigest } from "../../base/digest.ts";
import { EngineError, errnoOf, isEngineError } from "../../base/errors.ts";
import { failpoint } from "../../base/failpoint.ts";
import type { ContentStore } from "../content/index.ts";
import type { ImagesDeps } from "./images.ts";
import { type ManifestLayer, dockerLayerType, dockerManifestType, findGzip, renderManifest } from "./plan-push.ts";
import type { PushShare } from "./push-slots.ts";
import { type ImageRecord, type ImageRecords, type ManifestRecord, manifestRow } from "./records.ts";

/** Default chunks of 16 KiB cost a third of the speed. */
const chunkBytes = 256 << 10;
/** Little more than half the time of zlib's default (level 6), for 6 % more bytes: as long as dockerd takes. */
const gzipLevel = 3;
const gzipMemory = 9;

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
        const layer = { diffId, chainId: image.chain[index] as ChainId };
        return await findOrCompress(deps, records, share, layer, (...of) => onProgress(index, ...of), any);
      } catch (error) {
        if (!stop.signal.aborted) stop.abort(error);
        throw error;
      }
    }),
  );
  if (stop.signal.aborted) throw stop.signal.reason;
  return results.map((result) => (result as PromiseFulfilledResult<ManifestLayer>).value);
}

/** A layer that several images have is compressed once, also when they are pushed at the same time. */
async function findOrCompress(
  deps: ImagesDeps,
  records: ImageRecords,
  share: PushShare,
  layer: { readonly diffId: string; readonly chainId: ChainId },
  onProgress: (current: number, total: number) => void,
  signal: AbortSignal,
): Promise<ManifestLayer> {
  const { content } = deps;
  using _ = await share.lock(`compress ${layer.diffId}`, signal);
  const diffIds = (id: Digest): readonly string[] => records.get(id)?.config.rootfs.diff_ids ?? [];
  const before = share.compressed.get(layer.diffId);
  const known =
    findGzip(layer.diffId, records.manifests(), diffIds, (digest) => content.has(digest)) ??
    (before !== undefined && isHere(content, before.digest) ? before : undefined);
  if (known !== undefined) return { ...known, mediaType: dockerLayerType };
  using _slot = await share.compressions.take(signal);
  const made = await compress(deps, layer.chainId, onProgress, signal);
  share.compressed.set(layer.diffId, made);
  return made;
}

function isHere(content: ContentStore, digest: Digest): boolean {
  return content.has(digest) || content.isIngested(digest);
}

/** Into a file first, because an ingest begins with its digest; then into the ingest, which verifies and syncs it. */
async function compress(
  deps: ImagesDeps,
  chainId: ChainId,
  onProgress: (current: number, total: number) => void,
  signal: AbortSignal,
): Promise<ManifestLayer> {
  const { content, snapshots, dataRoot } = deps;
  const total = snapshots.tarBytes(chainId);
  const path = join(dataRoot, "tmp", `gzip-${randomUUID()}`);
  const hash = createHash("sha256");
  let current = 0;
  let sizeBytes = 0;
  try {
    const counted = new PassThrough({ highWaterMark: chunkBytes });
    counted.on("data", (chunk: Buffer) => onProgress((current += chunk.length), total));
    await pipeline(
      snapshots.tar(chainId, signal),
      counted,
      // The header of Node's zlib has neither a time nor a name.
      createGzip({ chunkSize: chunkBytes, level: gzipLevel, memLevel: gzipMemory }),
      async function* (chunks: AsyncIterable<Buffer>) {
        for await (const chunk of chunks) {
          hash.update(chunk);
          sizeBytes += chunk.length;
          yield chunk;
        }
      },
      createWriteStream(path, { mode: 0o600, flags: "wx", highWaterMark: 4 * chunkBytes }),
      { signal },
    );
    const digest = parseDigest(`sha256:${hash.digest("hex")}`);
    if (!isHere(content, digest)) await ingestFile(content, path, digest, sizeBytes);
    return { digest, mediaType: dockerLayerType, sizeBytes };
  } catch (cause) {
    if (isEngineError(cause)) throw cause;
    if (signal.aborted) throw new EngineError("Cancelled", "the push was cancelled", { cause });
    const errno = errnoOf(cause);
    const isFull = errno === "ENOSPC" || errno === "EDQUOT";
    const why = isFull ? "no space left on device; free some and push again" : String(cause);
    throw new EngineError(isFull ? "Unavailable" : "System", `compress layer ${chainId}: ${why}`, { cause });
  } finally {
    await rm(path, { force: true });
  }
}

async function ingestFile(content: ContentStore, path: string, digest: Digest, sizeBytes: number): Promise<void> {
  const ingest = await content.ingest(digest, sizeBytes);
  try {
    if (ingest.offset < sizeBytes) {
      const rest = createReadStream(path, { start: ingest.offset, highWaterMark: chunkBytes });
      for await (const chunk of rest) await ingest.write(chunk as Buffer);
    }
    await ingest.finish();
  } finally {
    await ingest.release();
  }
}
