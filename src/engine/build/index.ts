// The face of the builder. A job is one build: its request is solved by the Dockerfile frontend, its results are put out, its
// progress and history are told. The doors (classic endpoint, BuildKit's gRPC, CLI) are thin: they make requests and render progress.

import type { Digest } from "../../base/digest.ts";
import type { Logger } from "../../base/log.ts";
import type { Platform } from "../../spec/oci/image.ts";
import type { RegistryCredentials } from "../api/ports.ts";
import type { Attest } from "./attest/index.ts";
import type { CacheRequest, ExternalCaches } from "./cache/index.ts";
import type { BuildClient } from "./client.ts";
import type { Exec, KeptStep } from "./exec/index.ts";
import type { Exporters, OutputRequest } from "./export/index.ts";
import type { Graph, ImageDraft, LowerOptions, NamedContext } from "./graph/index.ts";
import type { BuildLayers } from "./layers/index.ts";
import type { BuildProgress, VertexReporter } from "./progress.ts";
import type { BuildCache, Solver } from "./solver/index.ts";
import type { Images } from "../images/index.ts";
import type { Store } from "../store/index.ts";

/** What the Dockerfile frontend is asked; BuildKit's FrontendOpt and the classic endpoint's query are parsed into it. */
export interface FrontendRequest
  extends Omit<
    LowerOptions,
    "contexts" | "mainContext" | "ignorePatterns" | "contextIgnorePatterns" | "buildPlatform"
  > {
  /** Path in its directory. */
  readonly filename: string;
  /** Where the Dockerfile is read: the client's directory of that name, or its text. */
  readonly dockerfile:
    | { readonly kind: "directory"; readonly name: string }
    | { readonly kind: "text"; readonly text: string }
    /** In the context itself: repositories and downloads, unless the client sends a Dockerfile of its own. */
    | { readonly kind: "context" };
  readonly context: NamedContext;
  /** In the context: what is built is below it. */
  readonly contextSubdirectory: string;
  readonly namedContexts: ReadonlyMap<string, NamedContext>;
  /** always: ask registries; missing: only for images that are not here. */
  readonly pull: "always" | "missing";
  readonly cacheImports: readonly CacheRequest[];
  readonly attest: {
    /** undefined: only recorded in the history. */
    readonly provenance: { readonly mode: "min" | "max"; readonly version: "v0.2" | "v1" } | undefined;
    readonly sbom: boolean;
  };
  /** A question instead of a build. */
  readonly subrequest: "outline" | "targets" | "lint" | "describe" | "plan" | undefined;
  /** Everything as the client wrote it, for provenance and history. */
  readonly raw: Readonly<Record<string, string>>;
}

export interface FrontendResult {
  /** Empty for a subrequest. */
  readonly images: readonly ImageDraft[];
  readonly graph: Graph;
  /** "result.json", "result.txt", "version" of a subrequest; "containerimage.config" and others of an image. */
  readonly metadata: Readonly<Record<string, Uint8Array>>;
  /** Build arguments that no ARG takes: the classic endpoint warns of them. */
  readonly unusedBuildArgs: readonly string[];
}

export type BuildState = "running" | "completed" | "failed" | "cancelled";

/** A line of the history; `docker buildx history ls` and `gantry build history`. */
export interface BuildRecord {
  readonly ref: string;
  readonly state: BuildState;
  readonly request: Readonly<Record<string, string>>;
  readonly createdAt: string;
  readonly completedAt: string | undefined;
  readonly error:
    | {
        readonly message: string;
        readonly source: SourceExcerpt | undefined;
        /** The step that failed. */
        readonly vertex?: string;
      }
    | undefined;
  readonly outputs: readonly { readonly type: string; readonly response: Readonly<Record<string, string>> }[];
  readonly totalSteps: number;
  readonly cachedSteps: number;
  readonly completedSteps: number;
  readonly warnings: number;
  readonly platforms: readonly string[];
  readonly pinned: boolean;
  /** Provenance, by its predicate's type; `history.attachment` has the bytes. */
  readonly attachments: readonly { readonly type: string; readonly digest: Digest; readonly size: number }[];
}

/** The lines of a Dockerfile that an error is about. */
export interface SourceExcerpt {
  readonly filename: string;
  readonly source: string;
  readonly ranges: readonly import("./dockerfile/index.ts").Range[];
}

