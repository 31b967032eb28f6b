// The face of external caches: registry, local directory of the client, and inline in an image; cache mounts too.

import type { Logger } from "../../../base/log.ts";
import type { Distribution } from "../../../distribution/index.ts";
import type { Images } from "../../images/index.ts";
import type { Snapshotter } from "../../snapshots/index.ts";
import type { Store } from "../../store/index.ts";
import type { Exec } from "../exec/index.ts";
import type { BuildLayers } from "../layers/index.ts";
import type { OciImageConfig } from "../../../spec/oci/image.ts";
import type { Graph } from "../graph/index.ts";
import type { BuildCache, JobContext, Solution } from "../solver/index.ts";

export interface CacheRequest {
  readonly type: "registry" | "local" | "inline";
  readonly attributes: Readonly<Record<string, string>>;
}

export interface ExternalCaches {
  /** @throws InvalidParameter an unknown type or attribute, by name; NotImplemented gha, s3, azblob with the alternative */
  validate(imports: readonly CacheRequest[], exports: readonly CacheRequest[]): void;
  /** Offers what the caches have; one that cannot be read is a warning in the progress, not a failure. */
  import(imports: readonly CacheRequest[], job: JobContext, cache: BuildCache, signal: AbortSignal): Promise<void>;
  export(
    exports: readonly CacheRequest[],
    graph: Graph,
    solution: Solution,
    job: JobContext,
    cache: BuildCache,
    signal: AbortSignal,
  ): Promise<Readonly<Record<string, string>>>;
  /** What goes into an image's config for an inline cache; undefined when none is asked for. */
  inline(exports: readonly CacheRequest[], graph: Graph, solution: Solution, cache: BuildCache): unknown;
  /** The inline cache of an image's config. */
  readInline(config: OciImageConfig): unknown;
}

export interface ExternalCachesDeps {
  readonly layers: BuildLayers;
  readonly snapshots: Snapshotter;
  readonly distribution: Distribution;
  readonly images: Pick<Images, "layerBlob" | "publish">;
  readonly store: Store;
  readonly dataRoot: string;
  readonly mounts: Exec["mounts"];
  readonly unpackPath: string;
  readonly packPath: string;
  readonly logger: Logger;
}

export { createExternalCaches } from "./external.ts";
