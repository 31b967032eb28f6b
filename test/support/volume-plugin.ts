// A volume plugin of a test's own: a real server of Docker's plugin protocol on a unix socket (or TCP, or TLS) that keeps each
// volume as a directory. What it is asked is kept, and any answer of it can be replaced by a bad one.

import { mkdirSync, readdirSync, rmSync, statSync } from "node:fs";
import { createServer, type IncomingMessage, type RequestListener, type Server, type ServerResponse } from "node:http";
import { createServer as createTlsServer, type ServerOptions } from "node:https";
import type { AddressInfo, Socket } from "node:net";
import { join } from "node:path";

/** One request as it came. */
export interface PluginCall {
  /** "VolumeDriver.Mount" */
  readonly method: string;
  readonly headers: IncomingMessage["headers"];
  /** Parsed; undefined where there was none. */
  readonly body: Readonly<Record<string, unknown>> | undefined;
}

/** What it does in place of answering properly. */
export type Misbehaviour =
  | { readonly kind: "answer"; readonly status?: number; readonly body: unknown }
  /** The body as it is, JSON or not. */
  | { readonly kind: "text"; readonly status?: number; readonly text: string | Uint8Array }
  /** No answer, ever. */
  | { readonly kind: "silence" }
  /** A body that never ends: `chunk` again and again, `everyMs` apart. */
  | { readonly kind: "endless"; readonly chunk: string; readonly everyMs: number }
  /** The connection is cut, before the answer or in the middle of it. */
  | { readonly kind: "cut"; readonly after?: string };

export interface VolumePluginOptions {
  /** Volumes are directories in here. */
  readonly directory: string;
  /** What Plugin.Activate says; ["VolumeDriver"] without it. */
  readonly implements?: readonly string[];
  readonly scope?: string;
  /** Serves TLS with it. */
  readonly tls?: ServerOptions;
}

type Body = Readonly<Record<string, unknown>>;

export class VolumePlugin {
  readonly calls: PluginCall[] = [];
  /** Per volume the IDs it is mounted for, a list: a second mount for one ID shows. */
  readonly mounts = new Map<string, string[]>();
  /** Per volume the options that it was created with. */
  readonly options = new Map<string, unknown>();
  /** A volume with this option is refused. */
  refusedOption: string | undefined;
  readonly #options: VolumePluginOptions;
  readonly #misbehaviours = new Map<string, { readonly what: Misbehaviour; times: number }>();
  readonly #connections = new Set<Socket>();
  #server: Server | undefined;

  constructor(options: VolumePluginOptions) {
    this.#options = options;
    mkdirSync(options.directory, { recursive: true });
  }

  /** The method misbehaves from now on, or only so many times. */
  misbehave(method: string, what: Misbehaviour, times = Number.POSITIVE_INFINITY): void {
    this.#misbehaviours.set(method, { what, times });
  }

  /** All methods are what they should be again. */
  behave(): void {
    this.#misbehaviours.clear();
  }

  /** Bodies of the calls of a method so far. */
  bodies(method: string): readonly (Body | undefined)[] {
    return this.calls.filter((call) => call.method === method).map((call) => call.body);
  }

