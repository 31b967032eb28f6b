// Builds through POST /build, as a client that has only HTTP does them: a tar in, a stream of JSON out.

import { type ClientRequest, request } from "node:http";
import type { TestDaemon } from "./daemon.ts";
import { file, type RawMember, tarOf } from "./tar.ts";

export interface BuildAnswer {
  readonly status: number;
  /** All text of the stream. */
  readonly said: string;
  /** Undefined when the build was done. */
  readonly error: string | undefined;
  readonly imageId: string | undefined;
}

interface Message {
  readonly stream?: string;
  readonly status?: string;
  readonly error?: string;
  readonly message?: string;
  readonly aux?: { readonly ID?: string };
}

/** A context of a Dockerfile and other members. */
export function contextOf(dockerfile: string, ...members: readonly (RawMember | Uint8Array)[]): Buffer {
  return tarOf(file("Dockerfile", dockerfile), ...members);
}

/** One build to its end. `query` without the question mark. */
export async function classicBuild(daemon: TestDaemon, query: string, context: Uint8Array): Promise<BuildAnswer> {
  const { status, text } = await daemon.api("POST", `/build?${query}`, context);
  return parseAnswer(status, text);
}

function parseAnswer(status: number, text: string): BuildAnswer {
  const messages = text
    .split("\n")
    .filter((line) => line.trim() !== "")
    .map((line) => JSON.parse(line) as Message);
  return {
    status,
    said: messages.map(({ stream, status: told }) => stream ?? told ?? "").join(""),
    error: messages.map(({ error, message }) => error ?? message).find((one) => one !== undefined),
    imageId: messages.map(({ aux }) => aux?.ID).findLast((id) => id !== undefined),
  };
}

/** A build whose client can hang up. */
export interface OpenBuild {
  readonly call: ClientRequest;
  /** What came until now. */
  said(): string;
  /** Resolves when the connection is gone. */
  readonly closed: Promise<void>;
}

/** Begins a build; the caller sends the body, if it has not given one, and destroys the call. */
export function openBuild(daemon: TestDaemon, query: string, context?: Uint8Array): OpenBuild {
  let text = "";
  const { promise: closed, resolve } = Promise.withResolvers<void>();
  const call = request({
    socketPath: daemon.socket,
    method: "POST",
    path: `/build?${query}`,
    agent: false,
    headers: { "content-type": "application/x-tar" },
  });
  call.on("response", (response) => {
    response.on("data", (chunk: Buffer) => (text += chunk.toString()));
    response.on("error", () => {});
  });
  call.on("error", () => {});
  call.on("close", resolve);
  if (context !== undefined) call.end(context);
  return { call, said: () => text, closed };
}
