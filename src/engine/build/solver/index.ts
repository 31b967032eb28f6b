// The face of the solver: graph → snapshots. Keys by definition first, by content where that decides; ready steps in parallel; the
// same step of several builds runs once; what was solved is remembered within a quota.

import type { ChainId, DiffId, Digest } from "../../../base/digest.ts";
import type { Logger } from "../../../base/log.ts";
import type { Snapshotter } from "../../snapshots/index.ts";
import type { Store } from "../../store/index.ts";
import type { BuildClient } from "../client.ts";
import type { Graph, Op, SourceOp, Vertex } from "../graph/index.ts";
import type { BuildLayers } from "../layers/index.ts";
import type { BuildProgress, VertexReporter } from "../progress.ts";
import type { SourceDirectory } from "../sources/index.ts";
import type { CacheRecords } from "./records.ts";

/** What an op made: layers, bottom first, or a directory of a source. */
export type Snapshot =
  | { readonly kind: "layers"; readonly layers: readonly DiffId[] }
  | { readonly kind: "directory"; readonly directory: SourceDirectory };

/** What all steps of one build share. */
export interface JobContext {
  readonly ref: string;
  readonly client: BuildClient;
  readonly progress: BuildProgress;
  /** "network.host", "security.insecure" and what else the request and the daemon allow. */
  readonly entitlements: ReadonlySet<string>;
  /** Seconds since 1970: times of files that steps make are set to at most this; undefined leaves them. */
  readonly clampTimes: number | undefined;
  /** Files of a failed step are kept for a shell. */
  readonly keepFailed: boolean;
  /** Layers of the base images, kept while the job lasts: the images themselves may be deleted meanwhile. */
  readonly baseLayers?: ReadonlyMap<Digest, readonly DiffId[]>;
}

export interface RunContext {
  readonly job: JobContext;
  readonly vertex: Vertex;
  readonly report: VertexReporter;
}

export type SourceOpKind = SourceOp["kind"];

/** Carries out one kind of op. */
export interface OpRunner {
  /**
   * What identifies the op's result beside its definition: an image's id, a commit, a download's ETag. undefined: only its
   * content does (local). Ops that are no source return their definition's own part ("").
   */
  key(op: Op, job: JobContext, signal: AbortSignal): Promise<string | undefined>;
  /**
   * @param inputs snapshots of the vertex's inputs, held
   * @throws EngineError what went wrong, in the words that a user understands; StepFailed for an exit code
   */
  run(op: Op, inputs: readonly Snapshot[], context: RunContext, signal: AbortSignal): Promise<Snapshot>;
  /** An input that is only read, where the result depends on what of it? undefined: on all of it, by definition. */
  selector?(op: Op, input: number): Selector | undefined;
}

/** The part of an input that an op reads: its content digest can stand for the input's key. */
export interface Selector {
  readonly sources: readonly {
    readonly path: string;
    readonly allowWildcard: boolean;
    readonly followLinks: boolean;
    readonly parents: boolean;
    readonly exclude: readonly string[];
  }[];
}

/** Digest of what a selector selects: types, modes, ids, link targets, xattrs, data; never times. */
export type ContentDigester = (snapshot: Snapshot, selector: Selector, signal: AbortSignal) => Promise<Digest>;

/** A solved vertex. */
export interface Solved {
  readonly snapshot: Snapshot;
  /** Of the cache record that it is, or became: the key that later steps build upon. */
  readonly recordId: string;
  readonly cached: boolean;
  /** RFC 3339: when its record was made; rebuilt from cache it stays. */
  readonly createdAt: string;
}

/** Holds everything that was solved until disposed: no collection touches it. */
export interface Solution extends AsyncDisposable {
  /**
   * Of a vertex between, whose layers nobody needed, `snapshot` names layers that may not be here; targets' are. undefined: it was
   * not looked at, or it is a source that was not fetched.
   */
  get(vertex: Digest): Solved | undefined;
}

export interface Solver {
  /**
   * Solves what `targets` need. Steps that another build runs at this moment are waited for; aborting stops those that nobody else waits for.
   *
   * @throws VertexFailed the first failure; the others are stopped, and have ended
   * @throws Cancelled    the signal was aborted
   */
  solve(graph: Graph, targets: readonly Digest[], job: JobContext, signal: AbortSignal): Promise<Solution>;
  readonly cache: BuildCache;
}

