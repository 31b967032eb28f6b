// Control: builds, their progress and history, the cache.
//
//   Solve ─ job opened ─┬─ Frontend named: solved here ──────────────┬─ outputs ─ ExporterResponse
//                       └─ none: stands until LLBBridge.Return says ─┘
//
// The client that cancels the call, or leaves, cancels the job.

import type { Duplex } from "node:stream";
import { EngineError, messageOf } from "../../base/errors.ts";
import { codes, GrpcError, implement, type Implementation, type MessageOf } from "../../grpc/index.ts";
import { Control, type SolveRequest } from "../../spec/buildkit/control.ts";
import type { CacheRequest } from "../build/cache/index.ts";
import type { OutputRequest } from "../build/export/index.ts";
import type { FrontendResult } from "../build/index.ts";
import { solveFrontend } from "./bridge.ts";
import { parseCacheFilters, pruneCache, renderUsage } from "./cache-usage.ts";
import { grpcFailure } from "./failure.ts";
import { cacheRequestOf } from "./frontend-options.ts";
import { listenHistory } from "./history.ts";
import type { BuildkitDeps, Sessions } from "./index.ts";
import { lateClient } from "./late-client.ts";
import { tunnel } from "./session-tunnel.ts";
import type { OpenSolve, Solves } from "./solves.ts";
import { renderStatus } from "./status.ts";
import { buildkitVersion, workerRecord } from "./worker.ts";

type AcceptSession = (
  connection: Duplex,
  headers: Readonly<Record<string, string | readonly string[] | undefined>>,
) => void;

export function createControl(
  deps: BuildkitDeps,
  sessions: Sessions,
  solves: Solves,
  acceptSession: AcceptSession,
): Implementation {
  const { builder } = deps;
  return implement(Control, {
    async Solve(request, { signal }) {
      try {
        return await solve(deps, sessions, solves, request, signal);
      } catch (error) {
        throw grpcFailure(error, (thrown) => builder.failureOf(thrown));
      }
    },
    async *Status(request, { signal }) {
      const recorded = builder.history.get(request.Ref) !== undefined;
      const progress = await solves.progress(request.Ref, recorded, signal);
      const events = progress === undefined ? builder.history.events(request.Ref, signal) : progress.subscribe(signal);
      for await (const batch of events) yield* renderStatus(batch);
    },
    Session: (requests, call) => tunnel(requests, call, acceptSession),
    ListWorkers: async () => ({ record: [workerRecord(deps)] }),
    Info: async () => ({ buildkitVersion: buildkitVersion(deps.engineVersion) }),
    async DiskUsage(request) {
      const matches = parseCacheFilters(request.filter);
      return { record: (await builder.cache.entries()).filter(matches).map(renderUsage) };
    },
    async *Prune(request, { signal }) {
      yield* (await pruneCache(builder.cache, request, signal)).map(renderUsage);
    },
    ListenBuildHistory: (request, { signal }) => listenHistory(builder.history, request, signal),
    async UpdateBuildHistory({ Ref, Pinned, Delete, Finalize }) {
      if (Delete) await builder.history.update(Ref, { remove: true });
      // There is no trace to be written that would have to wait for a client.
      else if (!Finalize) await builder.history.update(Ref, { pinned: Pinned });
      return {};
    },
  });
}

async function solve(
  deps: BuildkitDeps,
  sessions: Sessions,
  solves: Solves,
  request: MessageOf<typeof SolveRequest>,
  signal: AbortSignal,
): Promise<{ readonly ExporterResponse: Readonly<Record<string, string>> }> {
  const { builder } = deps;
  checkSolve(request);
  const outputs = outputsOf(request);
  const cacheExports = cacheExportsOf(request);
  const directories = new Map<string, string>();
  const client = lateClient(sessions, request.Session, directories);
  const job = builder.open(
    {
      ref: request.Ref,
      client,
      entitlements: request.Entitlements,
      keepFailed: !request.Internal,
      internal: request.Internal,
      outputs,
      cacheExports,
      raw: Object.fromEntries(request.FrontendAttrs),
    },
    signal,
  );
  const open: OpenSolve = {
    ref: request.Ref,
    job,
    client,
    directories,
    returned: Promise.withResolvers(),
    held: [],
    results: new Set(),
    inlineCache: false,
    failure: undefined,
  };
  open.returned.promise.catch(() => {});
  solves.add(open);
  let failure: unknown;
  try {
    const result = await resultOf(solves, open, request, signal);
    if (result === undefined || result.images.length === 0) return { ExporterResponse: {} };
    const caches: readonly CacheRequest[] =
      open.inlineCache && !cacheExports.some(({ type }) => type === "inline")
        ? [...cacheExports, { type: "inline", attributes: {} }]
        : cacheExports;
    return { ExporterResponse: await job.export(result, outputs, caches) };
  } catch (error) {
    // The client hands our own failure back: the job is told what it was.
    const ours = open.failure;
    failure = ours !== undefined && messageOf(error).includes(ours.told.message) ? ours.error : error;
    throw error instanceof GrpcError && ours !== undefined && failure === ours.error
      ? new GrpcError(error.code, error.message, { details: ours.told.details })
      : grpcFailure(error, (thrown) => builder.failureOf(thrown));
  } finally {
    try {
      for (const held of open.held) await held[Symbol.asyncDispose]();
      await job.close({ error: failure });
    } catch (error) {
      deps.logger.warn("a build could not be closed", { ref: open.ref, error: messageOf(error) });
    }
    solves.end(open);
  }
}

