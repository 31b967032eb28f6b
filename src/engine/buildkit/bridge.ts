// LLBBridge: what a client asks while its Control.Solve stands. Every call names its build in its metadata.

import { digestOf } from "../../base/digest.ts";
import {
  type Call,
  codes,
  firstValue,
  GrpcError,
  implement,
  type Implementation,
  type MessageInit,
  type MessageOf,
} from "../../grpc/index.ts";
import {
  LLBBridge,
  type Ref,
  type Result as ResultMessage,
  type SolveRequest,
  type SolveResponse,
} from "../../spec/buildkit/gateway.ts";
import type { Definition, Platform as PlatformMessage } from "../../spec/buildkit/ops.ts";
import type { Platform } from "../../spec/oci/image.ts";
import { hostArchitecture, renderPlatform } from "../../spec/oci/platform.ts";
import type { CacheRequest } from "../build/cache/index.ts";
import type { NamedContext } from "../build/graph/index.ts";
import type { FrontendResult } from "../build/index.ts";
import { grpcFailure } from "./failure.ts";
import { cacheRequestOf, parseFrontendOptions } from "./frontend-options.ts";
import { parseDefinition, renderResultDefinition } from "./definitions.ts";
import type { BuildkitDeps } from "./index.ts";
import { listDirectory, readFile, statFile } from "./result-files.ts";
import { solveSource } from "./source-results.ts";
import { contextOf, type OpenSolve, type Result, type Solves } from "./solves.ts";
import { capabilities, workerRecord } from "./worker.ts";

const buildIdKey = "buildkit-controlapi-buildid";

export function createBridge(deps: BuildkitDeps, solves: Solves): Implementation {
  const { builder } = deps;
  const solveOf = async (call: Call, what: string): Promise<OpenSolve> => {
    const ref = firstValue(call.metadata, buildIdKey);
    if (ref === undefined) throw new GrpcError(codes.unknown, `forwarding ${what}: no buildid found in context`);
    return solves.get(ref, call.signal);
  };
  const directoryOf = (id: string): Extract<Result, { readonly kind: "directory" }>["directory"] => {
    const result = solves.result(id);
    if (result.kind === "directory") return result.directory;
    throw new GrpcError(
      result.kind === "scratch" ? codes.notFound : codes.unimplemented,
      result.kind === "scratch" ? "the result is empty" : "reading files of a built image is not supported",
    );
  };

  return implement(LLBBridge, {
    async Ping(_request, call) {
      await solveOf(call, "Ping");
      return { ...capabilities(), Workers: [workerRecord(deps)] };
    },
    async Solve(request, call) {
      const solve = await solveOf(call, "Solve");
      try {
        return await bridgeSolve(deps, solves, solve, request, call.signal);
      } catch (error) {
        const told = grpcFailure(error, (thrown) => builder.failureOf(thrown));
        solve.failure = { told, error };
        throw told;
      }
    },
    async Return(request, call) {
      const solve = await solveOf(call, "Return");
      const { result, error } = request;
      if (error === undefined) solve.returned.resolve({ result: returnedResult(solves, result) });
      else solve.returned.reject(new GrpcError(error.code, error.message, { details: error.details }));
      return {};
    },
    async Evaluate(request, call) {
      await solveOf(call, "Evaluate");
      if (request.Ref !== "") solves.result(request.Ref);
      return {};
    },
    async Inputs(_request, call) {
      await solveOf(call, "Inputs");
      return {};
    },
    async ReadFile(request, call) {
      await solveOf(call, "ReadFile");
      return { Data: await readFile(directoryOf(request.Ref), request.FilePath, request.Range) };
    },
    async ReadDir(request, call) {
      await solveOf(call, "ReadDir");
      return { entries: listDirectory(directoryOf(request.Ref), request.DirPath, request.IncludePattern) };
    },
    async StatFile(request, call) {
      await solveOf(call, "StatFile");
      return { stat: statFile(directoryOf(request.Ref), request.Path) };
    },
    async ResolveImageConfig(request, call) {
      const solve = await solveOf(call, "ResolveImageConfig");
      if (deps.resolveImage === undefined)
        throw new GrpcError(codes.unimplemented, "resolving images for clients is not supported");
      const mode = request.ResolveMode === "pull" ? "always" : "missing";
      const storeId = request.StoreID === "" ? undefined : request.StoreID;
      const { resolveImage } = deps;
      const platform = platformOf(request.Platform);
      const name = `resolve image config for docker-image://${request.Ref}`;
      const vertex = { digest: digestOf(`${name} ${storeId ?? ""} ${renderPlatform(platform)}`), name };
      const known = await solve.job.progress.vertex(vertex, (report) =>
        resolveImage.resolve(request.Ref, platform, { mode, client: solve.client, storeId, report }, call.signal),
      );
      return { Digest: known.imageId, Config: Buffer.from(JSON.stringify(known.config)), Ref: request.Ref };
    },
    async Warn(request, call) {
      const solve = await solveOf(call, "Warn");
      const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString("utf8");
      const position = (at: { readonly line: number; readonly character: number } | undefined) => ({
        line: at?.line ?? 0,
        column: at?.character ?? 0,
      });
      solve.job.progress.emit({
        kind: "warning",
        vertex: request.digest,
        level: request.level,
        short: text(request.short),
        detail: request.detail.map(text),
        url: request.url,
        filename: request.info?.filename ?? "",
        source: text(request.info?.data ?? new Uint8Array(0)),
        ranges: request.ranges.map(({ start, end }) => ({ start: position(start), end: position(end) })),
      });
      return {};
    },
  });
}

