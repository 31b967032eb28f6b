// A bare Docker API client for measuring: one kept-alive connection per caller, no negotiation, nothing hidden.

import { Agent, type IncomingMessage, request } from "node:http";
import type { Readable } from "node:stream";
import { createConnection, type Socket } from "node:net";

const version = "/v1.41";

/** A connection pool to one engine's unix socket. */
export class Api {
  readonly socketPath: string;
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 64 });

  constructor(socketPath: string) {
    this.socketPath = socketPath;
  }

  close(): void {
    this.#agent.destroy();
  }

  /** Resolves when the headers are there; the caller reads the body. */
  open(
    method: string,
    path: string,
    body?: unknown,
    raw?: Readable,
    extra: Readonly<Record<string, string>> = {},
  ): Promise<IncomingMessage> {
    const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
    const text = body === undefined ? undefined : JSON.stringify(body);
    const headers: Record<string, string | number> =
      raw !== undefined
        ? { "Content-Type": "application/x-tar" }
        : text === undefined
          ? { "Content-Length": 0 }
          : { "Content-Type": "application/json", "Content-Length": Buffer.byteLength(text) };
    const req = request({
      socketPath: this.socketPath,
      agent: this.#agent,
      method,
      path: version + path,
      headers: { ...headers, ...extra },
    });
    req.on("response", resolve);
    req.on("error", reject);
    if (raw !== undefined) raw.pipe(req);
    else req.end(text);
    return promise;
  }

  /** The whole body as text; throws on a status of 400 or more. */
  async text(
    method: string,
    path: string,
    body?: unknown,
    raw?: Readable,
    extra: Readonly<Record<string, string>> = {},
  ): Promise<string> {
    const response = await this.open(method, path, body, raw, extra);
    response.setEncoding("utf8");
    let out = "";
    for await (const chunk of response) out += chunk;
    const status = response.statusCode ?? 0;
    if (status >= 400) throw new Error(`${method} ${path}: ${status} ${out}`);
    return out;
  }

  async json<T>(method: string, path: string, body?: unknown): Promise<T> {
    const text = await this.text(method, path, body);
    return (text === "" ? undefined : JSON.parse(text)) as T;
  }

  /** A hijacked stream: resolves after the answer's head, with what follows it unread. */
  hijack(path: string, body?: unknown): Promise<Socket> {
    const { promise, resolve, reject } = Promise.withResolvers<Socket>();
    const text = body === undefined ? "" : JSON.stringify(body);
    const socket = createConnection(this.socketPath);
    socket.on("error", reject);
    socket.write(
      `POST ${version}${path} HTTP/1.1\r\nHost: bench\r\nConnection: Upgrade\r\nUpgrade: tcp\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(text)}\r\n\r\n${text}`,
    );
    let head = Buffer.alloc(0);
    const onData = (chunk: Buffer): void => {
      head = Buffer.concat([head, chunk]);
      const end = head.indexOf("\r\n\r\n");
      if (end < 0) return;
      socket.off("data", onData);
      socket.pause();
      const status = Number(head.subarray(9, 12).toString());
      if (status !== 101 && status !== 200) {
        reject(new Error(`hijack ${path}: ${head.toString()}`));
        socket.destroy();
        return;
      }
      const rest = head.subarray(end + 4);
      if (rest.length > 0) socket.unshift(rest);
      resolve(socket);
    };
    socket.on("data", onData);
    return promise;
  }
}

/** Reads a stream to its end and counts, with as little of its own as can be: on two cores the client is part of the time. */
export function drain(stream: Readable): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  let bytes = 0;
  stream.on("data", (chunk: Buffer) => {
    bytes += chunk.length;
  });
  stream.once("end", () => resolve(bytes));
  stream.once("error", reject);
  stream.once("close", () => reject(new Error(`the stream was cut off after ${bytes} bytes`)));
  stream.resume();
  return promise;
}
