// One step of a scenario over HTTP or a hijacked connection, and what of its answer is compared: status, content type, message,
// and whatever the step selects, with ids, digests and times taken out.

import { request } from "node:http";
import { connect } from "node:net";
import { hostDirectory } from "./host-directory.ts";

export interface Step {
  /** Unique; the key in expectations.json. */
  readonly name: string;
  readonly method: string;
  readonly path: string;
  readonly body?: string | Buffer;
  /** application/json for text, application/x-tar for bytes, unless given. */
  readonly contentType?: string;
  /** Hijacks: sends this after the head has come, closes the sending side, and reads to the end. */
  readonly hijack?: { readonly input: string };
  /** What of a JSON answer is compared. */
  readonly select?: (json: unknown) => unknown;
  /** What of an answer that is no JSON is compared. */
  readonly read?: (answer: RawAnswer) => unknown;
  /** Where Gantry differs on purpose: what it answers instead, and why. */
  readonly ours?: {
    readonly status: number;
    /** A pattern where the text names what only this host knows. */
    readonly message?: string | RegExp;
    readonly value?: unknown;
    readonly why: string;
  };
}

/** A comparable answer; absent fields had nothing to compare. */
export interface Observation {
  readonly status: number;
  readonly contentType?: string;
  readonly message?: string;
  readonly value?: unknown;
}

export interface RawAnswer {
  readonly status: number;
  readonly contentType: string | undefined;
  /** X-Docker-Container-Path-Stat as it came. */
  readonly pathStat?: string | undefined;
  readonly body: Buffer;
}

export async function observe(socketPath: string, step: Step): Promise<Observation> {
  const answer = await (step.hijack === undefined ? send(socketPath, step) : hijack(socketPath, step));
  const { status, contentType, body } = answer;
  const text = body.toString("latin1");
  const json = parseOrUndefined(body.toString());
  const { message } = Object(json) as { readonly message?: unknown };
  const failed = status >= 400;
  const selected = failed ? undefined : step.hijack !== undefined ? text : (step.read?.(answer) ?? step.select?.(json));
  return {
    status,
    ...(contentType === undefined || failed ? {} : { contentType }),
    // A hijacking dockerd writes its errors as bare text.
    ...(failed ? { message: normalise(typeof message === "string" ? message : text.trim()) } : {}),
    ...(selected === undefined ? {} : { value: normaliseDeep(selected) }),
  };
}

function send(socketPath: string, step: Step): Promise<RawAnswer> {
  const { promise, resolve, reject } = Promise.withResolvers<RawAnswer>();
  const headers = step.body === undefined ? {} : { "Content-Type": typeOf(step), "Content-Length": byteLength(step) };
  const outgoing = request({ socketPath, method: step.method, path: step.path, headers, agent: false }, (response) => {
    const chunks: Buffer[] = [];
    response.on("data", (chunk: Buffer) => chunks.push(chunk));
    response.on("error", reject);
    response.on("end", () => {
      const { statusCode = 0, headers } = response;
      const stat = headers["x-docker-container-path-stat"];
      resolve({
        status: statusCode,
        contentType: headers["content-type"],
        pathStat: typeof stat === "string" ? stat : undefined,
        body: Buffer.concat(chunks),
      });
    });
  });
  outgoing.on("error", reject);
  outgoing.end(step.body);
  return promise;
}

function hijack(socketPath: string, step: Step): Promise<RawAnswer> {
  const { promise, resolve, reject } = Promise.withResolvers<RawAnswer>();
  const body = step.body ?? "";
  const socket = connect({ path: socketPath, allowHalfOpen: true });
  let received = Buffer.alloc(0);
  let headSeen = false;
  socket.on("connect", () => {
    socket.write(
      `${step.method} ${step.path} HTTP/1.1\r\nHost: docker\r\nConnection: Upgrade\r\nUpgrade: tcp\r\nContent-Type: application/json\r\nContent-Length: ${byteLength(step)}\r\n\r\n`,
    );
    socket.write(body);
  });
  socket.on("data", (chunk: Buffer) => {
    received = Buffer.concat([received, chunk]);
    if (headSeen || !received.includes("\r\n\r\n")) return;
    headSeen = true;
    socket.end(step.hijack?.input ?? "");
  });
  socket.on("error", reject);
  socket.on("end", () => socket.destroy());
  socket.on("close", () => {
    const at = received.indexOf("\r\n\r\n");
    const head = received.subarray(0, Math.max(at, 0)).toString("latin1");
    const contentType = /^content-type: (.*)$/im.exec(head)?.[1]?.trim();
    resolve({ status: Number(head.split(" ")[1] ?? 0), contentType, body: received.subarray(at + 4) });
  });
  return promise;
}

function typeOf(step: Step): string {
  return step.contentType ?? (typeof step.body === "string" ? "application/json" : "application/x-tar");
}

function byteLength(step: Step): number {
  return step.body === undefined ? 0 : Buffer.byteLength(step.body);
}

/** A document, or the list of those in a stream of lines. */
function parseOrUndefined(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    const lines = text.trim().split("\r\n");
    return lines.length < 2 ? undefined : lines.map(parseOrUndefined);
  }
}

function normalise(text: string): string {
  return text
    .replaceAll(/sha256:[0-9a-f]{64}/g, "<digest>")
    .replaceAll(/\b[0-9a-f]{64}\b/g, "<id>")
    .replaceAll(/\/\S+(?=\/image\/overlay2\/)/g, "<root>")
    .replaceAll(/\/[^\s:"',]+(?=\/containers\/<id>\/)/g, "<root>")
    .replaceAll(/\/[^\s:"',]+(?=\/overlay2\/<id>\/)/g, "<root>")
    .replaceAll(/\/[^\s:"',]+(?=\/volumes\/[^/\s]+\/_data\b)/g, "<root>")
    .replaceAll(hostDirectory, "<host>")
    .replaceAll(/\b[0-9a-f]{12}\b/g, "<short>")
    .replaceAll(/\b(?:crun|runc) create failed/g, "<runtime> create failed")
    .replaceAll(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z/g, "<time>");
}

function normaliseDeep(value: unknown): unknown {
  if (typeof value === "string") return normalise(value);
  if (Array.isArray(value)) return value.map(normaliseDeep);
  if (typeof value !== "object" || value === null) return value;
  // As in JSON, what is undefined is not there.
  const members = Object.entries(value).filter(([, member]) => member !== undefined);
  return Object.fromEntries(members.map(([key, member]) => [normalise(key), normaliseDeep(member)]));
}

/** Values replaced by the names of their types, lists by the shape of their first element: compares what is there, not what it is. */
export function shapeOf(value: unknown): unknown {
  if (value === null) return "null";
  if (Array.isArray(value)) return value.length === 0 ? [] : [shapeOf(value[0])];
  if (typeof value !== "object") return typeof value;
  return Object.fromEntries(
    Object.entries(value)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, member]) => [key, shapeOf(member)]),
  );
}
