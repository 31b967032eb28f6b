// Builds over BuildKit's API, which dockerd and gantryd serve on /grpc: solve with its progress, questions about a Dockerfile, the
// cache. Files, secrets and agents are served to the daemon on a session, a connection of its own (client/session).

import { connectGrpc, type GrpcClient, type MessageInit, type MessageOf } from "../grpc/index.ts";
import { Control, type SolveRequest, type StatusResponse, type UsageRecord } from "../spec/buildkit/control.ts";
import { LLBBridge } from "../spec/buildkit/gateway.ts";
import type { Client } from "./client.ts";
import type { ClientSession } from "./session/index.ts";

/** Metadata that says which build a call of the bridge belongs to. */
const buildIdKey = "buildkit-controlapi-buildid";

/** @throws DaemonError the daemon has no BuildKit */
export async function openBuildkit(client: Client, signal: AbortSignal): Promise<GrpcClient> {
  return connectGrpc(await client.upgrade("/grpc", "h2c", {}, signal));
}

/** Lets the daemon be the client of `session` until it is closed. @returns resolves when the daemon knows of it */
export async function openSession(
  client: Client,
  session: Pick<ClientSession, "headers" | "serve">,
  signal: AbortSignal,
): Promise<{ readonly gone: Promise<void> }> {
  const headers: Record<string, string | readonly string[]> = {};
  for (const [name, value] of session.headers) {
    const before = headers[name];
    headers[name] = before === undefined ? value : [...(typeof before === "string" ? [before] : before), value];
  }
  const connection = await client.upgrade("/session", "h2c", headers, signal);
  return { gone: session.serve(connection).catch(() => undefined) };
}

export type SolveOptions = MessageInit<typeof SolveRequest> & { readonly Ref: string };
export type BuildStatusMessage = MessageOf<typeof StatusResponse>;

/**
 * Builds, and tells of it until it is over.
 *
 * @returns what the exporters answered
 * @throws GrpcError the build failed
 */
export async function solve(
  buildkit: GrpcClient,
  options: SolveOptions,
  onStatus: (status: BuildStatusMessage) => void,
  signal: AbortSignal,
): Promise<ReadonlyMap<string, string>> {
  const solving = buildkit.unary(Control.methods.Solve, options, {}, signal);
  const following = follow(buildkit, options.Ref, onStatus, signal);
  try {
    const { ExporterResponse } = await solving;
    return ExporterResponse;
  } finally {
    // What was told of the failure comes before the failure.
    await following.catch(() => undefined);
  }
}

async function follow(
  buildkit: GrpcClient,
  ref: string,
  onStatus: (status: BuildStatusMessage) => void,
  signal: AbortSignal,
): Promise<void> {
  for await (const status of buildkit.serverStream(Control.methods.Status, { Ref: ref }, {}, signal)) onStatus(status);
}

/**
 * Asks the frontend about a Dockerfile.
 *
 * @param options its FrontendAttrs have the `requestid`
 * @returns the answer's metadata: "result.json", "result.txt"
 * @throws GrpcError
 */
export async function ask(
  buildkit: GrpcClient,
  options: SolveOptions,
  onStatus: (status: BuildStatusMessage) => void,
  signal: AbortSignal,
): Promise<ReadonlyMap<string, Uint8Array>> {
  const { Frontend = "", FrontendAttrs = {}, ...outer } = options;
  const call = { metadata: { [buildIdKey]: options.Ref } };
  const building = buildkit.unary(Control.methods.Solve, { ...outer, Frontend: "" }, {}, signal);
  building.catch(() => undefined);
  const following = follow(buildkit, options.Ref, onStatus, signal);
  following.catch(() => undefined);
  try {
    const { result } = await buildkit.unary(
      LLBBridge.methods.Solve,
      { Frontend, FrontendOpt: FrontendAttrs, allowResultReturn: true, allowResultArrayRef: true },
      call,
      signal,
    );
    await buildkit.unary(
      LLBBridge.methods.Return,
      { result: { metadata: Object.fromEntries(result?.metadata ?? []) } },
      call,
      signal,
    );
    await building;
    return result?.metadata ?? new Map();
  } catch (error) {
    await buildkit
      .unary(LLBBridge.methods.Return, { error: { code: 2, message: String(error) } }, call, signal)
      .catch(() => undefined);
    throw error;
  } finally {
    await following.catch(() => undefined);
  }
}

export async function cacheUsage(
  buildkit: GrpcClient,
  filter: readonly string[],
  signal: AbortSignal,
): Promise<readonly MessageOf<typeof UsageRecord>[]> {
  const { record } = await buildkit.unary(Control.methods.DiskUsage, { filter }, {}, signal);
  return record;
}
