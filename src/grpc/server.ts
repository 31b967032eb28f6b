// The serving end, on a connection that somebody else accepted: HTTP/2 by prior knowledge, calls handed to implementations.
//
//   HEADERS :path, grpc-timeout, metadata ──► handler(request or requests, call)
//   DATA frames of messages               ◄─► back-pressure by HTTP/2's windows, both ways
//   HEADERS trailers grpc-status          ◄── what the handler returned or threw; RST_STREAM aborts call.signal
//
// Source: gRPC over HTTP2.

import { constants, performServerHandshake, type ServerHttp2Session, type ServerHttp2Stream } from "node:http2";
import type { Duplex } from "node:stream";
import { messageOf } from "../base/errors.ts";
import type { Logger } from "../base/log.ts";
import { encodeFrame, readMessages, writeFrame } from "./framing.ts";
import { parseMetadata, rawHeader, renderMetadata, type Metadata, type MetadataInit } from "./metadata.ts";
import type { AnyMethod, RequestOf, ResponseInit, Service } from "./service.ts";
import { codes, GrpcError, grpcErrorOf, statusTrailers } from "./status.ts";

/** How much a client may send ahead of us, per call and in all. */
const streamWindowBytes = 4 * 1024 * 1024;
const connectionWindowBytes = 16 * 1024 * 1024;
const maxConcurrentCalls = 256;
/** MB that node:http2 may hold for one connection. */
const sessionMemoryMb = 64;
/** How long a client may leave its side of a call open that was answered. */
const openCallLingerMs = 5_000;

/** What a handler knows of its call. */
export interface Call {
  readonly metadata: Metadata;
  /** Aborted when the client cancels or is gone, when the deadline is over, and when the daemon closes. */
  readonly signal: AbortSignal;
  /** Goes before the first message. */
  sendMetadata(metadata: MetadataInit): void;
  /** Goes with the status. */
  addTrailers(metadata: MetadataInit): void;
}

type UnaryHandler<M extends AnyMethod> = (request: RequestOf<M>, call: Call) => Promise<ResponseInit<M>>;
type ServerStreamHandler<M extends AnyMethod> = (request: RequestOf<M>, call: Call) => AsyncIterable<ResponseInit<M>>;
type BidiHandler<M extends AnyMethod> = (
  requests: AsyncIterable<RequestOf<M>>,
  call: Call,
) => AsyncIterable<ResponseInit<M>>;

export type Handler<M extends AnyMethod> = M["kind"] extends "unary"
  ? UnaryHandler<M>
  : M["kind"] extends "serverStream"
    ? ServerStreamHandler<M>
    : BidiHandler<M>;

/** A service with its handlers; methods without one are answered with Unimplemented. */
export interface Implementation {
  readonly name: string;
  answer(method: string, requests: ServerHttp2Stream, call: Call): AsyncIterable<Uint8Array> | undefined;
}

export function implement<M extends Readonly<Record<string, AnyMethod>>>(
  service: Service<M>,
  handlers: { readonly [K in keyof M]?: Handler<M[K]> },
): Implementation {
  const answers = new Map(
    Object.entries(service.methods).map(([name, method]) => [name, { method, handler: handlers[name] as unknown }]),
  );
  return {
    name: service.name,
    answer(name, stream, call) {
      const found = answers.get(name);
      return found?.handler === undefined ? undefined : answerCall(found.method, found.handler, stream, call);
    },
  };
}

async function* answerCall(
  method: AnyMethod,
  handler: unknown,
  stream: ServerHttp2Stream,
  call: Call,
): AsyncGenerator<Uint8Array> {
  const requests = readMessages(stream, method.request);
  if (method.kind === "bidi") {
    const answers = (handler as BidiHandler<AnyMethod>)(requests, call);
    for await (const answer of answers) yield encodeFrame(method.response, answer);
    return;
  }
  const first = await requests.next();
  if (first.done === true) throw new GrpcError(codes.internal, "the call has no request");
  // What else comes is nobody's: the end of the client's side must still be seen.
  stream.resume();
  if (method.kind === "unary")
    yield encodeFrame(method.response, await (handler as UnaryHandler<AnyMethod>)(first.value, call));
  else
    for await (const answer of (handler as ServerStreamHandler<AnyMethod>)(first.value, call))
      yield encodeFrame(method.response, answer);
}

