// External caches: what a build takes from other hosts' builds, and leaves to them. Keys of records mean the same on every host; see
// solver/keys.ts.

import { digestOf } from "../../../base/digest.ts";
import { messageOf } from "../../../base/errors.ts";
import { renderReference } from "../../../base/reference.ts";
import type { OciImageConfig } from "../../../spec/oci/image.ts";
import type { Graph } from "../graph/index.ts";
import type { BuildCache, JobContext, Solution } from "../solver/index.ts";
import { type CacheExport, type CacheImport, parseCacheExport, parseCacheImport } from "./attributes.ts";
import { renderCacheConfig } from "./cache-config.ts";
import { exportCache } from "./export-cache.ts";
import { inlineMember, offersOf, readCache } from "./import-cache.ts";
import type { CacheRequest, ExternalCaches, ExternalCachesDeps } from "./index.ts";
import { fillMount } from "./mount-archives.ts";
import { localRemote, registryRemote } from "./remote.ts";

/** See ExternalCaches. */
export function createExternalCaches(deps: ExternalCachesDeps): ExternalCaches {
  return new EngineCaches(deps);
}

class EngineCaches implements ExternalCaches {
  readonly #deps: ExternalCachesDeps;

  constructor(deps: ExternalCachesDeps) {
    this.#deps = deps;
  }

  validate(imports: readonly CacheRequest[], exports: readonly CacheRequest[]): void {
    for (const request of imports) parseCacheImport(request);
    for (const request of exports) parseCacheExport(request);
  }

  async import(
    imports: readonly CacheRequest[],
    job: JobContext,
    cache: BuildCache,
    signal: AbortSignal,
  ): Promise<void> {
    const parsed = imports.map((request) => parseCacheImport(request)).filter((source) => source !== undefined);
    await Promise.all(parsed.map((source, index) => this.#importOne(source, index, job, cache, signal)));
  }

  async #importOne(
    source: CacheImport,
    index: number,
    job: JobContext,
    cache: BuildCache,
    signal: AbortSignal,
  ): Promise<void> {
    const from = source.type === "registry" ? renderReference(source.named) : source.store;
    const name = `importing cache manifest from ${from}`;
    try {
      await job.progress.vertex({ digest: digestOf(`${name} ${index}`), name }, async (report) => {
        const { distribution } = this.#deps;
        const remote =
          source.type === "registry"
            ? await registryRemote(distribution, source.named, job.client, signal)
            : localRemote(job.client, source.store, source.digest);
        const documents = await readCache(remote, signal);
        if (documents.length === 0)
          report.log(
            2,
            Buffer.from(`${from} has no cache that this builder can use: it has none, or another builder's\n`),
          );
        for (const document of documents) {
          cache.offer(job, offersOf(this.#deps, remote, document));
          if (source.fillMounts)
            for (const mount of document.mounts)
              if (await fillMount(this.#deps, remote, mount, signal))
                report.status(`filling cache mount ${mount.id}`, mount.sizeBytes, mount.sizeBytes, true);
        }
      });
    } catch (error) {
      if (signal.aborted) throw error;
      // The vertex told it; the build goes on without.
      this.#deps.logger.warn("an external cache was not imported", { from, error: messageOf(error) });
    }
  }

  async export(
    exports: readonly CacheRequest[],
    graph: Graph,
    solution: Solution,
    job: JobContext,
    cache: BuildCache,
    signal: AbortSignal,
  ): Promise<Readonly<Record<string, string>>> {
    const response: Record<string, string> = {};
    for (const [index, request] of exports.entries()) {
      const target = parseCacheExport(request);
      // The exporter of the image puts it into the config.
      if (target.type === "inline") continue;
      const manifest = await this.#exportOne(target, index, { graph, solution, job, cache }, signal);
      if (manifest !== undefined) response["cache.manifest"] = manifest;
    }
    return response;
  }

  async #exportOne(
    target: Exclude<CacheExport, { type: "inline" }>,
    index: number,
    build: {
      readonly graph: Graph;
      readonly solution: Solution;
      readonly job: JobContext;
      readonly cache: BuildCache;
    },
    signal: AbortSignal,
  ): Promise<string | undefined> {
    const { graph, solution, job, cache } = build;
    const name = target.type === "registry" ? "exporting cache to registry" : "exporting cache to client directory";
    const records = cache.exportRecords(graph, solution, target.mode);
    try {
      return await job.progress.vertex({ digest: digestOf(`${name} ${index}`), name }, (report) =>
        exportCache(this.#deps, target, records, graph, job, report, signal),
      );
    } catch (error) {
      if (signal.aborted || !target.ignoreError) throw error;
      this.#deps.logger.warn("an external cache was not exported", { error: messageOf(error) });
      return undefined;
    }
  }

  inline(exports: readonly CacheRequest[], graph: Graph, solution: Solution, cache: BuildCache): unknown {
    if (!exports.some((request) => parseCacheExport(request).type === "inline")) return undefined;
    const records = cache.exportRecords(graph, solution, "min");
    return renderCacheConfig({ records, locations: new Map(), mounts: [] }).toString("base64");
  }

  readInline(config: OciImageConfig): unknown {
    return (config as OciImageConfig & { readonly [inlineMember]?: unknown })[inlineMember];
  }
}
