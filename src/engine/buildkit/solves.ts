// Builds that clients drive: each Control.Solve that stands, with what its bridge calls made. What they returned is named, and
// stays known for a while after, so that one build can be another one's context.

import { randomUUID } from "node:crypto";
import { codes, GrpcError } from "../../grpc/index.ts";
import type { BuildClient } from "../build/client.ts";
import type { ImageDraft, NamedContext } from "../build/graph/index.ts";
import type { BuildJob, FrontendResult } from "../build/index.ts";
import type { BuildProgress } from "../build/progress.ts";
import type { SourceDirectory } from "../build/sources/index.ts";

/** How long a call about a build waits for the build to begin. */
const waitMs = 6_000;
/** How long the progress of a build that ended can still be asked for. */
const lingerMs = 10_000;
/** Results that can be used as contexts; older ones are forgotten. */
const maxResults = 1_024;

/** What a client was given a name for. */
export type Result =
  | {
      readonly kind: "image";
      readonly result: FrontendResult;
      readonly draft: ImageDraft;
    }
  | { readonly kind: "directory"; readonly directory: SourceDirectory; readonly context: NamedContext }
  | { readonly kind: "scratch" };

/** How the client says that its build ended. */
export interface Returned {
  readonly result: FrontendResult | undefined;
}

export interface OpenSolve {
  readonly ref: string;
  readonly job: BuildJob;
  readonly client: BuildClient;
  /** Sessions of directories by name; filled by the frontend's options. */
  readonly directories: Map<string, string>;
  readonly returned: PromiseWithResolvers<Returned>;
  /** Released when the build ends. */
  readonly held: AsyncDisposable[];
  /** Names of results of this build. */
  readonly results: Set<string>;
  inlineCache: boolean;
  /** The failure that the client was told last, as it was. */
  failure: { readonly told: GrpcError; readonly error: unknown } | undefined;
}

export class Solves {
  readonly #open = new Map<string, OpenSolve>();
  readonly #ended = new Map<string, BuildProgress>();
  readonly #waiting = new Map<string, Set<() => void>>();
  readonly #results = new Map<string, Result>();
  readonly #timers = new Set<NodeJS.Timeout>();

  add(solve: OpenSolve): void {
    this.#open.set(solve.ref, solve);
    for (const wake of this.#waiting.get(solve.ref) ?? []) wake();
  }

  /** Its progress can be asked for a while longer. */
  end(solve: OpenSolve): void {
    this.#open.delete(solve.ref);
    this.#ended.set(solve.ref, solve.job.progress);
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      this.#ended.delete(solve.ref);
    }, lingerMs);
    this.#timers.add(timer);
  }

  /** Waits a while for one that is announced. @throws GrpcError notFound */
  async get(ref: string, signal: AbortSignal): Promise<OpenSolve> {
    const solve = this.#open.get(ref) ?? (await this.#wait(ref, signal));
    if (solve === undefined) throw new GrpcError(codes.notFound, `no such job ${ref}`);
    return solve;
  }

  /** undefined: nothing of that name runs, nor did just now. */
  async progress(ref: string, known: boolean, signal: AbortSignal): Promise<BuildProgress | undefined> {
    const now = this.#open.get(ref)?.job.progress ?? this.#ended.get(ref);
    if (now !== undefined || known) return now;
    return (await this.#wait(ref, signal))?.job.progress;
  }

  async #wait(ref: string, signal: AbortSignal): Promise<OpenSolve | undefined> {
    if (this.#ended.has(ref)) return undefined;
    const { promise, resolve } = Promise.withResolvers<void>();
    const waiting = this.#waiting.get(ref) ?? new Set();
    this.#waiting.set(ref, waiting.add(resolve));
    const timer = setTimeout(resolve, waitMs);
    signal.addEventListener("abort", () => resolve(), { once: true });
    await promise;
    clearTimeout(timer);
    waiting.delete(resolve);
    if (waiting.size === 0) this.#waiting.delete(ref);
    return this.#open.get(ref);
  }

  /** @returns the result's name */
  remember(solve: OpenSolve, result: Result): string {
    const id = randomUUID().replaceAll("-", "");
    this.#results.set(id, result);
    solve.results.add(id);
    for (const oldest of this.#results.keys()) {
      if (this.#results.size <= maxResults) break;
      this.#results.delete(oldest);
    }
    return id;
  }

  /** @throws GrpcError invalidArgument there is none */
  result(id: string): Result {
    const result = this.#results.get(id);
    if (result === undefined) throw new GrpcError(codes.invalidArgument, `no such ref: ${id}`);
    return result;
  }

  close(): void {
    for (const timer of this.#timers) clearTimeout(timer);
  }
}

/** The result of a build as the context of another one; its graph says whose directories it was built from. */
export function contextOf(result: Result): NamedContext | undefined {
  if (result.kind === "scratch") return undefined;
  if (result.kind === "directory") return result.context;
  return { kind: "result", draft: result.draft, graph: result.result.graph };
}
