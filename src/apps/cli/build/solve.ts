// One build from the command line: a session for the daemon's questions, the solve, its progress, its failure.

import { randomBytes } from "node:crypto";
import {
  ask,
  type BuildStatusMessage,
  openBuildkit,
  openSession,
  solve,
  type SolveOptions,
} from "../../../client/build.ts";
import type { MessageOf } from "../../../grpc/index.ts";
import type { Timestamp } from "../../../spec/buildkit/types.ts";
import type { CommandContext } from "../command.ts";
import { escapeControls } from "../escape.ts";
import type { BuildContext } from "./context.ts";
import type { BuildOptions } from "./options.ts";
import { makeSession } from "./session.ts";
import type { BuildDisplay, BuildStatus } from "./status.ts";
import { openStores } from "./stores.ts";

const frontend = "dockerfile.v0";
const tailLines = 20;

/** What a step wrote last. */
export class StepTails {
  readonly #steps = new Map<string, { name: string; tail: string[]; partial: string }>();

  note(status: BuildStatus): void {
    for (const { digest, name } of status.vertexes) this.#of(digest).name = name;
    for (const { vertex, data } of status.logs) {
      const step = this.#of(vertex);
      const lines = (step.partial + Buffer.from(data).toString()).split("\n");
      step.partial = lines.pop() ?? "";
      step.tail = [...step.tail, ...lines].slice(-tailLines);
    }
  }

  get(digest: string): { readonly name: string; readonly tail: readonly string[] } | undefined {
    const step = this.#steps.get(digest);
    if (step === undefined) return undefined;
    return { name: step.name, tail: step.partial === "" ? step.tail : [...step.tail, step.partial] };
  }

  #of(digest: string): { name: string; tail: string[]; partial: string } {
    let step = this.#steps.get(digest);
    if (step === undefined) {
      step = { name: "", tail: [], partial: "" };
      this.#steps.set(digest, step);
    }
    return step;
  }
}

export interface BuildRun {
  readonly ref: string;
  /** The exporters' answer. */
  readonly response: ReadonlyMap<string, string>;
  /** Of a question. */
  readonly answer: ReadonlyMap<string, Uint8Array>;
}

/** @throws GrpcError the build failed; DaemonError, ConnectionError */
export async function runBuild(
  context: CommandContext,
  options: BuildOptions,
  source: BuildContext,
  display: BuildDisplay,
  tails: StepTails,
  signal: AbortSignal,
): Promise<BuildRun> {
  const stores = openStores(options);
  for (const warning of stores.warnings) context.err(`${escapeControls(warning)}\n`);
  const session = await makeSession(context, options, source, stores.stores);
  const buildkit = await openBuildkit(context.client, signal);
  try {
    await openSession(context.client, session, signal);
    const ref = randomBytes(16).toString("hex").slice(0, 25);
    const onStatus = (message: BuildStatusMessage): void => {
      const status = statusOf(message);
      tails.note(status);
      display.show(status);
    };
    const request: SolveOptions = {
      Ref: ref,
      Session: session.id,
      Frontend: frontend,
      FrontendAttrs: { ...options.attributes, ...source.attributes, ...stores.attributes },
      Entitlements: options.entitlements,
      Exporters: options.outputs.map(({ type, attributes }) => ({ Type: type, Attrs: attributes })),
      Cache: { Imports: stores.imports, Exports: stores.exports },
    };
    if (options.question !== undefined) {
      const answer = await ask(buildkit, request, onStatus, signal);
      return { ref, response: new Map(), answer };
    }
    const response = await solve(buildkit, request, onStatus, signal);
    stores.finish(response);
    return { ref, response, answer: new Map() };
  } finally {
    display.end();
    buildkit.close();
    session.close();
  }
}

function nsOf(time: MessageOf<typeof Timestamp> | undefined): bigint | undefined {
  return time === undefined ? undefined : time.seconds * 1_000_000_000n + BigInt(time.nanos);
}

function statusOf(message: BuildStatusMessage): BuildStatus {
  return {
    vertexes: message.vertexes.map(({ digest, name, cached, error, started, completed }) => ({
      digest,
      name,
      cached,
      error,
      startedNs: nsOf(started),
      completedNs: nsOf(completed),
    })),
    tasks: message.statuses.map(({ ID, vertex, current, total, started, completed }) => ({
      vertex,
      id: ID,
      current,
      total,
      startedNs: nsOf(started),
      completedNs: nsOf(completed),
    })),
    logs: message.logs.map(({ vertex, timestamp, msg }) => ({ vertex, atNs: nsOf(timestamp) ?? 0n, data: msg })),
    warnings: message.warnings.map(({ vertex, short, url, detail, info, ranges }) => ({
      vertex,
      short: Buffer.from(short).toString(),
      url,
      detail: detail.map((text) => Buffer.from(text).toString()),
      filename: info?.filename ?? "",
      source: Buffer.from(info?.data ?? []).toString(),
      lines: ranges.map(({ start, end }) => [start?.line ?? 0, end?.line ?? 0] as const),
    })),
  };
}
