// One build from its request to its outputs: definition, images, lint, graph, caches, solver; then exporters. Whatever it holds
// is let go when it is closed.

import { type DiffId, type Digest, parseDiffId } from "../../base/digest.ts";
import { EngineError } from "../../base/errors.ts";
import { nowRfc3339Nano } from "../../base/time.ts";
import type { Platform } from "../../spec/oci/image.ts";
import { renderPlatform } from "../../spec/oci/platform.ts";
import type { Attestation, ProvenanceFacts } from "./attest/index.ts";
import type { BuildClient } from "./client.ts";
import type { CacheRequest } from "./cache/index.ts";
import { type Dockerfile, DockerfileError, parseDockerfile, parseIgnoreFile } from "./dockerfile/index.ts";
import type { BuiltImage, OutputRequest } from "./export/index.ts";
import { explainFailure } from "./failure.ts";
import {
  type Graph,
  type ImageDraft,
  type KnownImage,
  lowerDockerfile,
  type Lowered,
  type LowerOptions,
  renderPlan,
  renameDirectories,
} from "./graph/index.ts";
import type { BuilderDeps, BuildJob, FrontendRequest, FrontendResult, OpenJobRequest } from "./index.ts";
import {
  answerResult,
  describeAnswer,
  lintAnswer,
  outlineAnswer,
  planAnswer,
  targetsAnswer,
  unparsedAnswer,
} from "./job-answers.ts";
import { foreignDirectory, routingClient } from "./job-client.ts";
import { type PreparedContext, prepareContext } from "./job-context.ts";
import { type Definition, loadDefinition, loadIgnoreFile } from "./job-definition.ts";
import { finishImage } from "./job-draft.ts";
import { resolveImages } from "./job-images.ts";
import { epochOf, imageMetadata, plannedSteps } from "./job-metadata.ts";
import { refuseWarnings, tellWarnings, warningsOf } from "./job-lint.ts";
import { materialsOf, recordedRequest } from "./job-provenance.ts";
import { createBuildProgress, type ProgressLog } from "./progress-log.ts";
import type { JobContext, Solution } from "./solver/index.ts";

/** What `export` needs of what `solve` returned. */
interface SolvedBuild {
  readonly request: FrontendRequest;
  readonly dockerfile: Dockerfile;
  readonly images: readonly ImageDraft[];
  readonly solution: Solution;
  readonly context: JobContext;
  readonly graph: Graph;
  readonly epoch: number | undefined;
}

/** Everything up to the graph. */
interface LoweredBuild {
  readonly dockerfile: Dockerfile;
  readonly options: LowerOptions;
  readonly lowered: Lowered;
  readonly epoch: number | undefined;
}

/** What of a job goes into its record. */
export interface JobFacts {
  readonly outputs: readonly { readonly type: string; readonly response: Readonly<Record<string, string>> }[];
  readonly provenance: readonly Attestation[];
  readonly platforms: readonly string[];
  readonly request: Readonly<Record<string, string>>;
}

export class Job implements BuildJob {
  readonly ref: string;
  readonly progress: ProgressLog = createBuildProgress();
  readonly startedAt = nowRfc3339Nano();
  readonly request: OpenJobRequest;
  readonly #deps: BuilderDeps;
  readonly #abort = new AbortController();
  readonly #solutions: Solution[] = [];
  readonly #kept = new DisposableStack();
  readonly #baseLayers = new Map<Digest, readonly DiffId[]>();
  readonly #solved = new WeakMap<FrontendResult, SolvedBuild>();
  readonly #running = new Set<Promise<unknown>>();
  readonly #clientOf: (sessionId: string) => BuildClient | undefined;
  readonly #onClose: (job: Job, error: unknown) => Promise<void>;
  readonly #outputs: { readonly type: string; readonly response: Readonly<Record<string, string>> }[] = [];
  #provenance: readonly Attestation[] = [];
  #platforms: readonly string[] = [];
  #raw: Readonly<Record<string, string>>;
  #dockerfile: Dockerfile | undefined;
  #graph: Graph | undefined;
  #closing: Promise<void> | undefined;

