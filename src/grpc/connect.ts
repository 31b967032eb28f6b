// The calling end, on a connection that somebody else made: in a BuildKit session the daemon calls the client.
// Source: gRPC over HTTP2.

import { type ClientHttp2Session, type ClientHttp2Stream, connect, constants } from "node:http2";
import type { Duplex } from "node:stream";
import { messageOf } from "../base/errors.ts";
import { encodeFrame, readMessages, writeFrame } from "./framing.ts";
import { parseMetadata, rawHeader, renderMetadata, type Metadata, type MetadataInit } from "./metadata.ts";
import type { AnyMethod, Located, Method, RequestInit, ResponseOf } from "./service.ts";
import type { AnyMessage } from "./message.ts";
import { codes, errorOfTrailers, GrpcError } from "./status.ts";

/** Contexts of builds come this way: wide windows save a stop per round trip. */
const windowBytes = 16 * 1024 * 1024;
const sessionMemoryMb = 128;

export interface CallOptions {
  readonly metadata?: MetadataInit;
  /** From now on. */
  readonly timeoutMs?: number;
}

type UnaryMethod = Located<Method<"unary", AnyMessage, AnyMessage>>;
type StreamMethod = Located<Method<"serverStream", AnyMessage, AnyMessage>>;
type BidiMethod = Located<Method<"bidi", AnyMessage, AnyMessage>>;

/** A call with messages both ways. */
export interface BidiCall<M extends AnyMethod> {
  /** Waits while the other end takes no more. @returns false when the call is over: `responses` tells why */
  send(request: RequestInit<M>): Promise<boolean>;
  /** No further requests. */
  end(): void;
  /** To be read once. @throws GrpcError how the call ended, unless well */
  readonly responses: AsyncIterable<ResponseOf<M>>;
  /** What came before the first response. @throws GrpcError the call failed before */
  readonly metadata: Promise<Metadata>;
  /** Without effect on a call that is over. */
  cancel(): void;
}

export interface GrpcClient {
  /** @throws GrpcError how the call ended, unless well; the connection's end is Unavailable */
  unary<M extends UnaryMethod>(
    method: M,
    request: RequestInit<M>,
    options: CallOptions,
    signal: AbortSignal,
  ): Promise<ResponseOf<M>>;
  /** Breaking off cancels the call. @throws as unary */
  serverStream<M extends StreamMethod>(
    method: M,
    request: RequestInit<M>,
    options: CallOptions,
    signal: AbortSignal,
  ): AsyncIterable<ResponseOf<M>>;
  bidi<M extends BidiMethod>(method: M, options: CallOptions, signal: AbortSignal): BidiCall<M>;
  /** Aborted when the connection is gone. */
  readonly gone: AbortSignal;
  /** Ends the connection and all calls. */
  close(): void;
}

/** @param authority goes into `:authority` */
export function connectGrpc(connection: Duplex, authority = "localhost"): GrpcClient {
  const gone = new AbortController();
  const session = connect(`http://${authority}`, {
    createConnection: () => connection,
    maxSessionMemory: sessionMemoryMb,
    settings: { initialWindowSize: windowBytes, maxFrameSize: 1024 * 1024, enablePush: false },
  });
  session.on("connect", () => {
    // The other end may be gone by then.
    if (!session.destroyed) session.setLocalWindowSize(windowBytes);
  });
  connection.on("error", () => {});
  let reason = "the connection is closed";
  session.on("error", (error) => {
    reason = messageOf(error);
  });
  session.on("close", () => {
    connection.destroy();
    gone.abort(new GrpcError(codes.unavailable, reason));
  });
  session.on("goaway", () => session.close());
  return {
    gone: gone.signal,
    async unary(method, request, options, signal) {
      const call = new ClientCall(session, method, options, signal);
      await call.send(encodeFrame(method.request, request as never));
      call.stream?.end();
      let response: unknown;
      let count = 0;
      for await (const item of call.responses()) {
        response = item;
        count++;
      }
      if (count !== 1) throw new GrpcError(codes.internal, `${method.path} answered with ${count} messages`);
      return response as ResponseOf<typeof method>;
    },
    async *serverStream(method, request, options, signal) {
      const call = new ClientCall(session, method, options, signal);
      await call.send(encodeFrame(method.request, request as never));
      call.stream?.end();
      yield* call.responses() as AsyncIterable<ResponseOf<typeof method>>;
    },
    bidi(method, options, signal) {
      const call = new ClientCall(session, method, options, signal);
      return {
        send: (request) => call.send(encodeFrame(method.request, request as never)),
        end: () => call.stream?.end(),
        responses: { [Symbol.asyncIterator]: () => call.responses() as AsyncGenerator<ResponseOf<typeof method>> },
        metadata: call.metadata,
        cancel: () => call.cancel(),
      };
    },
    close: () => session.destroy(),
  };
}

