// A layer as registries and archives have it: compressed into an ingest, once for everybody who wants it, or a blob that is
// here already. The bytes of one tar with one compression and level are always the same.

import { createHash, randomUUID } from "node:crypto";
import { createReadStream, createWriteStream } from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { PassThrough, type Transform } from "node:stream";
import { pipeline } from "node:stream/promises";
import { constants, createGzip, createZstdCompress } from "node:zlib";
import { type ChainId, type Digest, type DiffId, parseDigest } from "../../base/digest.ts";
import { EngineError, errnoOf, isEngineError } from "../../base/errors.ts";
import type { ContentStore } from "../content/index.ts";
import type { ImagesDeps } from "./images.ts";
import type { LayerCompression, LayerEncoding } from "./index.ts";
import { findCompressed } from "./plan-push.ts";
import type { PushShare } from "./push-slots.ts";
import type { ImageRecords } from "./records.ts";

/** Default chunks of 16 KiB cost a third of the speed. */
const chunkBytes = 256 << 10;
/** Little more than half the time of zlib's default (level 6), for 6 % more bytes: as long as dockerd takes. */
const gzipLevel = 3;
const gzipMemory = 9;
const zstdLevel = 3;

export interface EncodedLayer {
  readonly digest: Digest;
  readonly sizeBytes: number;
  readonly compression: LayerCompression;
}

export interface LayerToEncode {
  readonly diffId: DiffId;
  readonly chainId: ChainId;
}

/**
 * Finds or makes a layer's blob; what is made waits as a complete ingest to be placed. An uncompressed one is the layer's tar,
 * and nothing is made.
 *
 * @param onProgress bytes of the tar that were compressed, and its length
 * @throws DataLoss the tar cannot be had; Unavailable the disk is full; Cancelled
 */
export async function encodeLayer(
  deps: ImagesDeps,
  records: ImageRecords,
  share: PushShare,
  layer: LayerToEncode,
  encoding: LayerEncoding,
  onProgress: (current: number, total: number) => void,
  signal: AbortSignal,
): Promise<EncodedLayer> {
  const { content, snapshots } = deps;
  const { compression = "gzip", level, force } = encoding;
  if (compression === "uncompressed") {
    const digest = parseDigest(layer.diffId);
    return { digest, sizeBytes: snapshots.tarBytes(layer.chainId), compression };
  }
  const key = `${layer.diffId} ${compression} ${level ?? "default"}`;
  using _ = await share.lock(`compress ${key}`, signal);
  const before = share.compressed.get(key);
  if (before !== undefined && isHere(content, before.digest)) return before;
  const accepted: readonly LayerCompression[] = encoding.compression === undefined ? ["gzip", "zstd"] : [compression];
  const diffIds = (id: Digest): readonly string[] => records.get(id)?.config.rootfs.diff_ids ?? [];
  const known =
    force && level !== undefined
      ? undefined
      : findCompressed(layer.diffId, accepted, records.manifests(), diffIds, (digest) => content.has(digest));
  if (known !== undefined) return known;
  using _slot = await share.compressions.take(signal);
  const made = await compress(deps, layer.chainId, compression, level, onProgress, signal);
  share.compressed.set(key, made);
  return made;
}

/** Whether a blob, or what will be one, is on this host. */
export function isHere(content: ContentStore, digest: Digest): boolean {
  return content.has(digest) || content.isIngested(digest);
}

function compressor(compression: "gzip" | "zstd", level: number | undefined): Transform {
  if (compression === "zstd")
    return createZstdCompress({
      chunkSize: chunkBytes,
      params: { [constants.ZSTD_c_compressionLevel]: level ?? zstdLevel },
    });
  // The header of Node's zlib has neither a time nor a name.
  return createGzip({ chunkSize: chunkBytes, level: level ?? gzipLevel, memLevel: gzipMemory });
}

/** Into a file first, because an ingest begins with its digest; then into the ingest, which verifies and syncs it. */
async function compress(
  deps: ImagesDeps,
  chainId: ChainId,
  compression: "gzip" | "zstd",
  level: number | undefined,
  onProgress: (current: number, total: number) => void,
  signal: AbortSignal,
): Promise<EncodedLayer> {
  const { content, snapshots, dataRoot } = deps;
  const total = snapshots.tarBytes(chainId);
  const path = join(dataRoot, "tmp", `${compression}-${randomUUID()}`);
  const hash = createHash("sha256");
  let current = 0;
  let sizeBytes = 0;
  try {
    const counted = new PassThrough({ highWaterMark: chunkBytes });
    counted.on("data", (chunk: Buffer) => onProgress((current += chunk.length), total));
    await pipeline(
      snapshots.tar(chainId, signal),
      counted,
      compressor(compression, level),
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
    return { digest, sizeBytes, compression };
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
