// A layer's blob for whoever sends it somewhere (build's archives and pushes): encoded, held while it is read, and deleted
// afterwards when no manifest took it over.

import { setTimeout as sleep } from "node:timers/promises";
import type { Digest } from "../../base/digest.ts";
import { isEngineError } from "../../base/errors.ts";
import type { ContentStore } from "../content/index.ts";
import { type LayerToEncode, encodeLayer } from "./compress-layer.ts";
import type { ImagesDeps } from "./images.ts";
import type { LayerBlob, LayerEncoding } from "./index.ts";
import { deleteIngest } from "./kept-blobs.ts";
import type { PushShare } from "./push-slots.ts";
import type { ImageRecords } from "./records.ts";
import { useContent } from "./use.ts";

/** Somebody else has the blob open for a moment. */
const waitForIngestMs = 20;

/** See Images.layerBlob. */
export async function openLayerBlob(
  deps: ImagesDeps,
  records: ImageRecords,
  share: PushShare,
  layer: LayerToEncode,
  encoding: LayerEncoding,
  onProgress: (current: number, total: number) => void,
  signal: AbortSignal,
): Promise<LayerBlob> {
  const { content, snapshots } = deps;
  await using held = new AsyncDisposableStack();
  held.use(useContent(deps, records, { top: layer.chainId, blobs: [] }));
  const encoded = await encodeLayer(deps, records, share, layer, encoding, onProgress, signal);
  const { digest, sizeBytes, compression } = encoded;
  held.use(useContent(deps, records, { top: undefined, blobs: [digest] }));
  held.use(holdIngest(content, share, digest, sizeBytes));
  const releases = held.move();
  return {
    digest,
    sizeBytes,
    compression,
    open: (offset, signal) =>
      content.has(digest) || content.isIngested(digest)
        ? readBlob(content, digest, sizeBytes, offset, signal)
        : from(snapshots.tar(layer.chainId, signal) as AsyncIterable<Uint8Array>, offset),
    [Symbol.asyncDispose]: () => releases.disposeAsync(),
  };
}

/** The last one who lets go of a blob that is no image's deletes it. */
function holdIngest(content: ContentStore, share: PushShare, digest: Digest, sizeBytes: number): AsyncDisposable {
  share.ingestUsers.set(digest, (share.ingestUsers.get(digest) ?? 0) + 1);
  return {
    [Symbol.asyncDispose]: async () => {
      const left = (share.ingestUsers.get(digest) ?? 1) - 1;
      if (left > 0) {
        share.ingestUsers.set(digest, left);
        return;
      }
      share.ingestUsers.delete(digest);
      if (!content.isIngested(digest)) return;
      try {
        await deleteIngest(await content.ingest(digest, sizeBytes));
      } catch (error) {
        // Somebody else wants it now.
        if (!isEngineError(error, "Conflict")) throw error;
      }
    },
  };
}

async function* readBlob(
  content: ContentStore,
  digest: Digest,
  sizeBytes: number,
  offset: number,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  for (;;) {
    if (content.has(digest)) {
      yield* (await content.open(digest, offset)) as AsyncIterable<Uint8Array>;
      return;
    }
    try {
      const ingest = await content.ingest(digest, sizeBytes);
      const chunks = ingest.follow(signal)[Symbol.asyncIterator]();
      let next: IteratorResult<Uint8Array>;
      try {
        // From its first step on, a follower keeps the file open.
        next = await chunks.next();
      } finally {
        await ingest.release();
      }
      yield* from(resume(next, chunks), offset);
      return;
    } catch (error) {
      if (!isEngineError(error, "Conflict")) throw error;
    }
    await sleep(waitForIngestMs, undefined, { signal });
  }
}

async function* resume(first: IteratorResult<Uint8Array>, rest: AsyncIterator<Uint8Array>): AsyncGenerator<Uint8Array> {
  try {
    for (let next = first; next.done !== true; next = await rest.next()) yield next.value;
  } finally {
    await rest.return?.();
  }
}

/** Without the first `offset` bytes. */
async function* from(chunks: AsyncIterable<Uint8Array>, offset: number): AsyncGenerator<Uint8Array> {
  let skip = offset;
  for await (const chunk of chunks) {
    if (skip < chunk.length) yield chunk.subarray(skip);
    skip = Math.max(0, skip - chunk.length);
  }
}