  constructor(
    deps: BuilderDeps,
    request: OpenJobRequest,
    signal: AbortSignal,
    clientOf: (sessionId: string) => BuildClient | undefined,
    onClose: (job: Job, error: unknown) => Promise<void>,
  ) {
    this.#clientOf = clientOf;
    this.#deps = deps;
    this.request = request;
    this.ref = request.ref;
    this.#raw = recordedRequest(request.raw);
    this.#onClose = onClose;
    const abort = (): void => this.cancel();
    if (signal.aborted) abort();
    else {
      signal.addEventListener("abort", abort, { once: true });
      this.#abort.signal.addEventListener("abort", () => signal.removeEventListener("abort", abort), { once: true });
    }
  }

  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  get facts(): JobFacts {
    return {
      outputs: this.#outputs,
      provenance: this.#provenance,
      platforms: this.#platforms,
      request: this.#raw,
    };
  }

  cancel(): void {
    this.#abort.abort(new EngineError("Cancelled", "context canceled"));
  }

  async solve(request: FrontendRequest): Promise<FrontendResult> {
    return this.#run(() => this.#solve(request));
  }

  async export(
    result: FrontendResult,
    outputs: readonly OutputRequest[],
    cacheExports: readonly CacheRequest[],
  ): Promise<Readonly<Record<string, string>>> {
    return this.#run(() => this.#export(result, outputs, cacheExports));
  }

  /** The graph as text, and nothing is built. */
  async plan(request: FrontendRequest): Promise<string> {
    return this.#run(() => this.#plan(request));
  }

  async #plan(request: FrontendRequest): Promise<string> {
    const { lowered, epoch } = await this.#lower(request);
    return renderPlan({ graph: lowered.graph, cached: this.#deps.solver.cache.known(lowered.graph, epoch) });
  }

  async close(outcome: { readonly error: unknown }): Promise<void> {
    this.#closing ??= this.#close(outcome.error);
    return this.#closing;
  }

  async #close(failure: unknown): Promise<void> {
    this.cancel();
    await Promise.allSettled(this.#running);
    for (const solution of this.#solutions.splice(0)) await solution[Symbol.asyncDispose]();
    this.#kept.dispose();
    await this.#onClose(this, failure);
    this.progress.close();
  }

  /** Runs a part of the job; its failure is explained with the Dockerfile's lines. */
  async #run<T>(work: () => Promise<T>): Promise<T> {
    this.signal.throwIfAborted();
    const running = work();
    this.#running.add(running);
    try {
      return await running;
    } catch (error) {
      if (this.signal.aborted) throw this.signal.reason;
      throw explainFailure(error, this.#dockerfile, this.#graph, this.progress);
    } finally {
      this.#running.delete(running);
    }
  }

  async #solve(request: FrontendRequest): Promise<FrontendResult> {
    if (request.subrequest !== undefined) return this.#answer(request, request.subrequest);
    this.#validate(request, []);
    const { dockerfile, lowered, epoch } = await this.#lower(request);
    const { graph, images } = lowered;
    this.#platforms = images.map(({ platform }) => renderPlatform(platform));
    this.#validate(
      request,
      images.map(({ platform }) => platform),
    );
    this.#checkEntitlements(graph);
    this.progress.emit({ kind: "plan", steps: plannedSteps(lowered) });
    const context = this.#context(epoch);
    if (request.cacheImports.length > 0)
      await this.#deps.caches.import(request.cacheImports, context, this.#deps.solver.cache, this.signal);
    const targets = [...new Set(images.flatMap(({ result }) => (result === undefined ? [] : [result])))];
    const solution = await this.#solveSome(graph, targets, context);
    const { sessionId } = this.request.client;
    const result: FrontendResult = {
      ...renameDirectories(graph, images, (name) => foreignDirectory(sessionId, name)),
      metadata: imageMetadata(images),
      unusedBuildArgs: lowered.unusedBuildArgs,
    };
    this.#solved.set(result, { request, dockerfile, images, solution, context, graph, epoch });
    return result;
  }

