// The rooms of the builder put together, and the port that the API needs of them.

import { statfsSync } from "node:fs";
import { join } from "node:path";
import { type Digest, digestOf } from "../../base/digest.ts";
import { messageOf } from "../../base/errors.ts";
import type { Logger } from "../../base/log.ts";
import type { Distribution } from "../../distribution/index.ts";
import { hostArchitecture } from "../../spec/oci/platform.ts";
import type { BuildPort } from "../api/ports.ts";
import { createAttest } from "../build/attest/index.ts";
import { createExternalCaches } from "../build/cache/index.ts";
import { ClassicDoor } from "../build/classic/classic.ts";
import { createExec, type Exec, type ExecDeps } from "../build/exec/index.ts";
import { createExporters } from "../build/export/index.ts";
import { createFiles } from "../build/files/index.ts";
import { type Builder, createBuilder } from "../build/index.ts";
import { createBuildLayers } from "../build/layers/index.ts";
import { type CacheRecords, createSolver, parseGcPolicy, type PruneCacheOptions } from "../build/solver/index.ts";
import { createSources } from "../build/sources/index.ts";
import { StatusResponse } from "../../spec/buildkit/control.ts";
import { createBuildkitDoor } from "../buildkit/index.ts";
import { renderStatus } from "../buildkit/status.ts";
import type { ContentStore } from "../content/index.ts";
import type { Images } from "../images/index.ts";
import type { Snapshotter } from "../snapshots/index.ts";
import type { Store } from "../store/index.ts";
import type { BuilderConfig } from "./builder-config.ts";
import type { Programs } from "./programs.ts";

const collectEveryMs = 600_000;

export interface BuildsDeps {
  readonly store: Store;
  readonly content: ContentStore;
  readonly snapshots: Snapshotter;
  readonly images: Images;
  readonly distribution: Distribution;
  /** What steps need to run, as containers do. */
  readonly exec: Omit<ExecDeps, "store" | "layers" | "copyTree" | "logger">;
  /** Opened before images: their layers are roots of the collection. */
  readonly records: CacheRecords;
  readonly programs: Programs;
  readonly dataRoot: string;
  /** Of the files of one layer; undefined for no limit but the disk. */
  readonly maxLayerBytes: number | undefined;
  readonly engineId: string;
  readonly engineVersion: string;
  /** The settings in force; the entitlements are those of the start. */
  config(): BuilderConfig;
  hostGatewayIp(): string;
  readonly logger: Logger;
}

export interface Builds {
  readonly port: BuildPort;
  readonly builder: Builder;
  readonly exec: Exec;
  close(): Promise<void>;
}

