// The face of the registry room: a registry of its own (OCI Distribution 1.1), in a process of its own, on a data directory of
// its own, or in front of another registry as a cache of it. Layout, flags and promises: docs/registry.md.
// Invariants: a blob or manifest that was acknowledged is on disk, whole, under the digest of its bytes; what a request may not
// read it cannot learn of; nothing of a collection is visible to a push under way.

import { messageOf } from "../base/errors.ts";
import type { Logger } from "../base/log.ts";
import { type AuthOptions, createAuth } from "./auth/index.ts";
import { requestCollection, serveControl } from "./control.ts";
import type { Service } from "./handlers/service.ts";
import { listen, type Listening, type ListenOptions } from "./http/listen.ts";
import { createListener } from "./http/requests.ts";
import { createMetrics } from "./metrics.ts";
import { createMirror, type MirrorOptions } from "./mirror/index.ts";
import { type Collected, openStorage, type Storage } from "./storage/index.ts";

export type { Collected } from "./storage/index.ts";

export interface CollectionOptions {
  /** Between two collections; 0 for none but those that are asked for. */
  readonly intervalMs: number;
  /** What a push relied on in the last so long is kept. */
  readonly graceMs: number;
  readonly untagged: boolean;
}

export interface RegistryOptions {
  readonly directory: string;
  readonly listen: ListenOptions;
  readonly auth: AuthOptions;
  readonly readOnly: boolean;
  readonly allowDelete: boolean;
  readonly maxUploadBytes: number;
  /** Uploads that nobody goes on with for so long are swept. */
  readonly uploadExpiryMs: number;
  readonly collection: CollectionOptions;
  /** undefined for a registry that is no cache. */
  readonly mirror:
    | (MirrorOptions & { /** Manifests that nobody asks for in so long go; 0 keeps all. */ readonly keepMs: number })
    | undefined;
  /** "https://registry.example.com": how clients reach the server through a proxy; undefined: as they called it. */
  readonly externalUrl: string | undefined;
  readonly logger: Logger;
}

export interface RegistryServer {
  /** "http://127.0.0.1:5000" */
  readonly url: string;
  /** Reads certificates again. Password, access and key files are read when they change. */
  reload(): void;
  collect(): Promise<Collected>;
  /** Answers what is under way, at most so long, and lets go of the data directory. */
  close(graceMs: number): Promise<void>;
}

const sweepMs = 10 * 60_000;

/** Runs collections by themselves and on demand. */
function scheduleCollections(
  options: RegistryOptions,
  storage: Storage,
  service: Service,
): { collect(): Promise<Collected>; stop(): Promise<void> } {
  const { collection, logger, mirror, uploadExpiryMs } = options;
  let running: Promise<unknown> = Promise.resolve();

  const collect = async (): Promise<Collected> => {
    const started = performance.now();
    const pending = storage.collect({
      nowMs: Date.now(),
      graceMs: collection.graceMs,
      uploadExpiryMs,
      untagged: collection.untagged && mirror === undefined,
      unusedMs: mirror === undefined || mirror.keepMs === 0 ? undefined : mirror.keepMs,
    });
    running = pending.catch(() => undefined);
    const collected = await pending;
    const seconds = (performance.now() - started) / 1000;
    service.metrics.countCollection(collected, seconds);
    logger.info("garbage collected", { ...collected, seconds: Math.round(seconds * 1000) / 1000 });
    return collected;
  };
  const background = (what: string, work: () => Promise<unknown>): (() => void) => {
    return () => void work().catch((error: unknown) => logger.error(`${what} failed`, { error: messageOf(error) }));
  };
  const sweep = background("the sweep of uploads", () => storage.uploads.sweep(Date.now() - uploadExpiryMs));
  sweep();
  // A timer takes at most 2^31 - 1 ms.
  const timers = [setInterval(sweep, Math.max(1000, Math.min(sweepMs, uploadExpiryMs))).unref()];
  if (collection.intervalMs > 0)
    timers.push(
      setInterval(background("garbage collection", collect), Math.min(collection.intervalMs, 2 ** 31 - 1)).unref(),
    );
  return {
    collect,
    async stop() {
      for (const timer of timers) clearInterval(timer);
      await running;
    },
  };
}

/**
 * Opens the data directory and serves it.
 *
 * @throws Conflict         another registry has the directory, or the address is taken
 * @throws InvalidParameter files or options that cannot be used
 */
export async function createRegistry(options: RegistryOptions): Promise<RegistryServer> {
  const { directory, logger } = options;
  const storage = openStorage(directory);
  await using undo = new AsyncDisposableStack();
  undo.defer(() => storage.close());
  const mirror = options.mirror === undefined ? undefined : createMirror(options.mirror, storage, logger);
  if (mirror !== undefined) undo.defer(() => mirror.close());
  const service: Service = {
    storage,
    auth: createAuth(options.auth, directory, logger),
    policy: {
      readOnly: options.readOnly,
      allowDelete: options.allowDelete,
      maxUploadBytes: options.maxUploadBytes,
      graceMs: options.collection.graceMs,
      externalUrl: options.externalUrl,
    },
    metrics: createMetrics(),
    mirror,
  };
  const collections = scheduleCollections(options, storage, service);
  undo.defer(() => collections.stop());
  undo.defer(await serveControl(directory, () => collections.collect(), logger));
  const listening: Listening = await listen(options.listen, createListener(service, logger), logger);
  const kept = undo.move();
  return {
    url: listening.url,
    reload: () => listening.reload(),
    collect: () => collections.collect(),
    async close(graceMs) {
      await listening.close(graceMs);
      await kept.disposeAsync();
    },
  };
}

/**
 * Collects garbage of a data directory: by the server that runs on it, or here when there is none.
 *
 * @throws Conflict a server has the directory and cannot be asked
 */
export async function collectRegistry(
  directory: string,
  options: Pick<CollectionOptions, "graceMs" | "untagged"> & { readonly uploadExpiryMs: number },
): Promise<Collected> {
  const collected = await requestCollection(directory);
  if (collected !== undefined) return collected;
  const storage = openStorage(directory);
  try {
    return await storage.collect({ ...options, nowMs: Date.now(), unusedMs: undefined });
  } finally {
    storage.close();
  }
}
