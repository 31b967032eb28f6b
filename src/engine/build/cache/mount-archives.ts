// Cache mounts that travel with an external cache: each a tar, compressed with zstd. Steps wrote them, so that their tar is made and
// taken apart by the confined helpers, as layers are. A mount that is here already is left alone.

import { createHash, randomUUID } from "node:crypto";
import { createReadStream, createWriteStream } from "node:fs";
import { mkdir, readdir, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { createZstdCompress } from "node:zlib";
import { type Digest, parseDigest } from "../../../base/digest.ts";
import { openCompressed } from "../../images/compression.ts";
import { layerQuota } from "../../images/layer-quota.ts";
import { packTar } from "../../snapshots/packer.ts";
import { unpackTar } from "../../snapshots/unpacker.ts";
import type { Graph } from "../graph/index.ts";
import type { MountLocation } from "./cache-config.ts";
import type { ExternalCachesDeps } from "./index.ts";
import type { CacheRemote } from "./remote.ts";

const chunkBytes = 256 << 10;
const maxEntries = 2_000_000;
const maxDepth = 1024;

/** A mount's archive in a file; deleted when disposed of. */
export interface MountArchive extends AsyncDisposable {
  readonly id: string;
  readonly digest: Digest;
  readonly sizeBytes: number;
  open(offset: number): AsyncIterable<Uint8Array>;
}

/** Ids of the cache mounts that a graph's steps have. */
export function mountIdsOf(graph: Graph): readonly string[] {
  const ids = new Set<string>();
  for (const { op } of graph.vertices.values())
    if (op.kind === "exec") for (const mount of op.mounts) if (mount.type === "cache") ids.add(mount.id);
  return [...ids].sort();
}

/** @returns undefined when there is no such mount */
export async function archiveMount(
  deps: ExternalCachesDeps,
  id: string,
  signal: AbortSignal,
): Promise<MountArchive | undefined> {
  using held = await deps.mounts.hold(id, signal);
  if (held === undefined) return undefined;
  const directory = join(deps.dataRoot, "tmp");
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const path = join(directory, `cache-mount-${randomUUID()}`);
  const hash = createHash("sha256");
  let sizeBytes = 0;
  try {
    const run = { args: ["export", held.path], subject: `cache mount ${id}`, kind: "System" } as const;
    await pipeline(
      packTar(deps.packPath, run, signal),
      createZstdCompress({ chunkSize: chunkBytes }),
      async function* (chunks: AsyncIterable<Buffer>) {
        for await (const chunk of chunks) {
          hash.update(chunk);
          sizeBytes += chunk.length;
          yield chunk;
        }
      },
      createWriteStream(path, { mode: 0o600, flags: "wx" }),
      { signal },
    );
  } catch (error) {
    await rm(path, { force: true });
    throw error;
  }
  return {
    id,
    sizeBytes,
    digest: parseDigest(`sha256:${hash.digest("hex")}`),
    open: (offset) => createReadStream(path, { start: offset, highWaterMark: chunkBytes }),
    [Symbol.asyncDispose]: () => rm(path, { force: true }),
  };
}

/** Fills a mount that is not here. @returns whether it did */
export async function fillMount(
  deps: ExternalCachesDeps,
  remote: CacheRemote,
  { id, ...blob }: MountLocation,
  signal: AbortSignal,
): Promise<boolean> {
  const fill = async (target: string): Promise<void> => {
    // Beside it, so that files need only be renamed.
    const staging = join(deps.dataRoot, "tmp", `cache-mount-${randomUUID()}`);
    await mkdir(join(staging, "fs"), { recursive: true, mode: 0o700 });
    try {
      const limits = { entries: maxEntries, depth: maxDepth, bytes: await layerQuota({ dataRoot: deps.dataRoot }) };
      const tar = await openCompressed(verified(remote.open(blob, signal), blob.digest));
      const unpacked = await unpackTar(deps.unpackPath, tar, staging, limits, signal);
      await unpacked.synced;
      for (const name of await readdir(join(staging, "fs"), { encoding: "buffer" })) {
        const from = Buffer.concat([Buffer.from(`${join(staging, "fs")}/`), name]);
        await rename(from, Buffer.concat([Buffer.from(`${target}/`), name]));
      }
    } finally {
      await rm(staging, { recursive: true, force: true });
    }
  };
  return deps.mounts.fill(id, fill, signal);
}

async function* verified(chunks: AsyncIterable<Uint8Array>, digest: Digest): AsyncGenerator<Uint8Array> {
  const hash = createHash("sha256");
  for await (const chunk of chunks) {
    hash.update(chunk);
    yield chunk;
  }
  if (`sha256:${hash.digest("hex")}` !== digest) throw new Error(`blob ${digest} is not what its digest says`);
}