/** Opens the builder; its images' layers are roots of the snapshotter's collection from then on. */
export async function assembleBuilds(deps: BuildsDeps): Promise<Builds> {
  const { store, content, snapshots, images, distribution, programs, dataRoot, logger } = deps;
  const { unpack: unpackPath, pack: packPath, copy: copyPath } = programs;
  const layers = createBuildLayers({ snapshots, store });
  const files = createFiles({ layers, copyPath, unpackPath, packPath, dataRoot, maxLayerBytes: deps.maxLayerBytes });
  const { copyTree } = files;
  const onStepDropped = (id: Digest): void => {
    images.withdraw(id).catch((error: unknown) => {
      logger.error("the image of a failed step was not removed", { image: id, error: messageOf(error) });
    });
  };
  const exec = await createExec({ ...deps.exec, store, layers, copyTree, onStepDropped, logger });
  await images.provide({
    find(prefix) {
      const step = exec.findKeptStep(prefix);
      return step === undefined ? undefined : { id: digestOf(step.configBytes), configBytes: step.configBytes };
    },
  });
  const sources = await createSources({ images, layers, distribution, dataRoot, copyPath, unpackPath, logger });
  const quotaBytes = (): number => parseGcPolicy(deps.config().gc, diskBytes(dataRoot)).quotaBytes;
  const solver = await createSolver({
    store,
    snapshots,
    records: deps.records,
    layers,
    runners: { ...sources.runners, exec: exec.runner, file: files.runner, merge: files.mergeRunner },
    contentDigest: files.contentDigest,
    reclaimable: [...sources.reclaimable, exec.mounts],
    quotaBytes,
    maxParallelism: () => 0,
    dataRoot: join(dataRoot, "build"),
    logger,
  });
  const builder = await createBuilder({
    solver,
    layers,
    exporters: createExporters({
      images,
      layers,
      snapshots,
      content,
      distribution,
      copyPath,
      packPath,
      unpackPath,
      dataRoot,
      engineVersion: deps.engineVersion,
      logger,
    }),
    caches: createExternalCaches({
      layers,
      snapshots,
      images,
      store,
      dataRoot,
      distribution,
      mounts: exec.mounts,
      unpackPath,
      packPath,
      logger,
    }),
    attest: createAttest({ layers, packPath }),
    exec,
    images,
    resolveImage: sources.resolver,
    store,
    dataRoot,
    hostPlatform: { os: "linux", architecture: hostArchitecture() },
    allowedEntitlements: new Set(deps.config().entitlements),
    logger,
  });
  const door = createBuildkitDoor({
    builder,
    directories: sources.directories,
    engineVersion: deps.engineVersion,
    engineId: deps.engineId,
    hostGatewayIp: () => deps.hostGatewayIp(),
    quotaBytes,
    runners: sources.runners,
    resolveImage: sources.resolver,
    logger,
  });
  const classic = new ClassicDoor({
    builder,
    session: (id, signal) => door.sessions.client(id, signal),
    renderTraces: (events) => renderStatus(events).map((message) => StatusResponse.encode(message)),
    dataRoot,
    unpackPath,
  });
  const collecting = collectByRules(builder, () => parseGcPolicy(deps.config().gc, diskBytes(dataRoot)).rules, logger);
  return {
    port: portOf(builder, classic, door),
    builder,
    exec,
    close: async () => {
      collecting[Symbol.dispose]();
      await builder.close();
      await door.close();
      await exec.close();
    },
  };
}

/** The rules of the configuration, now and then; what the quota does happens with every step. */
function collectByRules(builder: Builder, rules: () => readonly PruneCacheOptions[], logger: Logger): Disposable {
  const stop = new AbortController();
  const collect = async (): Promise<void> => {
    for (const rule of rules()) {
      const { removed, freedBytes } = await builder.cache.prune(rule, stop.signal);
      if (removed.length > 0) logger.info("build cache collected", { records: removed.length, bytes: freedBytes });
    }
  };
  const timer = setInterval(() => {
    collect().catch((error: unknown) => logger.error("build cache not collected", { error: messageOf(error) }));
  }, collectEveryMs);
  timer.unref();
  return {
    [Symbol.dispose]: () => {
      clearInterval(timer);
      stop.abort();
    },
  };
}

function diskBytes(path: string): number {
  const { blocks, bsize } = statfsSync(path);
  return blocks * bsize;
}

function portOf(builder: Builder, classic: ClassicDoor, door: ReturnType<typeof createBuildkitDoor>): BuildPort {
  return {
    build: (request, body, signal) => classic.build(request, body, signal),
    cancel: (buildId) => classic.cancel(buildId),
    prune: async ({ all, filters, reservedSpace, maxUsedSpace, minFreeSpace }, signal) => {
      const { removed, freedBytes } = await builder.cache.prune(
        {
          all,
          filters,
          reservedBytes: reservedSpace,
          maxUsedBytes: maxUsedSpace,
          minFreeBytes: minFreeSpace,
          keepDurationMs: 0,
        },
        signal,
      );
      return { CachesDeleted: removed.map(({ id }) => id), SpaceReclaimed: freedBytes };
    },
    serveGrpc: (connection) => door.serveGrpc(connection),
    serveSession: (connection, headers) => door.serveSession(connection, headers),
  };
}
