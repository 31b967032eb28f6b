// The connection to a daemon that speaks the Docker Engine API: dialling, version negotiation, requests, errors and hijacked
// streams. It works against gantryd and dockerd alike; the typed calls stand in the files beside this one.

import { readFileSync } from "node:fs";
import { createConnection, type Socket } from "node:net";
import { errnoOf, messageOf } from "../base/errors.ts";
import { parseHost, type Endpoint } from "./endpoint.ts";
import { sendRequest, type RawResponse } from "./http.ts";
import { parseJson } from "./json.ts";

/** The newest API version that this client speaks. */
export const newestApiVersion = "1.51";

export interface TlsFiles {
  readonly ca: string | undefined;
  readonly cert: string | undefined;
  readonly key: string | undefined;
  /** False accepts any certificate of the daemon's. */
  readonly verify: boolean;
}

export interface ClientOptions {
  /** unix:///path or tcp://host:port. */
  readonly host: string;
  readonly tls: TlsFiles | undefined;
  /** Pins the version (DOCKER_API_VERSION); undefined negotiates it. */
  readonly apiVersion: string | undefined;
  readonly userAgent: string;
}

/** The daemon's own answer to a request that failed; `message` is its text without any prefix. */
export class DaemonError extends Error {
  readonly status: number;
  constructor(status: number, message: string) {
    super(message);
    this.name = "DaemonError";
    this.status = status;
  }
}

/** The daemon could not be reached. */
export class ConnectionError extends Error {
  constructor(message: string, options?: { readonly cause?: unknown }) {
    super(message, options);
    this.name = "ConnectionError";
  }
}

export type Query = Readonly<Record<string, string | number | boolean | readonly string[] | undefined>>;

export interface CallOptions {
  readonly query?: Query;
  /** Sent as JSON. */
  readonly json?: unknown;
  /** Sent as it is (a tar stream, for instance). */
  readonly stream?: AsyncIterable<Buffer>;
  readonly contentType?: string;
  /** The value of X-Registry-Auth: credentials for the registry that the request is about. */
  readonly registryAuth?: string | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** A hijacked connection. Output may be framed (stdcopy) or raw; `contentType` says which where the daemon says it. */
export interface HijackedStream {
  readonly socket: Socket;
  /** Bytes that came with the head, to be read first. */
  readonly first: Buffer;
  readonly contentType: string;
}

/** What /_ping said. */
export interface Ping {
  readonly apiVersion: string;
  readonly osType: string;
}

function renderQuery(query: Query): string {
  const parts: string[] = [];
  for (const [key, value] of Object.entries(query).sort(([a], [b]) => (a < b ? -1 : 1))) {
    if (value === undefined) continue;
    for (const one of Array.isArray(value) ? (value as readonly string[]) : [String(value)])
      parts.push(`${key}=${encodeURIComponent(one).replaceAll("%20", "+")}`);
  }
  return parts.length === 0 ? "" : `?${parts.join("&")}`;
}

function hostHeader(host: string, port: number): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}

/** Compares "1.9" and "1.51" as versions: negative, zero or positive. */
export function compareVersions(a: string, b: string): number {
  const [aMajor = 0, aMinor = 0] = a.split(".").map(Number);
  const [bMajor = 0, bMinor = 0] = b.split(".").map(Number);
  return aMajor - bMajor || aMinor - bMinor;
}

/** A client of one daemon; every request has a connection of its own. */
export class Client {
  readonly host: string;
  readonly #options: ClientOptions;
  readonly #endpoint: Endpoint;
  #ping: Promise<Ping> | undefined;
  #version: string | undefined;

  /** @throws Error the host text is none */
  constructor(options: ClientOptions) {
    this.host = options.host;
    this.#options = options;
    this.#endpoint = parseHost(options.host, options.tls !== undefined);
    this.#version = options.apiVersion;
  }

  /** The version that requests are made in; negotiated with the first request. */
  get apiVersion(): string {
    return this.#version ?? newestApiVersion;
  }

  /**
   * Asks the daemon for its version, once.
   *
   * @throws ConnectionError
   */
  ping(signal?: AbortSignal): Promise<Ping> {
    this.#ping ??= this.#askPing(signal);
    return this.#ping;
  }