async function bridgeSolve(
  deps: BuildkitDeps,
  solves: Solves,
  solve: OpenSolve,
  request: MessageOf<typeof SolveRequest>,
  signal: AbortSignal,
): Promise<MessageInit<typeof SolveResponse>> {
  if (request.Frontend === "dockerfile.v0") {
    const cacheImports = request.CacheImports.map(({ Type, Attrs }) =>
      cacheRequestOf("import", Type, Object.fromEntries(Attrs)),
    );
    const result = await solveFrontend(solves, solve, request.FrontendOpt, request.FrontendInputs, cacheImports);
    return { result: renderResult(solves, solve, result) };
  }
  if (request.Frontend !== "")
    throw new GrpcError(
      codes.unimplemented,
      `the frontend ${JSON.stringify(request.Frontend)} is not supported: use dockerfile.v0`,
    );
  const parsed = request.Definition === undefined ? { kind: "scratch" as const } : parseDefinition(request.Definition);
  const id =
    parsed.kind === "result"
      ? parsed.id
      : solves.remember(
          solve,
          parsed.kind === "scratch" ? { kind: "scratch" } : await solveSource(deps, solve, parsed.op, signal),
        );
  solves.result(id);
  return { result: { ref: refOf(id) } };
}

/** What Control.Solve does as well when it names the frontend itself. */
export async function solveFrontend(
  solves: Solves,
  solve: OpenSolve,
  options: ReadonlyMap<string, string>,
  inputs: ReadonlyMap<string, MessageOf<typeof Definition>>,
  cacheImports: readonly CacheRequest[],
): Promise<FrontendResult> {
  const input = (name: string): NamedContext | undefined => {
    const definition = inputs.get(name);
    if (definition === undefined) return undefined;
    const parsed = parseDefinition(definition);
    if (parsed.kind === "result") return contextOf(solves.result(parsed.id));
    return parsed.kind === "scratch" ? undefined : sourceContext(parsed.op);
  };
  const parsed = parseFrontendOptions(options, input, cacheImports);
  for (const [name, session] of parsed.directories) solve.directories.set(name, session);
  if (parsed.inlineCache) solve.inlineCache = true;
  return solve.job.solve(parsed.request);
}

function sourceContext(
  op: Extract<ReturnType<typeof parseDefinition>, { readonly kind: "source" }>["op"],
): NamedContext {
  if (op.kind === "local") return { kind: "local", name: op.name };
  if (op.kind === "http") return { kind: "http", url: op.url, filename: op.filename };
  return { kind: "git", remote: op.remote, ref: op.ref, subdirectory: op.subdirectory };
}

function refOf(id: string): MessageInit<typeof Ref> {
  return { id, def: renderResultDefinition(id) };
}

/** One ref, or one per platform where several were asked for. A question's answer has none. */
function renderResult(solves: Solves, solve: OpenSolve, result: FrontendResult): MessageInit<typeof ResultMessage> {
  const ids = result.images.map((draft) => solves.remember(solve, { kind: "image", result, draft }));
  const { metadata } = result;
  const [first] = ids;
  if (first === undefined) return { ref: { id: "" }, metadata };
  if (ids.length === 1) return { ref: refOf(first), metadata };
  const platforms = result.images.map(({ platform }) => renderPlatform(platform));
  const refs = Object.fromEntries(ids.map((id, i) => [platforms[i] ?? "", refOf(id)]));
  const described = result.images.map(({ platform }, i) => ({ ID: platforms[i], Platform: platform }));
  return {
    refs: { refs },
    metadata: { "refs.platforms": Buffer.from(JSON.stringify({ Platforms: described })), ...metadata },
  };
}

/** @returns undefined when there is nothing to put out */
function returnedResult(
  solves: Solves,
  result: MessageOf<typeof ResultMessage> | undefined,
): FrontendResult | undefined {
  if (result === undefined) return undefined;
  const refs = [...(result.ref === undefined ? [] : [result.ref]), ...(result.refs?.refs.values() ?? [])];
  const ids = refs.map(({ id }) => id).filter((id) => id !== "");
  let whole: FrontendResult | undefined;
  for (const id of ids) {
    const found = solves.result(id);
    if (found.kind !== "image")
      throw new GrpcError(codes.unimplemented, "a source alone cannot be put out: use a Dockerfile");
    if (whole !== undefined && whole !== found.result)
      throw new GrpcError(codes.unimplemented, "results of several solves cannot be put out as one");
    whole = found.result;
  }
  return whole;
}

function platformOf(platform: MessageOf<typeof PlatformMessage> | undefined): Platform {
  if (platform === undefined) return { os: "linux", architecture: hostArchitecture() };
  const { OS, Architecture, Variant } = platform;
  return { os: OS, architecture: Architecture, ...(Variant === "" ? {} : { variant: Variant }) };
}
