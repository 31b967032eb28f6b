// POST /build: the classic builder's endpoint over the same builder as every other door, with all that Dockerfiles have today.
// version=2 is BuildKit through this endpoint: files come from a session, progress goes out as BuildKit's traces.

import { randomBytes } from "node:crypto";
import type { Readable } from "node:stream";
import { EngineError, isEngineError } from "../../../base/errors.ts";
import { parseNamed, renderFamiliar, withDefaultTag } from "../../../base/reference.ts";
import type { BuildImageRequest, ProgressMessage } from "../../api/ports.ts";
import { reportProgress } from "../../images/message-queue.ts";
import type { BuildClient } from "../client.ts";
import type { NamedContext } from "../graph/index.ts";
import type { BuildJob, Builder } from "../index.ts";
import type { BuildEvent } from "../progress.ts";
import { isGitUrl, parseGitUrl } from "../sources/git-url.ts";
import { locatedMessage, stepOfFailure, wordsOfFailure } from "./failure-words.ts";
import { ClassicClient } from "./client.ts";
import { TarContext } from "./context.ts";
import { ClassicRenderer } from "./render.ts";
import { frontendRequestOf, outputsOf } from "./request.ts";
import { Uploads } from "./uploads.ts";

export interface ClassicDeps {
  readonly builder: Builder;
  /** A session that the client opened on another connection. @throws NotFound */
  session(id: string, signal: AbortSignal): Promise<BuildClient>;
  /** Events as BuildKit's StatusResponses, serialized. */
  renderTraces(events: readonly BuildEvent[]): readonly Uint8Array[];
  readonly dataRoot: string;
  readonly unpackPath: string;
}

const uploadPrefix = "upload-request:";

/** The classic endpoint. */
export class ClassicDoor {
  readonly #deps: ClassicDeps;
  readonly #uploads = new Uploads();

  constructor(deps: ClassicDeps) {
    this.#deps = deps;
  }

