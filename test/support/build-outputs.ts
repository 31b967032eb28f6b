// Outputs of builds over the real image room, without a builder: layers are unpacked from tars, images described by hand, and
// what the client gets is kept in memory or in a directory.

import { execFileSync } from "node:child_process";
import { PassThrough, type Readable, type Writable } from "node:stream";
import { parseDiffId, chainIdsOf, type DiffId } from "../../src/base/digest.ts";
import { silentLogger } from "../../src/base/log.ts";
import type { Attestation } from "../../src/engine/build/attest/index.ts";
import type { BuildClient } from "../../src/engine/build/client.ts";
import {
  type BuiltImage,
  type Exporters,
  type OutputRequest,
  createExporters,
} from "../../src/engine/build/export/index.ts";
import { createBuildLayers } from "../../src/engine/build/layers/index.ts";
import type { BuildEvent, BuildProgress, VertexReporter } from "../../src/engine/build/progress.ts";
import type { JobContext } from "../../src/engine/build/solver/index.ts";
import type { Platform } from "../../src/spec/oci/image.ts";
import { sha256 } from "./image-archives.ts";
import type { ImageRoom } from "./image-room.ts";
import { chunked } from "./image-room.ts";
import { packPath, unpackPath } from "./unpack-bench.ts";

export const amd64: Platform = { os: "linux", architecture: "amd64" };
export const arm64: Platform = { os: "linux", architecture: "arm64" };

/** What a client was sent. */
export class OutputClient {
  readonly streams = new Map<number, Buffer>();
  readonly blobs = new Map<string, Buffer>();
  /** Lists of files ("path mode size content-hash") of each directory that was sent. */
  readonly directories = new Map<number, string>();
  readonly asked: string[] = [];
  /** Throws in place of a stream. */
  failure: Error | undefined;

  readonly client: BuildClient = {
    sessionId: "test",
    credentials: (host: string) => {
      this.asked.push(host);
      return Promise.resolve(undefined);
    },
    sendStream: (index: number): Promise<Writable> => {
      if (this.failure !== undefined) return Promise.reject(this.failure);
      const chunks: Buffer[] = [];
      const stream = new PassThrough();
      stream.on("data", (chunk: Buffer) => chunks.push(chunk));
      stream.on("end", () => this.streams.set(index, Buffer.concat(chunks)));
      return Promise.resolve(stream);
    },
    sendDirectory: (index: number, path: string, progress: (bytes: number) => void) => {
      const script =
        'cd "$1" && find . -printf "%P %y %m %U:%G %T@ %s %l\\n" | LC_ALL=C sort && find . -type f -exec sha256sum {} + | LC_ALL=C sort -k2';
      this.directories.set(index, execFileSync("bash", ["-c", script, "_", path], { encoding: "utf8" }));
      progress(1);
      return Promise.resolve();
    },
    contentStore: () => ({
      write: async (digest: string, _size: number, data: Readable) => {
        this.blobs.set(digest, Buffer.concat((await data.toArray()) as Buffer[]));
      },
    }),
  } as unknown as BuildClient;
}

/** Collects events. */
export class CollectedProgress {
  readonly events: BuildEvent[] = [];
  readonly progress: BuildProgress = {
    emit: (event: BuildEvent) => void this.events.push(event),
    vertex: async <T>(
      vertex: { readonly digest: string; readonly name: string },
      work: (report: VertexReporter) => Promise<T>,
    ): Promise<T> => {
      this.lines.push(vertex.name);
      return work({
        digest: vertex.digest,
        log: () => undefined,
        status: (id, _current, _total, done) => {
          if (done) this.lines.push(id);
        },
      });
    },
  } as unknown as BuildProgress;
  /** Names of vertices, and of statuses that are done. */
  readonly lines: string[] = [];

  get warnings(): string[] {
    return this.events.flatMap((event) => (event.kind === "warning" ? [event.short] : []));
  }
}

/** Unpacks tars as a chain of layers, bottom first; they stay while the result is held. */
export async function layersOf(room: ImageRoom, ...tars: readonly Uint8Array[]): Promise<readonly DiffId[]> {
  const diffIds: DiffId[] = [];
  for (const tar of tars) {
    const diffId = parseDiffId(`sha256:${sha256(tar)}`);
    await room.snapshots.unpack(
      chainIdsOf(diffIds).at(-1),
      diffId,
      chunked(tar, 64 << 10),
      AbortSignal.timeout(60_000),
    );
    diffIds.push(diffId);
  }
  return diffIds;
}

export function imageOf(
  layers: readonly DiffId[],
  options: { readonly platform?: Platform; readonly attestations?: readonly Attestation[] } = {},
): BuiltImage {
  const { platform = amd64, attestations = [] } = options;
  const created = "2023-11-14T22:13:20Z";
  return {
    platform,
    layers,
    attestations,
    config: {
      ...platform,
      created,
      config: { Cmd: ["/a"], Labels: { made: "by a test" } },
      rootfs: { type: "layers", diff_ids: layers },
      history: layers.map((_, index) => ({ created, created_by: `step ${index}`, comment: "buildkit.dockerfile.v0" })),
    },
  };
}

export function output(type: string, attributes: Readonly<Record<string, string>> = {}, index = 0): OutputRequest {
  return { type: type as OutputRequest["type"], attributes, index };
}

export interface Exported {
  readonly response: Readonly<Record<string, string>>;
  readonly imageIds: readonly string[];
  readonly client: OutputClient;
  readonly told: CollectedProgress;
}

export function exportersOf(room: ImageRoom): Exporters {
  const { content, dataRoot, distribution, images, snapshots, store } = room;
  return createExporters({
    images,
    content,
    dataRoot,
    distribution,
    snapshots,
    layers: createBuildLayers({ snapshots, store }),
    packPath,
    unpackPath,
    copyPath: "",
    engineVersion: "0.0.0-test",
    logger: silentLogger,
  });
}

export async function exportImages(
  room: ImageRoom,
  images: readonly BuiltImage[],
  outputs: readonly OutputRequest[],
  options: { readonly epoch?: number; readonly client?: OutputClient; readonly told?: CollectedProgress } = {},
): Promise<Exported> {
  const { client = new OutputClient(), told = new CollectedProgress() } = options;
  const job: JobContext = {
    ref: "test",
    client: client.client,
    progress: told.progress,
    entitlements: new Set(),
    clampTimes: undefined,
    keepFailed: false,
  };
  const result = await exportersOf(room).export(
    images,
    outputs,
    job,
    { sourceDateEpoch: options.epoch, inlineCache: undefined },
    AbortSignal.timeout(120_000),
  );
  return { ...result, client, told };
}