export interface GrpcServerOptions {
  readonly logger: Logger;
}

export interface GrpcConnection {
  /** Resolves when the connection is gone; never rejects. */
  readonly closed: Promise<void>;
  /** Takes no further calls and cancels those that run. */
  close(): void;
}

/** Serves until the client leaves. Probes that close at once, and resets, are no errors. */
export function serveGrpc(
  connection: Duplex,
  implementations: readonly Implementation[],
  options: GrpcServerOptions,
): GrpcConnection {
  const { logger } = options;
  const { promise: closed, resolve } = Promise.withResolvers<void>();
  const calls = new Set<AbortController>();
  const session: ServerHttp2Session = performServerHandshake(connection, {
    maxSessionMemory: sessionMemoryMb,
    settings: {
      initialWindowSize: streamWindowBytes,
      maxConcurrentStreams: maxConcurrentCalls,
      maxFrameSize: 1024 * 1024,
      enablePush: false,
    },
  });
  session.setLocalWindowSize(connectionWindowBytes);
  session.on("error", (error) => logger.debug("gRPC connection failed", { error: messageOf(error) }));
  connection.on("error", () => {});
  session.on("close", () => {
    for (const call of calls) call.abort(new GrpcError(codes.cancelled, "the client is gone"));
    connection.destroy();
    resolve();
  });
  session.on("stream", (stream: ServerHttp2Stream, headers, _flags, raw: string[]) => {
    stream.on("error", (error) => logger.debug("gRPC call failed", { error: messageOf(error) }));
    if (!(headers["content-type"] ?? "").startsWith("application/grpc")) {
      refuse(stream, 415, "over HTTP/2 this socket serves gRPC alone: use HTTP/1.1");
      return;
    }
    // No browser speaks HTTP/2 to this socket; what claims to come from a page is refused all the same.
    if (headers["origin"] !== undefined || headers["sec-fetch-site"] !== undefined) {
      refuse(stream, 403, "requests of web pages are not allowed");
      return;
    }
    const cancel = new AbortController();
    calls.add(cancel);
    void serveCall(stream, raw, implementations, cancel, logger).finally(() => calls.delete(cancel));
  });
  return {
    closed,
    close() {
      for (const call of calls) call.abort(new GrpcError(codes.unavailable, "the daemon is shutting down"));
      session.destroy();
    },
  };
}

function refuse(stream: ServerHttp2Stream, status: number, why: string): void {
  stream.resume();
  stream.respond({ ":status": status, "content-type": "application/json" });
  stream.end(`${JSON.stringify({ message: why })}\n`);
}

async function serveCall(
  stream: ServerHttp2Stream,
  raw: readonly string[],
  implementations: readonly Implementation[],
  cancel: AbortController,
  logger: Logger,
): Promise<void> {
  const path = rawHeader(raw, ":path") ?? "";
  const began = performance.now();
  let trailers: Record<string, string | string[]> = {};
  let failure: GrpcError | undefined;
  const respond = (endStream: boolean, extra: MetadataInit): void => {
    if (stream.headersSent || stream.destroyed || stream.closed) return;
    stream.respond(
      { ":status": 200, "content-type": "application/grpc", ...renderMetadata(extra) },
      { endStream, waitForTrailers: !endStream },
    );
  };
  let early: MetadataInit = {};
  const call: Call = {
    metadata: parseMetadata(raw),
    signal: cancel.signal,
    sendMetadata(metadata) {
      early = metadata;
      respond(false, metadata);
    },
    addTrailers(metadata) {
      trailers = { ...trailers, ...renderMetadata(metadata) };
    },
  };
  let over = false;
  stream.once("close", () => {
    if (!over) cancel.abort(new GrpcError(codes.cancelled, "the call was cancelled"));
  });
  stream.on("wantTrailers", () => stream.sendTrailers({ ...trailers, ...statusTrailers(failure) }));
  const timer = deadlineTimer(rawHeader(raw, "grpc-timeout"), cancel);
  try {
    const answers = answersOf(path, implementations, stream, call);
    for await (const frame of untilAborted(answers, cancel.signal)) {
      respond(false, early);
      if (!(await writeFrame(stream, frame))) break;
    }
  } catch (error) {
    failure = grpcErrorOf(cancel.signal.aborted ? cancel.signal.reason : error);
  } finally {
    clearTimeout(timer);
  }
  over = true;
  logger.debug("gRPC call", {
    path: path.slice(0, 256),
    code: failure?.code ?? 0,
    error: failure?.message.slice(0, 1024),
    ms: Math.round(performance.now() - began),
  });
  finish(stream, failure, trailers, respond);
}