  /** See BuildPort.build. */
  async *build(request: BuildImageRequest, body: Readable, signal: AbortSignal): AsyncGenerator<ProgressMessage> {
    if (request.buildId.startsWith(uploadPrefix)) {
      await this.#uploads.offer(request.buildId.slice(uploadPrefix.length), body, signal);
      return;
    }
    const tags = request.tags.map((tag) => renderFamiliar(withDefaultTag(parseNamed(tag))));
    const named = { ...request, tags: [...new Set(tags)] };
    // What is wrong with the request is an ordinary error reply.
    frontendRequestOf(named, { kind: "local", name: "context" });
    const session = request.session === "" ? undefined : await this.#deps.session(request.session, signal);
    yield* reportProgress((tell, aborted) => this.#run(named, body, session, tell, aborted), signal);
  }

  /** See BuildPort.cancel. */
  // oxlint-disable-next-line typescript/require-await -- the port is asynchronous
  async cancel(buildId: string): Promise<void> {
    this.#deps.builder.cancel(buildId);
  }

  async #run(
    request: BuildImageRequest,
    body: Readable,
    session: BuildClient | undefined,
    tell: (message: ProgressMessage) => void,
    signal: AbortSignal,
  ): Promise<void> {
    const ref = request.buildId === "" ? randomBytes(16).toString("hex") : request.buildId;
    await using held = new AsyncDisposableStack();
    const { context, named } = await this.#context(request, body, signal);
    if (context !== undefined) held.use(context);
    const client = new ClassicClient({
      ref,
      registries: request.registries,
      context,
      dockerfile: request.dockerfile,
      session,
    });
    const frontend = frontendRequestOf(request, named);
    const { builder } = this.#deps;
    const entitlements = frontend.networkMode === "host" ? ["network.host"] : [];
    const job = builder.open(
      { ref, client, entitlements, keepFailed: true, internal: false, raw: frontend.raw },
      signal,
    );
    const isTrace = request.version === "2";
    const { quiet, remove, forceRemove } = request;
    const renderer = new ClassicRenderer(tell, { quiet, remove, forceRemove });
    const following = this.#follow(job, isTrace ? undefined : renderer, tell);
    let error: unknown;
    let imageId: string | undefined;
    let unused: readonly string[] = [];
    try {
      const result = await job.solve(frontend);
      unused = result.unusedBuildArgs;
      const response = await job.export(result, outputsOf(request), []);
      imageId = response["containerimage.config.digest"] ?? response["containerimage.digest"];
    } catch (thrown) {
      error = thrown;
    }
    await job.close({ error });
    await following;
    if (error !== undefined) {
      if (isTrace) throw error;
      tell(this.#failed(error, renderer));
      return;
    }
    if (!isTrace) renderer.success(imageId, request.tags, unusedOf(request, renderer, unused));
    else if (imageId !== undefined) tell({ id: "moby.image.id", aux: { ID: imageId } });
  }

  async #follow(
    job: BuildJob,
    renderer: ClassicRenderer | undefined,
    tell: (message: ProgressMessage) => void,
  ): Promise<void> {
    const until = new AbortController();
    for await (const events of job.progress.subscribe(until.signal)) {
      if (renderer !== undefined) for (const event of events) renderer.event(event);
      else
        for (const trace of this.#deps.renderTraces(events))
          tell({ id: "moby.buildkit.trace", aux: Buffer.from(trace).toString("base64") });
    }
  }

  /**
   * The step that failed and the classic builder's last line.
   *
   * @throws the error itself when nothing was carried out yet: it becomes an ordinary error reply
   */
  #failed(error: unknown, renderer: ClassicRenderer): ProgressMessage {
    const failure = this.#deps.builder.failureOf(error);
    const unplanned = renderer.isPlanned ? undefined : stepOfFailure(failure);
    if (!renderer.isPlanned && unplanned === undefined)
      throw new EngineError(
        isEngineError(error) ? error.kind : "Unknown",
        locatedMessage(failure.message, failure, "dockerfile parse error on line"),
        { cause: error },
      );
    if (unplanned !== undefined) renderer.heading(unplanned.number, unplanned.total, unplanned.instruction);
    const step = renderer.fail();
    const isNamed = step !== undefined || unplanned !== undefined;
    const message = isNamed
      ? wordsOfFailure(failure, step)
      : locatedMessage(wordsOfFailure(failure, step), failure, "line");
    const { exitCode } = failure;
    return { errorDetail: exitCode === undefined ? { message } : { code: exitCode, message }, error: message };
  }

  async #context(
    request: BuildImageRequest,
    body: Readable,
    signal: AbortSignal,
  ): Promise<{ readonly context: TarContext | undefined; readonly named: NamedContext }> {
    const { remote } = request;
    const named: NamedContext = { kind: "local", name: "context" };
    if (remote === "client-session") return { context: undefined, named };
    if (remote !== "" && remote !== "upload-request") return { context: undefined, named: remoteContext(remote) };
    const source = remote === "" ? body : await this.#uploads.take(request.buildId, signal);
    const context = await TarContext.receive(this.#deps, source, signal);
    try {
      context.requireFile(request.dockerfile);
    } catch (error) {
      await context[Symbol.asyncDispose]();
      throw error;
    }
    return { context, named };
  }
}

/** Arguments without a value are known to the request alone. */
function unusedOf(request: BuildImageRequest, renderer: ClassicRenderer, unused: readonly string[]): readonly string[] {
  const declared = renderer.declaredArgs();
  const valueless = Object.entries(request.buildArgs).filter(([name, value]) => value === null && !declared.has(name));
  return [...unused, ...valueless.map(([name]) => name)].sort();
}

/** A repository, or what is at a URL: a tar, or a Dockerfile. */
function remoteContext(remote: string): NamedContext {
  if (isGitUrl(remote)) {
    const { remote: url, ref, subdirectory } = parseGitUrl(remote);
    return { kind: "git", remote: url, ref, subdirectory };
  }
  if (/^https?:\/\//i.test(remote)) return { kind: "http", url: remote, filename: "context" };
  throw new EngineError(
    "InvalidParameter",
    `unable to detect the kind of remote ${JSON.stringify(remote)}: give the URL of a git repository, of a tar, or of a Dockerfile`,
  );
}