/** A line of `docker builder du` and what prune removes. Source: Engine API 1.51, BuildCache. */
export interface CacheEntry {
  readonly id: string;
  readonly parents: readonly string[];
  readonly type: "regular" | "internal" | "frontend" | "source.local" | "source.git.checkout" | "exec.cachemount";
  readonly description: string;
  readonly inUse: boolean;
  /** Its bytes are an image's as well: removing it frees nothing. */
  readonly shared: boolean;
  readonly sizeBytes: number;
  readonly createdAt: string;
  readonly lastUsedAt: string | undefined;
  readonly usageCount: number;
}

/** Anything that keeps bytes which can be made again. */
export interface ReclaimableStore {
  list(): Promise<readonly CacheEntry[]>;
  /** @returns bytes freed; 0 when it is in use by now */
  remove(id: string): Promise<number>;
}

export interface PruneCacheOptions {
  readonly all: boolean;
  /** Docker's filters: until, id, parent, type, description, inuse, shared, private; values joined by or, keys by and. */
  readonly filters: ReadonlyMap<string, readonly string[]>;
  /** Bytes to keep whatever it costs; bytes to be below in any case; bytes of the disk to leave free. 0: no such bound. */
  readonly reservedBytes: number;
  readonly maxUsedBytes: number;
  readonly minFreeBytes: number;
  readonly keepDurationMs: number;
}

export interface BuildCache {
  entries(): Promise<readonly CacheEntry[]>;
  /** Removes and says what and why. */
  prune(
    options: PruneCacheOptions,
    signal: AbortSignal,
  ): Promise<{ readonly removed: readonly (CacheEntry & { readonly reason: string })[]; readonly freedBytes: number }>;
  /** Chain tops of all records, for the collection of layers. */
  tops(): readonly ChainId[];
  /**
   * What is known of a graph before anything is done, by definitions alone: true, a record is there; false, the step would run;
   * undefined, only content or the world tells. Vertices of which nothing can be said at all are left out.
   */
  known(graph: Graph, clampTimes: number | undefined): ReadonlyMap<Digest, boolean | undefined>;
  /** Looks a key up; for import and export of caches. */
  exportRecords(graph: Graph, solution: Solution, mode: "min" | "max"): readonly CacheRecordExport[];
  /** Keys that an external cache offers to this job; layers are fetched when a record is used. */
  offer(job: JobContext, records: readonly CacheRecordOffer[]): void;
  /** Invariants for `system check`. */
  check(
    repair: boolean,
  ): Promise<readonly { readonly subject: string; readonly detail: string; readonly repaired: boolean }[]>;
}

export interface CacheRecordExport {
  readonly id: string;
  /** Every key under which it is found. */
  readonly keys: readonly string[];
  readonly layers: readonly DiffId[];
  readonly createdAt: string;
  readonly description: string;
  /** False: only its keys and what its layers are is told (mode=min); whoever needs its files makes them. */
  readonly hasLayers: boolean;
}
export interface CacheRecordOffer extends CacheRecordExport {
  /**
   * Brings the layers here; called once, when the record is wanted. What cannot be had is made by running the step.
   *
   * @returns keeps the layers from being collected until disposed
   */
  fetch(signal: AbortSignal): Promise<Disposable>;
}

export interface SolverDeps {
  readonly store: Store;
  readonly layers: BuildLayers;
  readonly snapshots: Pick<Snapshotter, "lock" | "planCollect" | "neededBy" | "layerSize" | "has">;
  /** From `openCacheRecords`, whose tops were added to the snapshotter's roots before images/ began. */
  readonly records: CacheRecords;
  readonly runners: Readonly<Record<Op["kind"], OpRunner>>;
  readonly contentDigest: ContentDigester;
  /** Asked for their entries and told to remove: contexts, downloads, cache mounts. */
  readonly reclaimable: readonly ReclaimableStore[];
  /** Bytes that all of the cache may take; follows a reload. 0: a tenth of the disk. */
  quotaBytes(): number;
  /** How many steps run at once; 0: no bound. */
  maxParallelism(): number;
  readonly dataRoot: string;
  readonly logger: Logger;
}

export { createSolver } from "./solver.ts";
export { type GcPolicy, parseGcPolicy } from "./gc-policy.ts";
export { VertexFailed } from "./vertex-failed.ts";
export { type CacheRecords, openCacheRecords } from "./records.ts";
