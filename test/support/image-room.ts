// The image room on a data root of its own, with the real store, content and snapshots; nothing is mounted, nothing runs.

import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { silentLogger } from "../../src/base/log.ts";
import { type Distribution, createDistribution } from "../../src/distribution/index.ts";
import { type ContentStore, createContentStore } from "../../src/engine/content/index.ts";
import type { EventInput } from "../../src/engine/events/index.ts";
import { type Images, createImages } from "../../src/engine/images/index.ts";
import { type Snapshotter, createSnapshotter } from "../../src/engine/snapshots/index.ts";
import type { Store } from "../../src/engine/store/index.ts";
import { openStore } from "../../src/engine/store/open.ts";
import { packPath, unpackPath } from "./unpack-bench.ts";

export interface RoomOptions {
  /** Kept when the room is closed; without it a temporary one. */
  readonly dataRoot?: string;
  readonly maxLayerBytes?: number;
  readonly maxEntries?: number;
  /** What the store keeps to free space with; none without. */
  readonly ballastBytes?: number;
  /** Of connections to registries; 2000 without. */
  readonly stallTimeoutMs?: number;
  /** What pauses between attempts are multiplied by; 1 without. */
  readonly retryDelayScale?: number;
}

/** All parts of one data root, opened. */
export class ImageRoom {
  readonly dataRoot: string;
  readonly store: Store;
  readonly content: ContentStore;
  readonly snapshots: Snapshotter;
  readonly images: Images;
  readonly distribution: Distribution;
  readonly events: EventInput[];
  /** What ImageUsers answers for every image. */
  readonly containers: { id: string; running: boolean }[];

  private constructor(parts: Omit<ImageRoom, "load" | "reopen" | "close" | "remains">) {
    this.dataRoot = parts.dataRoot;
    this.store = parts.store;
    this.content = parts.content;
    this.snapshots = parts.snapshots;
    this.images = parts.images;
    this.distribution = parts.distribution;
    this.events = parts.events;
    this.containers = parts.containers;
  }

  static async open(options: RoomOptions = {}): Promise<ImageRoom> {
    const dataRoot = options.dataRoot ?? mkdtempSync(join(tmpdir(), "gantry-images-"));
    const logger = silentLogger;
    const events: EventInput[] = [];
    const containers: { id: string; running: boolean }[] = [];
    const store = await openStore({ directory: dataRoot, logger, ballastBytes: options.ballastBytes ?? 0 });
    const content = await createContentStore({ store, dataRoot });
    const { maxEntries, maxLayerBytes, retryDelayScale = 1 } = options;
    const snapshots = await createSnapshotter({
      store,
      dataRoot,
      logger,
      unpackPath,
      packPath,
      maxLayerBytes,
      ...(maxEntries === undefined ? {} : { maxEntries }),
    });
    const distribution = createDistribution({
      logger,
      config: () => ({
        mirrors: [],
        insecureRegistries: [],
        certsDirectories: [],
        httpProxy: "",
        httpsProxy: "",
        noProxy: "",
        userAgent: "gantry-test",
        maxAttempts: 3,
        stallTimeoutMs: options.stallTimeoutMs ?? 2000,
        retryDelayScale,
      }),
    });
    const images = await createImages({
      store,
      content,
      snapshots,
      logger,
      dataRoot,
      engineVersion: "0.0.0-test",
      distribution,
      transfers: () => ({
        maxConcurrentDownloads: 3,
        maxConcurrentUploads: 5,
        maxDownloadAttempts: 5,
        retryDelayScale,
      }),
      users: { containersOf: () => containers },
      events: { publish: (event) => void events.push(event) },
      ...(maxLayerBytes === undefined ? {} : { maxLayerBytes }),
    });
    return new ImageRoom({ dataRoot, store, content, snapshots, images, distribution, events, containers });
  }

  /** Loads an archive; the lines that `docker load` would print. */
  async load(
    archive: Uint8Array,
    options: { readonly platform?: string; readonly chunkBytes?: number } = {},
  ): Promise<string[]> {
    const said: string[] = [];
    const { platform, chunkBytes = 64 << 10 } = options;
    for await (const message of this.images.load(
      chunked(archive, chunkBytes),
      { quiet: true, platform },
      AbortSignal.timeout(120_000),
    ))
      said.push((message.stream ?? JSON.stringify(message)).trimEnd());
    return said;
  }

  /** Closes and opens again, as a restart does. */
  async reopen(): Promise<ImageRoom> {
    await this.store.close();
    return ImageRoom.open({ dataRoot: this.dataRoot });
  }

  /** Entries of tmp/, snapshots/ and the blobs. */
  remains(): { readonly tmp: string[]; readonly snapshots: string[]; readonly blobs: string[] } {
    const list = (path: string): string[] => readdirSync(join(this.dataRoot, path)).sort();
    return { tmp: list("tmp"), snapshots: list("snapshots"), blobs: list("content/blobs/sha256") };
  }

  async close(): Promise<void> {
    await this.store.close();
    rmSync(this.dataRoot, { recursive: true, force: true });
  }
}

/** A stream of an archive's bytes in pieces. */
export function chunked(bytes: Uint8Array, size: number): Readable {
  return Readable.from(
    (function* () {
      for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
    })(),
    { objectMode: false },
  );
}