  async #askPing(signal: AbortSignal | undefined): Promise<Ping> {
    const response = await this.#send("HEAD", "/_ping", {}, {}, signal);
    response.socket.destroy();
    const { headers, status } = response.head;
    if (status >= 500) throw new DaemonError(status, `ping: ${status} ${response.head.reason}`);
    return { apiVersion: headers.get("api-version") ?? "1.24", osType: headers.get("ostype") ?? "" };
  }

  async #negotiate(signal: AbortSignal | undefined): Promise<string> {
    if (this.#version !== undefined) return this.#version;
    const { apiVersion } = await this.ping(signal);
    this.#version = compareVersions(apiVersion, newestApiVersion) < 0 ? apiVersion : newestApiVersion;
    return this.#version;
  }

  async #dial(signal: AbortSignal | undefined): Promise<Socket> {
    const { tls } = this.#options;
    const tlsModule = tls === undefined ? undefined : await import("node:tls");
    signal?.throwIfAborted();
    // The socket and its listeners are made in one go: an error of connect comes in the very next tick.
    const { promise, resolve, reject } = Promise.withResolvers<Socket>();
    const socket = tls === undefined || tlsModule === undefined ? this.#openPlain() : this.#openTls(tls, tlsModule);
    const onAbort = (): void => void socket.destroy(new Error("cancelled"));
    signal?.addEventListener("abort", onAbort);
    socket.once("close", () => signal?.removeEventListener("abort", onAbort));
    socket.once(tls === undefined ? "connect" : "secureConnect", () => {
      socket.off("error", reject);
      resolve(socket);
    });
    socket.once("error", reject);
    return promise;
  }

  #openPlain(): Socket {
    const endpoint = this.#endpoint;
    if (endpoint.kind === "unix") return createConnection({ path: endpoint.path, allowHalfOpen: true });
    return createConnection({ host: endpoint.host, port: endpoint.port, allowHalfOpen: true, noDelay: true });
  }

  #openTls(files: TlsFiles, tlsModule: typeof import("node:tls")): Socket {
    const endpoint = this.#endpoint;
    if (endpoint.kind === "unix") throw new ConnectionError("TLS needs a tcp:// host");
    const read = (path: string | undefined): Buffer | undefined =>
      path === undefined ? undefined : readFileSync(path);
    return tlsModule.connect({
      host: endpoint.host,
      port: endpoint.port,
      ...(/^[\d.]+$|:/.test(endpoint.host) ? {} : { servername: endpoint.host }),
      ca: read(files.ca),
      cert: read(files.cert),
      key: read(files.key),
      rejectUnauthorized: files.verify,
      ALPNProtocols: ["http/1.1"],
    });
  }

  #connectionError(error: unknown): ConnectionError {
    const errno = errnoOf(error);
    const host = this.#options.host;
    if (errno === "ENOENT" || errno === "ECONNREFUSED")
      return new ConnectionError(`Cannot connect to the Gantry daemon at ${host}. Is gantryd running?`, {
        cause: error,
      });
    if (errno === "EACCES" || errno === "EPERM")
      return new ConnectionError(
        `permission denied while trying to connect to the API at ${host}: ${messageOf(error)}`,
        { cause: error },
      );
    return new ConnectionError(`error during connect: ${host}: ${messageOf(error)}`, { cause: error });
  }

  async #send(
    method: string,
    path: string,
    headers: Readonly<Record<string, string | readonly string[]>>,
    options: CallOptions,
    signal: AbortSignal | undefined,
  ): Promise<RawResponse> {
    const endpoint = this.#endpoint;
    let socket: Socket;
    try {
      socket = await this.#dial(signal);
    } catch (error) {
      signal?.throwIfAborted();
      throw this.#connectionError(error);
    }
    const target = `${endpoint.kind === "tcp" ? endpoint.prefix : ""}${path}${renderQuery(options.query ?? {})}`;
    try {
      return await sendRequest(socket, {
        method,
        target,
        host: endpoint.kind === "tcp" ? hostHeader(endpoint.host, endpoint.port) : "api.moby.localhost",
        headers: { "User-Agent": this.#options.userAgent, ...headers },
        body: options.json === undefined ? options.stream : Buffer.from(JSON.stringify(options.json), "utf8"),
      });
    } catch (error) {
      socket.destroy();
      signal?.throwIfAborted();
      throw error instanceof Error && errnoOf(error) !== undefined
        ? new ConnectionError(`error during connect: ${target}: ${messageOf(error)}`, { cause: error })
        : error;
    }
  }

  /**
   * Makes a request and resolves with the answer when its status is below 400.
   *
   * @throws ConnectionError  nobody answers
   * @throws DaemonError      the daemon refuses; its message
   */
  async request(method: string, path: string, options: CallOptions = {}): Promise<RawResponse> {
    const version = await this.#negotiate(options.signal);
    const headers: Record<string, string> = { Connection: "close" };
    const contentType = options.contentType ?? (options.json === undefined ? undefined : "application/json");
    if (contentType !== undefined) headers["Content-Type"] = contentType;
    if (options.registryAuth !== undefined) headers["X-Registry-Auth"] = options.registryAuth;
    const response = await this.#send(method, `/v${version}${path}`, headers, options, options.signal);
    if (response.head.status >= 400) throw await readError(response);
    return response;
  }

  /** The text of an answer. */
  async text(method: string, path: string, options: CallOptions = {}): Promise<string> {
    return readAll(await this.request(method, path, options));
  }

  /** The JSON of an answer; integers beyond 2^53 are bigints. `T` is the API's promise, not checked here. */
  async json<T>(method: string, path: string, options: CallOptions = {}): Promise<T> {
    return parseJson(await this.text(method, path, options)) as T;
  }

  /** Makes a request whose answer does not matter beyond its status. */
  async send(method: string, path: string, options: CallOptions = {}): Promise<number> {
    const response = await this.request(method, path, options);
    await readAll(response);
    return response.head.status;
  }

  /** The JSON values of an answer's lines, as they come. */
  async *lines<T>(method: string, path: string, options: CallOptions = {}): AsyncGenerator<T, void, undefined> {
    const response = await this.request(method, path, options);
    const decoder = new TextDecoder();
    let rest = "";
    for await (const chunk of response.body) {
      const parts = (rest + decoder.decode(chunk, { stream: true })).split("\n");
      rest = parts.pop() ?? "";
      for (const line of parts) if (line.trim() !== "") yield parseJson(line) as T;
    }
    if (rest.trim() !== "") yield parseJson(rest) as T;
  }

  /**
   * Makes a request that turns the connection into a stream of bytes both ways; both 101 and 200 are accepted.
   *
   * @throws ConnectionError, DaemonError
   */
  async hijack(path: string, options: CallOptions = {}): Promise<HijackedStream> {
    const version = await this.#negotiate(options.signal);
    const headers: Record<string, string> = { Connection: "Upgrade", Upgrade: "tcp" };
    if (options.json !== undefined) headers["Content-Type"] = "application/json";
    const response = await this.#send("POST", `/v${version}${path}`, headers, options, options.signal);
    const { status } = response.head;
    if (status >= 400) throw await readError(response);
    if (status !== 101 && status !== 200) {
      response.socket.destroy();
      throw new DaemonError(status, `unable to upgrade to tcp, received ${status}`);
    }
    return {
      socket: response.socket,
      first: response.takeOver(),
      contentType: response.head.headers.get("content-type") ?? "",
    };
  }

  /**
   * Turns a connection over to another protocol; what has arrived of it is still to be read from the socket.
   *
   * @throws ConnectionError
   * @throws DaemonError     the daemon does not speak it
   */
  async upgrade(
    path: string,
    protocol: string,
    headers: Readonly<Record<string, string | readonly string[]>>,
    signal?: AbortSignal,
  ): Promise<Socket> {
    const response = await this.#send(
      "POST",
      path,
      { Connection: "Upgrade", Upgrade: protocol, ...headers },
      {},
      signal,
    );
    const { status } = response.head;
    if (status >= 400) throw await readError(response);
    if (status !== 101) {
      response.socket.destroy();
      throw new DaemonError(status, `unable to upgrade to ${protocol}, received ${status}`);
    }
    const { socket } = response;
    const first = response.takeOver();
    if (first.length > 0) socket.unshift(first);
    return socket;
  }
}

async function readAll(response: RawResponse): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of response.body) chunks.push(chunk);
  return Buffer.concat(chunks).toString("utf8");
}

async function readError(response: RawResponse): Promise<DaemonError> {
  const { status, reason, headers } = response.head;
  const text = await readAll(response);
  if (headers.get("content-type")?.startsWith("application/json") === true) {
    try {
      const parsed: unknown = JSON.parse(text);
      if (typeof parsed === "object" && parsed !== null && "message" in parsed)
        return new DaemonError(status, String(parsed.message).trim());
    } catch {
      // Not the JSON that it said it was: the text itself is the message.
    }
  }
  return new DaemonError(status, text.trim() || `request returned ${status} ${reason}`);
}