function finish(
  stream: ServerHttp2Stream,
  failure: GrpcError | undefined,
  trailers: Readonly<Record<string, string | string[]>>,
  respond: (endStream: boolean, extra: MetadataInit) => void,
): void {
  if (stream.destroyed || stream.closed) return;
  stream.resume();
  if (stream.headersSent) stream.end();
  else if (failure !== undefined) respond(true, { ...trailers, ...statusTrailers(failure) });
  else {
    respond(false, {});
    stream.end();
  }
  const linger = setTimeout(() => stream.close(constants.NGHTTP2_NO_ERROR), openCallLingerMs);
  stream.once("close", () => clearTimeout(linger));
}

function answersOf(
  path: string,
  implementations: readonly Implementation[],
  stream: ServerHttp2Stream,
  call: Call,
): AsyncIterable<Uint8Array> {
  const [, serviceName = "", methodName = ""] = path.split("/");
  const implementation = implementations.find(({ name }) => name === serviceName);
  if (implementation === undefined) throw new GrpcError(codes.unimplemented, `unknown service ${serviceName}`);
  const answers = implementation.answer(methodName, stream, call);
  if (answers === undefined)
    throw new GrpcError(codes.unimplemented, `unknown method ${methodName} for service ${serviceName}`);
  return answers;
}

/** The items until the signal aborts: then it throws, whether the source minds the signal or not. */
async function* untilAborted<T>(source: AsyncIterable<T>, signal: AbortSignal): AsyncGenerator<T> {
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  aborted.catch(() => {});
  const onAbort = (): void => reject(signal.reason);
  signal.addEventListener("abort", onAbort, { once: true });
  if (signal.aborted) onAbort();
  const iterator = source[Symbol.asyncIterator]();
  let ended = false;
  try {
    for (;;) {
      const next = await Promise.race([iterator.next(), aborted]);
      if (next.done === true) {
        ended = true;
        return;
      }
      yield next.value;
    }
  } finally {
    signal.removeEventListener("abort", onAbort);
    // Not waited for: it may stand in a step that ends by the signal, or later.
    if (!ended) iterator.return?.().catch(() => {});
  }
}

const timeoutUnitsMs: Readonly<Record<string, number>> = { H: 3_600_000, M: 60_000, S: 1_000, m: 1, u: 1e-3, n: 1e-6 };
/** setTimeout takes no more; a deadline that far off is none. */
const maxTimerMs = 2 ** 31 - 1;

function deadlineTimer(header: string | undefined, cancel: AbortController): NodeJS.Timeout | undefined {
  const match = /^(\d{1,8})([HMSmun])$/.exec(header ?? "");
  const ms = Number(match?.[1]) * (timeoutUnitsMs[match?.[2] ?? ""] ?? Number.NaN);
  if (!(ms <= maxTimerMs)) return undefined;
  return setTimeout(() => cancel.abort(new GrpcError(codes.deadlineExceeded, "context deadline exceeded")), ms);
}
