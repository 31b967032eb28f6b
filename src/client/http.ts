// HTTP/1.1 over a socket of its own per request, small enough to start fast, and able to hand the socket over (hijack):
// node:http costs a quarter of the CLI's start-up and hides the bytes that follow a 200 to an upgrade request.
//
//   > METHOD target HTTP/1.1, Host, headers, blank line, body (Content-Length, or chunked from a stream)
//   < HTTP/1.1 status reason, headers, blank line, body (chunked, Content-Length, or until the end)
// Source: RFC 9112; Docker Engine API 1.51, ContainerAttach, "Hijacking".

import type { Socket } from "node:net";
import { ChunkedDecoder } from "./chunked.ts";

/** The head of an answer; header names are in lower case. */
export interface ResponseHead {
  readonly status: number;
  readonly reason: string;
  readonly headers: ReadonlyMap<string, string>;
}

export interface RequestHead {
  readonly method: string;
  readonly target: string;
  readonly host: string;
  /** A list is sent as a line for each. */
  readonly headers: Readonly<Record<string, string | readonly string[]>>;
  /** Bytes, chunks to come, or nothing. */
  readonly body: Buffer | AsyncIterable<Buffer> | undefined;
}

/** An answer whose head has arrived. */
export interface RawResponse {
  readonly head: ResponseHead;
  /** The body's chunks; leaving the loop early closes the connection. */
  readonly body: AsyncGenerator<Buffer, void, undefined>;
  readonly socket: Socket;
  /** Takes the connection over: bytes that have arrived after the head. `body` must not be read. */
  takeOver(): Buffer;
}

const maxHeadBytes = 256 * 1024;