async function resultOf(
  solves: Solves,
  open: OpenSolve,
  request: MessageOf<typeof SolveRequest>,
  signal: AbortSignal,
): Promise<FrontendResult | undefined> {
  if (request.Frontend !== "") {
    const imports = (request.Cache?.Imports ?? []).map(({ Type, Attrs }) =>
      cacheRequestOf("import", Type, Object.fromEntries(Attrs)),
    );
    return solveFrontend(solves, open, request.FrontendAttrs, request.FrontendInputs, imports);
  }
  const cancelled = Promise.withResolvers<never>();
  cancelled.promise.catch(() => {});
  const onAbort = (): void => cancelled.reject(new EngineError("Cancelled", "the build was cancelled"));
  const signals = [signal, open.job.signal];
  for (const each of signals) {
    each.addEventListener("abort", onAbort, { once: true });
    if (each.aborted) onAbort();
  }
  try {
    return (await Promise.race([open.returned.promise, cancelled.promise])).result;
  } finally {
    for (const each of signals) each.removeEventListener("abort", onAbort);
  }
}

/** @throws GrpcError what there is not, by name */
function checkSolve(request: MessageOf<typeof SolveRequest>): void {
  if (request.Ref === "") throw new GrpcError(codes.invalidArgument, "a build needs a ref");
  if (request.Frontend !== "" && request.Frontend !== "dockerfile.v0")
    throw new GrpcError(
      codes.unimplemented,
      `the frontend ${JSON.stringify(request.Frontend)} is not supported: use dockerfile.v0`,
    );
  if (request.Frontend === "" && (request.Definition?.def.length ?? 0) > 0)
    throw new GrpcError(codes.unimplemented, "LLB is not supported: use the dockerfile frontend");
  if (request.SourcePolicy !== undefined && request.SourcePolicy.length > 0)
    throw new GrpcError(codes.unimplemented, "source policies are not supported");
}

const outputTypes: readonly OutputRequest["type"][] = [
  "image",
  "moby",
  "docker",
  "oci",
  "local",
  "tar",
  "registry",
  "cacheonly",
];

/** @throws GrpcError an exporter that there is none of */
function outputsOf(request: MessageOf<typeof SolveRequest>): readonly OutputRequest[] {
  const exporters =
    request.Exporters.length === 0 && request.ExporterDeprecated !== ""
      ? [{ Type: request.ExporterDeprecated, Attrs: request.ExporterAttrsDeprecated }]
      : request.Exporters;
  return exporters.map(({ Type, Attrs }, index) => {
    const type = outputTypes.find((each) => each === Type);
    if (type === undefined) throw new GrpcError(codes.unknown, `exporter ${JSON.stringify(Type)} could not be found`);
    return { type, attributes: Object.fromEntries(Attrs), index };
  });
}

function cacheExportsOf(request: MessageOf<typeof SolveRequest>): readonly CacheRequest[] {
  const cache = request.Cache;
  if (cache === undefined) return [];
  const exports = cache.Exports.map(({ Type, Attrs }) => cacheRequestOf("export", Type, Object.fromEntries(Attrs)));
  if (exports.length > 0 || cache.ExportRefDeprecated === "") return exports;
  const attributes = { ref: cache.ExportRefDeprecated, ...Object.fromEntries(cache.ExportAttrsDeprecated) };
  return [{ type: "registry", attributes }];
}
