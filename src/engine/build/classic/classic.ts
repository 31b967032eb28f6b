// POST /build: the classic builder's endpoint over the same builder as every other door, with all that Dockerfiles have today.
// version=2 is BuildKit through this endpoint: files come from a session, progress goes out as BuildKit's traces.

import { randomBytes } from "node:crypto";
import { once } from "node:events";
import type { Readable } from "node:stream";
import { EngineError } from "../../../base/errors.ts";
import { parseNamed, renderFamiliar, withDefaultTag } from "../../../base/reference.ts";
import type { BuildImageRequest, ProgressMessage } from "../../api/ports.ts";
import { reportProgress } from "../../images/message-queue.ts";
import type { BuildClient } from "../client.ts";
import type { NamedContext } from "../graph/index.ts";
import type { BuildJob, Builder } from "../index.ts";
import type { BuildEvent } from "../progress.ts";
import { isGitUrl, parseGitUrl } from "../sources/git-url.ts";
import { ClassicClient } from "./client.ts";
import { TarContext } from "./context.ts";
import { ClassicRenderer } from "./render.ts";
import { frontendRequestOf, outputsOf } from "./request.ts";

export interface ClassicDeps {
  readonly builder: Builder;
  /** A session that the client opened on another connection. @throws NotFound */
  session(id: string, signal: AbortSignal): Promise<BuildClient>;
  /** Events as BuildKit's StatusResponses, serialized. */
  renderTraces(events: readonly BuildEvent[]): readonly Uint8Array[];
  readonly dataRoot: string;
  readonly unpackPath: string;
}

/** How long a context that is promised by `remote=upload-request` may take to begin. */
const uploadWaitMs = 60_000;
const uploadPrefix = "upload-request:";

/** The classic endpoint. */
export class ClassicDoor {
  readonly #deps: ClassicDeps;
  readonly #uploads = new Map<string, PromiseWithResolvers<Readable>>();

  constructor(deps: ClassicDeps) {
    this.#deps = deps;
  }

  /** See BuildPort.build. */
  async *build(request: BuildImageRequest, body: Readable, signal: AbortSignal): AsyncGenerator<ProgressMessage> {
    if (request.buildId.startsWith(uploadPrefix)) {
      await this.#deliver(request.buildId.slice(uploadPrefix.length), body, signal);
      return;
    }
    const named = { ...request, tags: request.tags.map((tag) => renderFamiliar(withDefaultTag(parseNamed(tag)))) };
    // What is wrong with the request is an ordinary error reply.
    frontendRequestOf(named, { kind: "local", name: "context" });
    const session = request.session === "" ? undefined : await this.#deps.session(request.session, signal);
    yield* reportProgress((tell, aborted) => this.#run(named, body, session, tell, aborted), signal);
  }

  /** See BuildPort.cancel. */
  // oxlint-disable-next-line typescript/require-await -- the port is asynchronous
  async cancel(buildId: string): Promise<void> {
    if (!this.#deps.builder.cancel(buildId))
      throw new EngineError("NotFound", `no build ${JSON.stringify(buildId)} runs`);
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
    const client = new ClassicClient({ ref, registries: request.registries, context, session });
    const frontend = frontendRequestOf(request, named);
    const { builder } = this.#deps;
    const entitlements = frontend.networkMode === "host" ? ["network.host"] : [];
    const job = builder.open(
      { ref, client, entitlements, keepFailed: false, internal: false, raw: frontend.raw },
      signal,
    );
    const isTrace = request.version === "2";
    const renderer = new ClassicRenderer(tell, request.quiet);
    const following = this.#follow(job, isTrace ? undefined : renderer, tell);
    let error: unknown;
    let imageId: string | undefined;
    try {
      const result = await job.solve(frontend);
      const response = await job.export(result, outputsOf(request), []);
      imageId = response["containerimage.config.digest"] ?? response["containerimage.digest"];
    } catch (thrown) {
      error = thrown;
    }
    await job.close({ error });
    await following;
    if (error !== undefined) {
      renderer.fail();
      const failed = isTrace ? undefined : this.#commandFailed(error);
      if (failed === undefined) throw error;
      tell(failed);
      return;
    }
    if (!isTrace) renderer.success(imageId, request.tags);
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

  /** The classic builder's last line for a command that failed. */
  #commandFailed(error: unknown): ProgressMessage | undefined {
    const { exitCode, command } = this.#deps.builder.failureOf(error);
    if (exitCode === undefined || command === undefined) return undefined;
    const message = `The command '${command}' returned a non-zero code: ${exitCode}`;
    return { errorDetail: { code: exitCode, message }, error: message };
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
    const source = remote === "" ? body : await this.#awaitUpload(request.buildId, signal);
    const context = await TarContext.receive(this.#deps, source, () => undefined, signal);
    return { context, named };
  }

  /** The other request of `remote=upload-request`: it brings the tar and is answered when that was read. */
  async #deliver(id: string, body: Readable, signal: AbortSignal): Promise<void> {
    const waiting = this.#uploads.get(id);
    if (waiting === undefined) throw new EngineError("NotFound", `no build waits for the upload ${JSON.stringify(id)}`);
    waiting.resolve(body);
    if (!body.readableEnded && !body.destroyed) await once(body, "close", { signal });
  }

  async #awaitUpload(id: string, signal: AbortSignal): Promise<Readable> {
    if (id === "") throw new EngineError("InvalidParameter", "remote=upload-request needs a buildid");
    if (this.#uploads.has(id)) throw new EngineError("Conflict", `the build ${id} waits for its upload already`);
    const waiting = Promise.withResolvers<Readable>();
    this.#uploads.set(id, waiting);
    const timer = setTimeout(
      () => waiting.reject(new EngineError("Deadline", "the build context was announced and did not come")),
      uploadWaitMs,
    );
    const abort = (): void => waiting.reject(new EngineError("Cancelled", "the build was cancelled"));
    signal.addEventListener("abort", abort, { once: true });
    try {
      return await waiting.promise;
    } finally {
      clearTimeout(timer);
      signal.removeEventListener("abort", abort);
      this.#uploads.delete(id);
    }
  }
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