/** Bytes of a socket on demand, with back-pressure. */
class SocketReader {
  readonly #socket: Socket;
  #buffered: Buffer = Buffer.alloc(0);
  #ended = false;
  #error: Error | undefined;
  #wake: (() => void) | undefined;
  readonly #onData = (chunk: Buffer): void => {
    this.#buffered = this.#buffered.length === 0 ? chunk : Buffer.concat([this.#buffered, chunk]);
    this.#socket.pause();
    this.#wake?.();
  };
  readonly #onEnd = (): void => {
    this.#ended = true;
    this.#wake?.();
  };
  readonly #onError = (error: Error): void => {
    this.#error ??= error;
    this.#onEnd();
  };

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.on("data", this.#onData);
    socket.on("end", this.#onEnd);
    socket.on("close", this.#onEnd);
    socket.on("error", this.#onError);
  }

  /** Next bytes, or undefined at the end. */
  async read(): Promise<Buffer | undefined> {
    while (this.#buffered.length === 0) {
      if (this.#error !== undefined) throw this.#error;
      if (this.#ended) return undefined;
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#wake = resolve;
      this.#socket.resume();
      await promise;
      this.#wake = undefined;
    }
    const bytes = this.#buffered;
    this.#buffered = Buffer.alloc(0);
    return bytes;
  }

  unread(bytes: Buffer): void {
    this.#buffered = this.#buffered.length === 0 ? bytes : Buffer.concat([bytes, this.#buffered]);
  }

  async readLine(limit: number): Promise<string> {
    let bytes = Buffer.alloc(0);
    for (;;) {
      const at = bytes.indexOf("\n");
      if (at >= 0) {
        this.unread(bytes.subarray(at + 1));
        return bytes.toString("latin1", 0, at).replace(/\r$/, "");
      }
      if (bytes.length > limit) throw new Error("malformed HTTP response: line too long");
      const more = await this.read();
      if (more === undefined) throw new Error("unexpected EOF");
      bytes = Buffer.concat([bytes, more]);
    }
  }

  /** Lets go of the socket; what was read and not used. */
  release(): Buffer {
    this.#socket.off("data", this.#onData);
    this.#socket.off("end", this.#onEnd);
    this.#socket.off("close", this.#onEnd);
    this.#socket.off("error", this.#onError);
    this.#socket.on("error", () => undefined);
    const bytes = this.#buffered;
    this.#buffered = Buffer.alloc(0);
    return bytes;
  }
}

async function readHead(reader: SocketReader): Promise<ResponseHead> {
  for (;;) {
    const statusLine = await reader.readLine(maxHeadBytes);
    const m = /^HTTP\/1\.[01] (\d{3})(?: (.*))?$/.exec(statusLine);
    if (m === null) throw new Error(`malformed HTTP response ${JSON.stringify(statusLine.slice(0, 80))}`);
    const headers = new Map<string, string>();
    let size = 0;
    for (;;) {
      const line = await reader.readLine(maxHeadBytes);
      if (line === "") break;
      size += line.length;
      if (size > maxHeadBytes) throw new Error("malformed HTTP response: headers too long");
      const at = line.indexOf(":");
      if (at > 0) headers.set(line.slice(0, at).toLowerCase(), line.slice(at + 1).trim());
    }
    const status = Number(m[1]);
    if (status === 100) continue;
    return { status, reason: m[2] ?? "", headers };
  }
}

async function* readChunked(reader: SocketReader): AsyncGenerator<Buffer, void, undefined> {
  const decoder = new ChunkedDecoder();
  while (!decoder.isDone) {
    const bytes = await reader.read();
    if (bytes === undefined) throw new Error("unexpected EOF");
    const [first, ...more] = decoder.push(bytes);
    if (first !== undefined) yield more.length === 0 ? first : Buffer.concat([first, ...more]);
  }
}

async function* readLength(reader: SocketReader, length: number): AsyncGenerator<Buffer, void, undefined> {
  let left = length;
  while (left > 0) {
    const bytes = await reader.read();
    if (bytes === undefined) throw new Error("unexpected EOF");
    if (bytes.length > left) reader.unread(bytes.subarray(left));
    const part = bytes.subarray(0, left);
    left -= part.length;
    yield part;
  }
}

async function* readBody(
  reader: SocketReader,
  head: ResponseHead,
  method: string,
  socket: Socket,
): AsyncGenerator<Buffer, void, undefined> {
  try {
    if (method === "HEAD" || head.status === 204 || head.status === 304) return;
    const length = head.headers.get("content-length");
    if (head.headers.get("transfer-encoding")?.toLowerCase() === "chunked") yield* readChunked(reader);
    else if (length !== undefined) yield* readLength(reader, Number(length));
    else {
      for (;;) {
        const bytes = await reader.read();
        if (bytes === undefined) return;
        yield bytes;
      }
    }
  } finally {
    socket.destroy();
  }
}

function write(socket: Socket, bytes: Buffer | string): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  // A peer that answers early and hangs up makes the rest of a body void; the answer says why.
  socket.write(bytes, () => resolve());
  return promise;
}

function nextTurn(): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  setImmediate(resolve);
  return promise;
}

async function sendBody(socket: Socket, body: AsyncIterable<Buffer>): Promise<void> {
  for await (const chunk of body) {
    // An answer that came early is read before a write that fails, because the daemon hung up after it, ends the connection.
    await nextTurn();
    if (socket.destroyed || !socket.writable) return;
    if (chunk.length === 0) continue;
    // One call of the kernel for the three of them.
    socket.cork();
    socket.write(`${chunk.length.toString(16)}\r\n`, "latin1");
    socket.write(chunk);
    const written = write(socket, "\r\n");
    socket.uncork();
    await written;
  }
  await write(socket, "0\r\n\r\n");
}

/**
 * Sends a request over a connected socket and resolves when the answer's head is there.
 *
 * @throws Error the connection broke, the answer is no HTTP, or the body's source failed
 */
export async function sendRequest(socket: Socket, request: RequestHead): Promise<RawResponse> {
  const lines = [`${request.method} ${request.target} HTTP/1.1`, `Host: ${request.host}`];
  for (const [name, value] of Object.entries(request.headers))
    for (const one of typeof value === "string" ? [value] : value) lines.push(`${name}: ${one}`);
  const { body } = request;
  const isStream = body !== undefined && !Buffer.isBuffer(body);
  if (isStream) lines.push("Transfer-Encoding: chunked");
  else if (body !== undefined || request.method === "POST") lines.push(`Content-Length: ${body?.length ?? 0}`);
  const headBytes = Buffer.from(`${lines.join("\r\n")}\r\n\r\n`, "utf8");
  const reader = new SocketReader(socket);
  socket.write(Buffer.isBuffer(body) ? Buffer.concat([headBytes, body]) : headBytes);
  const answer = readHead(reader);
  if (isStream) {
    const sent = sendBody(socket, body);
    sent.catch((error: unknown) => socket.destroy(error instanceof Error ? error : new Error(String(error))));
  }
  const head = await answer;
  return {
    head,
    socket,
    body: readBody(reader, head, request.method, socket),
    takeOver: () => reader.release(),
  };
}
