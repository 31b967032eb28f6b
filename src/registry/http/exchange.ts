// One request and its answer, as the handlers see them.

import type { IncomingMessage, ServerResponse } from "node:http";
import { pipeline } from "node:stream/promises";
import type { Readable } from "node:stream";
import type { Identity } from "../auth/index.ts";
import type { FileHandle } from "node:fs/promises";
import { ClientGone, RegistryError, renderError } from "../errors.ts";
import { contentLength, isBodyOpen, linger, receive } from "./body.ts";
import type { ByteRange } from "./ranges.ts";

type Headers = Readonly<Record<string, string | number>>;

const fileBufferBytes = 256 << 10;
const hostPattern = /^(?:[A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(?::\d{1,5})?$/;

/** A request that was let in. */
export class Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly path: string;
  readonly query: URLSearchParams;
  /** Set once it is known. */
  identity: Identity = { user: undefined, may: () => false };
  /** Bytes of the body so far. */
  received = 0;
  /** Aborted when the client goes. */
  readonly signal: AbortSignal;

  /** @throws UNSUPPORTED with 400: no path, or not exactly one Host */
  constructor(request: IncomingMessage, response: ServerResponse) {
    this.request = request;
    this.response = response;
    const url = request.url ?? "";
    const at = url.indexOf("?");
    this.path = at < 0 ? url : url.slice(0, at);
    this.query = new URLSearchParams(at < 0 ? "" : url.slice(at + 1));
    const gone = new AbortController();
    response.once("close", () => {
      if (!response.writableFinished) gone.abort(new ClientGone(undefined));
    });
    this.signal = gone.signal;
  }

  /** @throws UNKNOWN with 400: a path that is no path, several Host headers, or one that is no host */
  check(): void {
    const hosts = this.request.headersDistinct["host"] ?? [];
    if (!this.path.startsWith("/") || hosts.length !== 1 || !hostPattern.test(hosts[0] ?? ""))
      throw new RegistryError("UNKNOWN", "malformed request", { status: 400 });
  }

  get method(): string {
    return this.request.method ?? "";
  }

  get isHead(): boolean {
    return this.method === "HEAD";
  }

  header(name: string): string | undefined {
    const value = this.request.headers[name];
    return Array.isArray(value) ? value.join(", ") : value;
  }

  /** "https://host:port" as the client called this server. */
  get origin(): string {
    return `${"encrypted" in this.request.socket ? "https" : "http"}://${this.header("host") ?? ""}`;
  }

  get contentLength(): number | undefined {
    return contentLength(this.request);
  }

  /** The answer may take longer than a silent connection is kept: a large file is read once more, or synced. */
  expectSilence(): void {
    this.request.socket.setTimeout(0);
  }

  body(): AsyncIterable<Uint8Array> {
    return receive(this.request, this.response, (bytes) => {
      this.received += bytes;
    });
  }

  /** Answers without a body. */
  sendEmpty(status: number, headers: Headers = {}): void {
    this.response.writeHead(status, status === 204 || status === 304 ? headers : { "Content-Length": 0, ...headers });
    this.response.end();
  }

  send(status: number, body: string | Uint8Array, headers: Headers): void {
    this.response.writeHead(status, { "Content-Length": Buffer.byteLength(body), ...headers });
    this.response.end(this.isHead ? undefined : body);
  }

  sendJson(status: number, value: unknown, headers: Headers = {}): void {
    this.send(status, `${JSON.stringify(value)}\n`, { "Content-Type": "application/json", ...headers });
  }

  /** Streams a body whose length the headers say; to HEAD, only the headers. @throws ClientGone */
  async sendStream(status: number, headers: Headers, body: () => Readable): Promise<void> {
    this.response.writeHead(status, headers);
    if (this.isHead) {
      this.response.end();
      return;
    }
    this.response.flushHeaders();
    try {
      await pipeline(body(), this.response);
    } catch (error) {
      if (this.response.destroyed && !(error instanceof RegistryError)) throw new ClientGone(error);
      this.response.destroy();
      throw error;
    }
  }

  /**
   * Streams a part of a file, through two buffers that take turns: a stream would allocate, and leave to the garbage collector,
   * as much as it sends. To HEAD, only the headers.
   *
   * @throws ClientGone
   */
  async sendFile(status: number, headers: Headers, file: FileHandle, { first, last }: ByteRange): Promise<void> {
    const { response } = this;
    response.writeHead(status, headers);
    if (!this.isHead) {
      const size = Math.min(fileBufferBytes, last - first + 1);
      let [filling, other] = [Buffer.allocUnsafeSlow(size), Buffer.allocUnsafeSlow(size)];
      let left = Promise.resolve(true);
      for (let at = first; at <= last; [filling, other] = [other, filling]) {
        const { bytesRead } = await file.read(filling, 0, Math.min(size, last + 1 - at), at);
        if (bytesRead === 0) throw new Error("a blob's file is shorter than its record says");
        at += bytesRead;
        if (!(await left)) throw new ClientGone(undefined);
        left = this.#write(filling.subarray(0, bytesRead));
      }
      if (!(await left)) throw new ClientGone(undefined);
    }
    response.end();
  }

  /** Resolves when the bytes have left this process, and their buffer is free again; with false when the client has gone. */
  #write(bytes: Uint8Array): Promise<boolean> {
    const { promise, resolve } = Promise.withResolvers<boolean>();
    const gone = (): void => resolve(false);
    if (this.signal.aborted) gone();
    this.signal.addEventListener("abort", gone, { once: true });
    this.response.write(bytes, (error) => {
      this.signal.removeEventListener("abort", gone);
      resolve(error === null || error === undefined);
    });
    return promise;
  }

  /** Answers with an error, or breaks off when an answer has begun. */
  async sendError(error: RegistryError): Promise<void> {
    const { request, response } = this;
    if (response.headersSent || response.destroyed) {
      response.destroy();
      return;
    }
    const open = isBodyOpen(request);
    const body = renderError(error);
    response.writeHead(error.status, {
      "Content-Type": "application/json",
      "Content-Length": Buffer.byteLength(body),
      ...(request.complete ? {} : { Connection: "close" }),
      ...error.headers,
    });
    if (!this.isHead) response.write(body);
    if (open) await linger(request);
    response.end();
  }
}