  /** Serves on a path, or on a port of 127.0.0.1 (0: any). @returns the port, where it is one */
  async listen(where: string | number): Promise<number> {
    const listener: RequestListener = (request, response) => void this.#serve(request, response);
    const server =
      this.#options.tls === undefined ? createServer(listener) : createTlsServer(this.#options.tls, listener);
    server.on("connection", (socket: Socket) => {
      this.#connections.add(socket);
      socket.on("close", () => this.#connections.delete(socket));
      socket.on("error", () => {});
    });
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    server.once("error", reject);
    if (typeof where === "number") server.listen(where, "127.0.0.1", resolve);
    else {
      rmSync(where, { force: true });
      server.listen(where, resolve);
    }
    await promise;
    this.#server = server;
    return typeof where === "number" ? (server.address() as AddressInfo).port : 0;
  }

  /** Stops serving; the socket's file goes. What it knows stays, as in a plugin that is restarted. */
  async close(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    if (server === undefined) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    server.close(() => resolve());
    for (const socket of this.#connections) socket.destroy();
    await promise;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
    const text = Buffer.concat(chunks).toString();
    const method = (request.url ?? "/").slice(1);
    const body = text.trim() === "" ? undefined : (JSON.parse(text) as Body);
    this.calls.push({ method, headers: request.headers, body });
    const bad = this.#misbehaviours.get(method);
    if (bad !== undefined && bad.times > 0) {
      bad.times--;
      misbehave(bad.what, response);
      return;
    }
    const answer = this.#answer(method, body ?? {});
    response.writeHead(answer === undefined ? 404 : 200, {
      "content-type": "application/vnd.docker.plugins.v1.1+json",
    });
    response.end(JSON.stringify(answer ?? { Err: `no method ${method}` }));
  }

  /** undefined: there is no such method. */
  #answer(method: string, body: Body): Body | undefined {
    const name = typeof body["Name"] === "string" ? body["Name"] : "";
    const id = typeof body["ID"] === "string" ? body["ID"] : "";
    switch (method) {
      case "Plugin.Activate":
        return { Implements: this.#options.implements ?? ["VolumeDriver"] };
      case "VolumeDriver.Capabilities":
        return { Capabilities: { Scope: this.#options.scope ?? "local" } };
      case "VolumeDriver.List":
        return { Volumes: readdirSync(this.#options.directory).map((entry) => this.#show(entry)), Err: "" };
    }
    if (name === "" || name.includes("/")) return { Err: `bad name ${JSON.stringify(name)}` };
    const path = join(this.#options.directory, name);
    if (method === "VolumeDriver.Create") {
      const refused = this.refusedOption;
      if (refused !== undefined && Object.hasOwn(body["Opts"] ?? {}, refused)) return { Err: `bad option ${refused}` };
      mkdirSync(path, { recursive: true });
      if (!this.options.has(name)) this.options.set(name, body["Opts"]);
      return { Err: "" };
    }
    if (statSync(path, { throwIfNoEntry: false }) === undefined) return { Err: `no such volume: ${name}` };
    const users = this.mounts.get(name) ?? [];
    switch (method) {
      case "VolumeDriver.Remove":
        if (users.length > 0) return { Err: `volume ${name} is mounted` };
        rmSync(path, { recursive: true, force: true });
        this.options.delete(name);
        return { Err: "" };
      case "VolumeDriver.Get":
        return { Volume: { ...this.#show(name), Status: { users: users.length } }, Err: "" };
      case "VolumeDriver.Path":
        return { Mountpoint: path, Err: "" };
      case "VolumeDriver.Mount":
        this.mounts.set(name, users.includes(id) ? users : [...users, id]);
        return { Mountpoint: path, Err: "" };
      case "VolumeDriver.Unmount":
        this.mounts.set(
          name,
          users.filter((user) => user !== id),
        );
        return { Err: "" };
      default:
        return undefined;
    }
  }

  #show(name: string): Body {
    const path = join(this.#options.directory, name);
    return { Name: name, Mountpoint: path, CreatedAt: "2026-01-02T03:04:05Z" };
  }
}

function misbehave(what: Misbehaviour, response: ServerResponse): void {
  switch (what.kind) {
    case "answer":
      response.writeHead(what.status ?? 200).end(JSON.stringify(what.body));
      return;
    case "text":
      response.writeHead(what.status ?? 200).end(what.text);
      return;
    case "silence":
      return;
    case "cut":
      if (what.after !== undefined) {
        response.writeHead(200, { "content-length": 100_000 });
        response.write(what.after, () => response.destroy());
      } else response.destroy();
      return;
    case "endless": {
      response.writeHead(200);
      const timer = setInterval(() => response.write(what.chunk), what.everyMs);
      response.on("error", () => clearInterval(timer));
      response.on("close", () => clearInterval(timer));
    }
  }
}
