// A server over a FakeEngine on a unix socket, and clients for it that can do what no HTTP library does. For tests alone.

import { mkdtempSync, rmSync } from "node:fs";
import { request } from "node:http";
import { connect, createServer, type Socket } from "node:net";
import { join } from "node:path";
import { type ApiServer, type ApiServerOptions, createApiServer } from "./index.ts";
import type { Engine } from "./ports.ts";

export interface Answer {
  readonly status: number;
  readonly headers: NodeJS.Dict<string | string[]>;
  readonly text: string;
  /** Undefined where the body is no JSON. */
  readonly json: unknown;
  /** The field `message` of an error. */
  readonly message: string | undefined;
}

export class TestServer implements AsyncDisposable {
  readonly api: ApiServer;
  readonly socketPath: string;
  readonly #dir: string;

  private constructor(api: ApiServer, dir: string) {
    this.api = api;
    this.#dir = dir;
    this.socketPath = join(dir, "api.sock");
  }

  static async start(engine: Engine, options: Partial<ApiServerOptions> = {}): Promise<TestServer> {
    const api = createApiServer(engine, { productVersion: "0.0.0", ...options });
    const server = new TestServer(api, mkdtempSync("/tmp/gantry-api-"));
    const listener = createServer({ allowHalfOpen: true });
    api.serve(listener, "unix");
    await new Promise<void>((resolve) => listener.listen(server.socketPath, resolve));
    return server;
  }

  call(
    method: string,
    path: string,
    options: { readonly body?: string | Buffer; readonly headers?: Readonly<Record<string, string>> } = {},
  ): Promise<Answer> {
    const { body } = options;
    const { promise, resolve, reject } = Promise.withResolvers<Answer>();
    const headers = {
      ...(body === undefined ? {} : { "Content-Type": "application/json", "Content-Length": Buffer.byteLength(body) }),
      ...options.headers,
    };
    const outgoing = request({ socketPath: this.socketPath, method, path, headers, agent: false }, (response) => {
      const chunks: Buffer[] = [];
      response.on("data", (chunk: Buffer) => chunks.push(chunk));
      response.on("error", reject);
      response.on("end", () => {
        const text = Buffer.concat(chunks).toString();
        const json = parseOrUndefined(text);
        const { message } = Object(json) as { readonly message?: string };
        resolve({ status: response.statusCode ?? 0, headers: response.headers, text, json, message });
      });
    });
    outgoing.on("error", reject);
    outgoing.end(body);
    return promise;
  }

  /** A bare connection that has sent `text`. */
  async dial(text: string | Buffer): Promise<RawClient> {
    const socket = connect({ path: this.socketPath, allowHalfOpen: true });
    await new Promise<void>((resolve) => socket.once("connect", () => resolve()));
    socket.write(text);
    return new RawClient(socket);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.api.close(1_000);
    rmSync(this.#dir, { recursive: true, force: true });
  }
}

function parseOrUndefined(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

export class RawClient {
  readonly socket: Socket;
  #received = Buffer.alloc(0);
  #ended = false;
  #closed = false;
  #wake: () => void = () => {};

  constructor(socket: Socket) {
    this.socket = socket;
    socket.on("data", (chunk: Buffer) => {
      this.#received = Buffer.concat([this.#received, chunk]);
      this.#wake();
    });
    socket.on("end", () => {
      this.#ended = true;
      this.#wake();
    });
    socket.on("error", () => {});
    socket.on("close", () => {
      this.#closed = true;
      this.#wake();
    });
  }

  get received(): string {
    return this.#received.toString("latin1");
  }

  get bytes(): Buffer {
    return this.#received;
  }

  /** Resolves with everything received so far once it contains `text`; rejects when the connection ends first. */
  async until(text: string): Promise<string> {
    while (!this.received.includes(text)) {
      if (this.#ended || this.#closed) throw new Error(`ended before ${JSON.stringify(text)}: ${this.received}`);
      await this.#change();
    }
    return this.received;
  }

  /** Resolves with everything once the server has closed its side. */
  async ended(): Promise<string> {
    while (!this.#ended && !this.#closed) await this.#change();
    return this.received;
  }

  #change(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#wake = resolve;
    return promise;
  }
}

/** Head of a request that wants to upgrade, without body. */
export function upgradeHead(method: string, path: string, extra = ""): string {
  return `${method} ${path} HTTP/1.1\r\nHost: docker\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n${extra}\r\n`;
}

/** Resolves once `condition` holds; rejects after a generous time. */
export async function eventually(condition: () => boolean): Promise<void> {
  const deadline = performance.now() + 20_000;
  while (!condition()) {
    if (performance.now() > deadline) throw new Error(`never true: ${condition.toString()}`);
    const { promise, resolve } = Promise.withResolvers<void>();
    setTimeout(resolve, 5);
    await promise;
  }
}