/** A failure of a build with all that doors show. */
export interface BuildFailure {
  readonly message: string;
  readonly source: SourceExcerpt | undefined;
  /** Vertex that failed. */
  readonly vertex: string | undefined;
  readonly exitCode: number | undefined;
  /** Of a step that ended with that status: its words, joined by spaces. */
  readonly command?: string | undefined;
  /** For `gantry build --debug`. */
  readonly stepId: string | undefined;
  /** Last lines that the step wrote. */
  readonly lastOutput: string;
}

export interface BuildJob {
  readonly ref: string;
  readonly progress: BuildProgress;
  /** Aborted by `cancel` and when the client is gone. */
  readonly signal: AbortSignal;
  /**
   * Lowers and solves. The result's layers are held until the job is closed.
   *
   * @throws EngineError; `failureOf` makes what doors show of it
   */
  solve(request: FrontendRequest): Promise<FrontendResult>;
  /** Outputs and caches of a result of `solve`. @returns BuildKit's exporter response */
  export(
    result: FrontendResult,
    outputs: readonly OutputRequest[],
    cacheExports: readonly CacheRequest[],
  ): Promise<Readonly<Record<string, string>>>;
  /** Ends it: history is written, holds are let go, progress ends. */
  close(outcome: { readonly error: unknown }): Promise<void>;
}

export interface OpenJobRequest {
  readonly ref: string;
  readonly client: BuildClient;
  readonly entitlements: readonly string[];
  readonly keepFailed: boolean;
  /** Not in the history (BuildKit's internal probes). */
  readonly internal: boolean;
  /** What `export` will be asked for, where it is known: what is wrong with it is said before anything is built. */
  readonly outputs?: readonly OutputRequest[];
  readonly cacheExports?: readonly CacheRequest[];
  readonly raw: Readonly<Record<string, string>>;
}

export interface Builder {
  /** @throws Conflict a job of that ref runs; Forbidden an entitlement that the daemon does not give */
  open(request: OpenJobRequest, signal: AbortSignal): BuildJob;
  job(ref: string): BuildJob | undefined;
  /** @returns whether there was one */
  cancel(ref: string): boolean;
  /** What would be built, without building: vertices with keys, in order. */
  plan(request: FrontendRequest, client: BuildClient, signal: AbortSignal): Promise<string>;
  failureOf(error: unknown): BuildFailure;
  readonly cache: BuildCache;
  readonly history: BuildHistory;
  keptStep(stepId: string): KeptStep | undefined;
  /** Stops all builds. */
  close(): Promise<void>;
}

export interface BuildHistory {
  list(): readonly BuildRecord[];
  get(ref: string): BuildRecord | undefined;
  /** The events of a build, live or recorded. @throws NotFound */
  events(ref: string, signal: AbortSignal): AsyncIterable<readonly import("./progress.ts").BuildEvent[]>;
  /** New and changed records; "deleted" ones too. */
  watch(
    signal: AbortSignal,
  ): AsyncIterable<{ readonly change: "started" | "complete" | "deleted"; readonly record: BuildRecord }>;
  /** Bytes of an attachment of a record. @throws NotFound */
  attachment(digest: string): Promise<Uint8Array>;
  /** @throws NotFound */
  update(ref: string, change: { readonly pinned?: boolean; readonly remove?: boolean }): Promise<void>;
}

export interface BuilderDeps {
  readonly solver: Solver;
  readonly exporters: Exporters;
  readonly caches: ExternalCaches;
  readonly attest: Attest;
  readonly exec: Exec;
  readonly images: Images;
  /** Where files of a downloaded context are looked for. */
  readonly layers: Pick<BuildLayers, "directories" | "keep">;
  /** Looks at a base image, pulling what is missing: see sources/. */
  readonly resolveImage: ImageResolver;
  readonly store: Store;
  readonly dataRoot: string;
  readonly hostPlatform: Platform;
  /** Those that a request may ask for: "network.host", "security.insecure". */
  readonly allowedEntitlements: ReadonlySet<string>;
  readonly logger: Logger;
}

/** Satisfied by sources/. */
export interface ImageResolver {
  /**
   * The config of a base image; its layers are not fetched yet where they can wait.
   *
   * @param mode always: the registry decides; missing: only when it is not here
   * @throws NotFound, Unauthorized … with the image's name
   */
  resolve(
    reference: string,
    platform: Platform,
    options: {
      readonly mode: "always" | "missing";
      readonly client: BuildClient;
      readonly storeId: string | undefined;
      /** Of the step that is told to look at the image. */
      readonly report: VertexReporter;
    },
    signal: AbortSignal,
  ): Promise<import("./graph/index.ts").KnownImage>;
}

export type { RegistryCredentials };
export { createBuilder } from "./builder.ts";