class ClientCall {
  /** undefined when the connection was gone already. */
  readonly stream: ClientHttp2Stream | undefined;
  readonly metadata: Promise<Metadata>;
  readonly #method: Located<AnyMethod>;
  readonly #signal: AbortSignal;
  readonly #status: Promise<GrpcError | undefined>;
  #streamError: unknown;

  constructor(session: ClientHttp2Session, method: Located<AnyMethod>, options: CallOptions, signal: AbortSignal) {
    this.#method = method;
    this.#signal = signal;
    const metadata = Promise.withResolvers<Metadata>();
    const status = Promise.withResolvers<GrpcError | undefined>();
    this.metadata = metadata.promise;
    this.#status = status.promise;
    this.metadata.catch(() => {});
    if (session.closed || session.destroyed) {
      const error = new GrpcError(codes.unavailable, "the connection is closed");
      metadata.reject(error);
      status.resolve(error);
      return;
    }
    const stream = session.request({
      ":method": "POST",
      ":path": method.path,
      "content-type": "application/grpc",
      te: "trailers",
      ...(options.timeoutMs === undefined ? {} : { "grpc-timeout": renderTimeout(options.timeoutMs) }),
      ...renderMetadata(options.metadata ?? {}),
    });
    this.stream = stream;
    stream.on("error", (error) => {
      this.#streamError = error;
    });
    stream.on("response", (headers, _flags, raw: string[]) => {
      metadata.resolve(parseMetadata(raw));
      if (rawHeader(raw, "grpc-status") !== undefined) status.resolve(errorOfTrailers((name) => rawHeader(raw, name)));
      else if (headers[":status"] !== 200)
        status.resolve(
          new GrpcError(codes.unavailable, `${method.path}: unexpected HTTP status ${headers[":status"]}`),
        );
    });
    // Node's types know no raw headers here.
    (stream as NodeJS.EventEmitter).on("trailers", (_headers: unknown, _flags: number, raw: string[]) =>
      status.resolve(errorOfTrailers((name) => rawHeader(raw, name))),
    );
    const onAbort = (): void => this.cancel();
    const timer =
      options.timeoutMs === undefined
        ? undefined
        : setTimeout(() => {
            status.resolve(new GrpcError(codes.deadlineExceeded, `${method.path}: no answer in time`));
            this.cancel();
          }, options.timeoutMs);
    signal.addEventListener("abort", onAbort, { once: true });
    stream.on("close", () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", onAbort);
      const error = this.#broken();
      metadata.reject(error);
      status.resolve(error);
    });
    if (signal.aborted) onAbort();
  }

  async send(frame: Uint8Array): Promise<boolean> {
    return this.stream === undefined ? false : writeFrame(this.stream, frame);
  }

  async *responses(): AsyncGenerator<unknown> {
    let complete = false;
    try {
      if (this.stream !== undefined) yield* readMessages(this.stream, this.#method.response);
      complete = true;
    } catch (error) {
      // The reader's own complaint, unless the call broke: then how it broke says more.
      if (error instanceof GrpcError || this.stream?.destroyed === false) throw error;
      complete = true;
    } finally {
      if (!complete) this.cancel();
    }
    const failure = await this.#status;
    if (failure !== undefined) throw failure;
  }

  cancel(): void {
    if (this.stream !== undefined && !this.stream.closed) this.stream.close(constants.NGHTTP2_CANCEL);
  }

  #broken(): GrpcError {
    if (this.#signal.aborted)
      return new GrpcError(codes.cancelled, `${this.#method.path}: cancelled`, { cause: this.#signal.reason });
    const { rstCode } = this.stream ?? {};
    const code = rstCode === constants.NGHTTP2_CANCEL ? codes.cancelled : codes.unavailable;
    const why = this.#streamError === undefined ? "the connection was lost" : messageOf(this.#streamError);
    return new GrpcError(code, `${this.#method.path}: ${why}`, { cause: this.#streamError });
  }
}

/** At most eight digits. */
function renderTimeout(ms: number): string {
  return ms < 1e8 ? `${Math.ceil(ms)}m` : `${Math.ceil(ms / 1_000)}S`;
}