  /** What is wrong with outputs and caches is said before anything is built. */
  #validate(request: FrontendRequest, platforms: readonly Platform[]): void {
    const { outputs = [], cacheExports = [] } = this.request;
    const { caches, exporters } = this.#deps;
    caches.validate(request.cacheImports, cacheExports);
    exporters.validate(outputs, platforms.length === 0 ? request.platforms : platforms);
  }

  async #solveSome(graph: Graph, targets: readonly Digest[], context: JobContext): Promise<Solution> {
    this.#graph = graph;
    const solution = await this.#deps.solver.solve(graph, targets, context, this.signal);
    this.#solutions.push(solution);
    return solution;
  }

  #context(epoch: number | undefined): JobContext {
    const { ref, client, entitlements, keepFailed } = this.request;
    return {
      ref,
      client: routingClient(client, this.#clientOf),
      progress: this.progress,
      entitlements: new Set(entitlements),
      clampTimes: epoch,
      keepFailed,
      baseLayers: this.#baseLayers,
    };
  }

  /** Definition → options → images → graph; warnings are told. */
  async #lower(request: FrontendRequest): Promise<LoweredBuild> {
    const { dockerfile, options, definition } = await this.#parse(request);
    const { client } = this.request;
    const resolver = this.#deps.resolveImage;
    const [known, withIgnored] = await Promise.all([
      resolveImages(
        dockerfile,
        options,
        resolver,
        { mode: request.pull, client, progress: this.progress },
        this.signal,
      ),
      this.#withIgnored(options, definition),
    ]);
    this.#keep(known.values());
    const lowered = lowerDockerfile(dockerfile, withIgnored, known);
    const warnings = warningsOf(dockerfile, withIgnored, lowered.warnings);
    tellWarnings(dockerfile, warnings, definition.vertex, this.progress);
    refuseWarnings(dockerfile, withIgnored, warnings);
    return { dockerfile, options: withIgnored, lowered, epoch: epochOf(request, dockerfile) };
  }

  /** Whatever becomes of the images. */
  #keep(images: Iterable<KnownImage>): void {
    for (const { imageId, config } of images) {
      const layers = config.rootfs.diff_ids.map(parseDiffId);
      this.#baseLayers.set(imageId, layers);
      this.#kept.use(this.#deps.layers.keep(layers));
    }
  }

  async #parse(request: FrontendRequest): Promise<{
    readonly dockerfile: Dockerfile;
    readonly options: LowerOptions;
    readonly definition: Definition;
  }> {
    this.#raw = recordedRequest({ ...this.request.raw, ...request.raw });
    const first: LowerOptions = {
      ...request,
      buildPlatform: this.#deps.hostPlatform,
      contexts: request.namedContexts,
      mainContext: request.context,
      ignorePatterns: [],
    };
    const prepared: PreparedContext = await prepareContext(request, first, this.#deps.layers, (graph, targets) =>
      this.#solveSome(graph, targets, this.#context(request.sourceDateEpoch)),
    );
    const definition = await loadDefinition(
      { ...request, dockerfile: prepared.dockerfile, filename: prepared.filename },
      this.request.client,
      this.progress,
      prepared.read,
      this.signal,
    );
    const { filename, text } = definition.dockerfile;
    const dockerfile = this.#parsed(text, filename);
    const options: LowerOptions = { ...first, mainContext: prepared.context };
    return { dockerfile, options, definition };
  }

  /** Parses; the text is known to failures even when it cannot be parsed. */
  #parsed(text: string, filename: string): Dockerfile {
    try {
      this.#dockerfile = parseDockerfile(text, filename);
      return this.#dockerfile;
    } catch (error) {
      throw explainFailure(error, { filename, source: text }, undefined, this.progress);
    }
  }

  async #withIgnored(options: LowerOptions, definition: Definition): Promise<LowerOptions> {
    const { client } = this.request;
    const { mainContext } = options;
    const main = async (): Promise<readonly string[]> => {
      if (definition.ignore !== undefined) return parseIgnoreFile(definition.ignore);
      if (mainContext.kind !== "local") return [];
      return loadIgnoreFile(mainContext.name, undefined, client, this.progress, this.signal);
    };
    const named = [...options.contexts].flatMap(([name, context]) =>
      context.kind === "local" ? [[name, context.name] as const] : [],
    );
    const [ignorePatterns, ...others] = await Promise.all([
      main(),
      ...named.map(([name, directory]) => loadIgnoreFile(directory, name, client, this.progress, this.signal)),
    ]);
    const contextIgnorePatterns = new Map(named.map(([, directory], index) => [directory, others[index] ?? []]));
    return { ...options, ignorePatterns, contextIgnorePatterns };
  }

  #checkEntitlements(graph: Graph): void {
    const given = new Set(this.request.entitlements);
    for (const { op, ranges } of graph.vertices.values()) {
      if (op.kind !== "exec") continue;
      const needed = [
        ...(op.network === "host" ? ["network.host"] : []),
        ...(op.security === "insecure" ? ["security.insecure"] : []),
      ];
      for (const one of needed)
        if (!given.has(one)) throw new DockerfileError(`${one} is not allowed`, ranges, { kind: "Forbidden" });
    }
  }

  async #answer(
    request: FrontendRequest,
    question: NonNullable<FrontendRequest["subrequest"]>,
  ): Promise<FrontendResult> {
    if (question === "describe") return answerResult(describeAnswer());
    if (question === "plan") return answerResult(planAnswer(await this.#plan(request)));
    const parsed = await this.#parse(request).catch((error: unknown) => {
      if (question !== "lint") throw error;
      return unparsedAnswer(error);
    });
    if ("text" in parsed) return answerResult(parsed);
    const { dockerfile, options, definition } = parsed;
    if (question === "targets") return answerResult(targetsAnswer(dockerfile));
    if (question === "outline") return answerResult(outlineAnswer(dockerfile, options));
    const ignored = await this.#withIgnored(options, definition);
    const withIgnored: LowerOptions = { ...ignored, allStages: request.target === "" };
    let failure: DockerfileError | undefined;
    let ofGraph: Lowered["warnings"] = [];
    try {
      const { client } = this.request;
      const { resolveImage } = this.#deps;
      const asked = { mode: request.pull, client, progress: this.progress };
      const known = await resolveImages(dockerfile, withIgnored, resolveImage, asked, this.signal);
      ofGraph = lowerDockerfile(dockerfile, withIgnored, known).warnings;
    } catch (error) {
      if (!(error instanceof DockerfileError)) throw error;
      failure = error;
    }
    const warnings = warningsOf(dockerfile, withIgnored, ofGraph);
    return answerResult(lintAnswer(dockerfile, warnings, failure));
  }

  async #export(
    result: FrontendResult,
    outputs: readonly OutputRequest[],
    cacheExports: readonly CacheRequest[],
  ): Promise<Readonly<Record<string, string>>> {
    const solved = this.#solved.get(result);
    if (solved === undefined) {
      if (outputs.length === 0 && cacheExports.length === 0) return {};
      throw new EngineError("InvalidParameter", "there is nothing to export: the result is no build's");
    }
    const { caches, exporters, solver } = this.#deps;
    const { request, solution, graph, context, epoch } = solved;
    exporters.validate(
      outputs,
      solved.images.map(({ platform }) => platform),
    );
    caches.validate([], cacheExports);
    const images: BuiltImage[] = [];
    const recorded: Attestation[] = [];
    for (const draft of solved.images) {
      const { layers, config } = finishImage(draft, (vertex) => solution.get(vertex), this.startedAt, epoch);
      const attestations: Attestation[] = [];
      const asked = request.attest.provenance;
      const provenance = this.#deps.attest.provenance(this.#provenanceFacts(solved, draft));
      recorded.push(provenance);
      if (asked !== undefined) attestations.push(provenance);
      if (request.attest.sbom)
        attestations.push(await this.#deps.attest.sbom(layers, renderPlatform(draft.platform), this.signal));
      images.push({ platform: draft.platform, layers, config, attestations });
    }
    this.#provenance = recorded;
    const inlineCache = caches.inline(cacheExports, graph, solution, solver.cache);
    const { response } = await exporters.export(
      images,
      outputs,
      context,
      { sourceDateEpoch: epoch, inlineCache },
      this.signal,
    );
    for (const { type } of outputs) this.#outputs.push({ type, response });
    if (cacheExports.length === 0) return response;
    const ofCaches = await caches.export(cacheExports, graph, solution, context, solver.cache, this.signal);
    return { ...response, ...ofCaches };
  }

  #provenanceFacts(solved: SolvedBuild, draft: ImageDraft): ProvenanceFacts {
    const { request, dockerfile, graph } = solved;
    const { mode, version } = request.attest.provenance ?? { mode: "max", version: "v1" };
    return {
      version,
      mode,
      builderId: "",
      ref: this.ref,
      startedAt: this.startedAt,
      finishedAt: nowRfc3339Nano(),
      platform: draft.platform,
      request: this.#raw,
      materials: materialsOf(graph),
      dockerfile: { filename: dockerfile.filename, source: dockerfile.source },
      graph,
      reproducible: false,
    };
  }
}
