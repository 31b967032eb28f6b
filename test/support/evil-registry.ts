// A registry on a loopback port that serves one good image (or the one that it is given) in every repository, and can be told to
// misbehave in one of many named ways (evil-behaviours.ts). Everything that it was asked is kept, so that a test can see who was
// told which credentials, and how often.

import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { gzipSync } from "node:zlib";
import { type Behaviour, type BehaviourName, behaviours } from "./evil-behaviours.ts";
import { configOf, sha256 } from "./image-archives.ts";
import { file, tarOf } from "./tar.ts";

/** What a request is about. */
export type RequestKind = "ping" | "manifest" | "blob" | "tags" | "upload" | "token" | "other";

export interface EvilImage {
  readonly manifest: Buffer;
  readonly mediaType: string;
  readonly digest: string;
  /** Config and layers, by digest. */
  readonly blobs: ReadonlyMap<string, Buffer>;
  readonly config: string;
  readonly layers: readonly string[];
  /** What is served under a digest in place of the manifest: by the digest that is asked for. */
  readonly documents?: ReadonlyMap<string, { readonly bytes: Buffer; readonly mediaType: string }>;
}

export interface SeenRequest {
  readonly method: string;
  readonly path: string;
  readonly kind: RequestKind;
  readonly authorization: string | undefined;
  readonly range: string | undefined;
  /** True for the second port of the same registry: "another host". */
  readonly elsewhere: boolean;
}

/** A request as a behaviour sees it. */
export interface EvilExchange {
  readonly registry: EvilRegistry;
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly kind: RequestKind;
  readonly url: URL;
  readonly elsewhere: boolean;
  /** The bytes that an honest registry would send, where there are any. */
  readonly good: { readonly bytes: Buffer; readonly headers: Readonly<Record<string, string>> } | undefined;
  /** How many requests of this kind there were before. */
  readonly count: number;
  /** Sends what an honest registry would. */
  honest(): void;
  /** Repeats until the connection is closed. */
  every(ms: number, action: () => void): void;
}

/** refused: 403; reset: no answer; cut: half of what there is, if anything. */
export type RequestFailure = "refused" | "reset" | "cut";

function failRequest({ good, request, response }: EvilExchange, how: RequestFailure): void {
  if (how === "refused") {
    response.writeHead(403, { "content-type": "application/json" });
    return void response.end(`{"errors":[{"code":"DENIED","message":"not now","detail":{}}]}`);
  }
  if (how === "reset" || good === undefined) return void request.socket.resetAndDestroy();
  response.writeHead(200, { ...good.headers, "content-length": good.bytes.length });
  response.write(good.bytes.subarray(0, good.bytes.length >> 1), () => request.socket.destroy());
}

const maxLayer = 200_000;

/** A small good image whose layer is large enough to be broken in the middle. */
export function goodImage(): EvilImage {
  // Incompressible, and the same in every run.
  let seed = 1;
  const noise = Buffer.alloc(maxLayer);
  for (let at = 0; at < noise.length; at++) {
    seed = (seed * 1103515245 + 12345) % 2147483648;
    noise[at] = seed >>> 16;
  }
  const tars = [tarOf(file("hello", "hello\n")), tarOf(file("noise", noise))];
  const layers = tars.map((tar) => gzipSync(tar));
  const config = configOf(tars);
  const describe = (bytes: Buffer, mediaType: string): object => ({
    mediaType,
    size: bytes.length,
    digest: `sha256:${sha256(bytes)}`,
  });
  const mediaType = "application/vnd.oci.image.manifest.v1+json";
  const manifest = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType,
      config: describe(config, "application/vnd.oci.image.config.v1+json"),
      layers: layers.map((layer) => describe(layer, "application/vnd.oci.image.layer.v1.tar+gzip")),
    }),
  );
  return {
    manifest,
    mediaType,
    digest: `sha256:${sha256(manifest)}`,
    blobs: new Map([config, ...layers].map((bytes) => [`sha256:${sha256(bytes)}`, bytes])),
    config: `sha256:${sha256(config)}`,
    layers: layers.map((layer) => `sha256:${sha256(layer)}`),
  };
}

function kindOf(path: string): RequestKind {
  if (path === "/v2/" || path === "/v2") return "ping";
  if (path.startsWith("/token")) return "token";
  if (path.includes("/blobs/uploads")) return "upload";
  if (path.includes("/manifests/")) return "manifest";
  if (path.includes("/blobs/")) return "blob";
  return path.endsWith("/tags/list") ? "tags" : "other";
}

/** Use as `await using registry = await EvilRegistry.start("endless-manifest")`. */
export class EvilRegistry {
  readonly image: EvilImage;
  readonly requests: SeenRequest[] = [];
  /** Bytes that reached an upload session, by its name; sessions are "/v2/<name>/blobs/uploads/<session>". */
  readonly uploads = new Map<string, Buffer>();
  readonly #counts = new Map<RequestKind, number>();
  readonly #servers: Server[] = [];
  readonly #sockets = new Set<Socket>();
  readonly #timers = new Set<NodeJS.Timeout>();
  #behaviour: Behaviour;
  #failing: { readonly at: number; readonly how: RequestFailure } | undefined;

  private constructor(behaviour: Behaviour, image: EvilImage) {
    this.#behaviour = behaviour;
    this.image = image;
  }

  /** @param behaviour "honest" for none */
  static async start(behaviour: BehaviourName = "honest", image: EvilImage = goodImage()): Promise<EvilRegistry> {
    const registry = new EvilRegistry(behaviours[behaviour], image);
    await registry.#listen(false);
    await registry.#listen(true);
    return registry;
  }

  /** Goes on with another behaviour; counts begin anew. */
  behave(behaviour: BehaviourName): void {
    this.#behaviour = behaviours[behaviour];
    this.#counts.clear();
    this.requests.length = 0;
    // What was left unanswered on a connection would be waited for by the next request on it.
    for (const socket of this.#sockets) socket.destroy();
  }

  /** Lets one request fail from now on: that with so many before it. Counts begin anew. */
  fail(at: number, how: RequestFailure): void {
    this.#failing = { at, how };
    this.#counts.clear();
    this.requests.length = 0;
  }

  /** "127.0.0.1:5000": what an image's name begins with. */
  get address(): string {
    return `127.0.0.1:${this.#portOf(0)}`;
  }

  /** The second port, which is another origin and so another host. */
  get elsewhere(): string {
    return `127.0.0.1:${this.#portOf(1)}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const timer of this.#timers) clearInterval(timer);
    for (const socket of this.#sockets) socket.destroy();
    await Promise.all(this.#servers.map((server) => new Promise((resolve) => void server.close(resolve))));
  }

  #portOf(index: number): number {
    const address = this.#servers[index]?.address();
    if (typeof address !== "object" || address === null) throw new Error("the registry does not listen");
    return address.port;
  }

  async #listen(elsewhere: boolean): Promise<void> {
    const server = createServer((request, response) => this.#serve(request, response, elsewhere));
    server.on("connection", (socket) => {
      this.#sockets.add(socket);
      socket.on("error", () => {});
      socket.once("close", () => this.#sockets.delete(socket));
    });
    this.#servers.push(server);
    await new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", resolve));
  }

  #serve(request: IncomingMessage, response: ServerResponse, elsewhere: boolean): void {
    const url = new URL(request.url ?? "/", `http://${elsewhere ? this.elsewhere : this.address}`);
    const kind = kindOf(url.pathname);
    const count = this.#counts.get(kind) ?? 0;
    this.#counts.set(kind, count + 1);
    this.requests.push({
      method: request.method ?? "",
      path: `${url.pathname}${url.search}`,
      kind,
      authorization: request.headers.authorization,
      range: request.headers.range,
      elsewhere,
    });
    response.on("error", () => {});
    const exchange: EvilExchange = {
      registry: this,
      request,
      response,
      kind,
      url,
      elsewhere,
      count,
      good: this.#good(kind, url),
      honest: () => this.#honest(exchange),
      every: (ms, action) => {
        const timer = setInterval(action, ms);
        this.#timers.add(timer);
        const { socket } = request;
        socket.once("close", () => clearInterval(timer));
        if (socket.destroyed) clearInterval(timer);
      },
    };
    const { at, how } = this.#failing ?? { at: -1, how: "reset" };
    if (this.requests.length - 1 === at) return failRequest(exchange, how);
    if (this.#behaviour(exchange) !== "done") exchange.honest();
  }

  #good(kind: RequestKind, url: URL): EvilExchange["good"] {
    const { image } = this;
    const asked = image.documents?.get(url.pathname.slice(url.pathname.lastIndexOf("/") + 1));
    if (kind === "manifest" && asked !== undefined)
      return { bytes: asked.bytes, headers: { "content-type": asked.mediaType } };
    if (kind === "manifest")
      return {
        bytes: image.manifest,
        headers: { "content-type": image.mediaType, "docker-content-digest": image.digest },
      };
    if (kind === "tags") {
      const bytes = Buffer.from(JSON.stringify({ name: "x", tags: ["latest"] }));
      return { bytes, headers: { "content-type": "application/json" } };
    }
    if (kind !== "blob") return undefined;
    const bytes = image.blobs.get(url.pathname.slice(url.pathname.lastIndexOf("/") + 1));
    return bytes && { bytes, headers: { "content-type": "application/octet-stream" } };
  }

  #honest({ request, response, kind, url, good }: EvilExchange): void {
    if (kind === "upload") return this.#upload(request, response, url);
    if (kind === "token") {
      response.setHeader("content-type", "application/json");
      return void response.end(JSON.stringify({ token: `token-${this.requests.length}` }));
    }
    if (kind === "ping") return void response.end();
    if (good === undefined) {
      response.writeHead(404, { "content-type": "application/json" });
      return void response.end(`{"errors":[{"code":"NAME_UNKNOWN","message":"unknown","detail":{}}]}`);
    }
    const from = /^bytes=(\d+)-$/.exec(request.headers.range ?? "")?.[1];
    const offset = Math.min(Number(from ?? 0), good.bytes.length);
    const rest = good.bytes.subarray(offset);
    const { length } = good.bytes;
    const range = from === undefined ? {} : { "content-range": `bytes ${offset}-${length - 1}/${length}` };
    response.writeHead(from === undefined ? 200 : 206, { ...good.headers, ...range, "content-length": rest.length });
    response.end(request.method === "HEAD" ? undefined : rest);
  }

  /** Sessions as a registry has them: POST opens, PATCH appends, GET tells, PUT closes. */
  #upload(request: IncomingMessage, response: ServerResponse, url: URL): void {
    const had = this.uploads.get(url.pathname);
    const location = { location: `${url.pathname}?state=a%3Db` };
    const rangeOf = (bytes: Buffer): string => `0-${Math.max(0, bytes.length - 1)}`;
    if (request.method === "POST") {
      const name = `${url.pathname}${this.uploads.size}`;
      this.uploads.set(name, Buffer.alloc(0));
      response.writeHead(202, { location: `${name}?state=a%3Db`, range: "0-0", "content-length": "0" });
      return void response.end();
    }
    if (had === undefined) {
      response.writeHead(404, { "content-type": "application/json" });
      return void response.end(`{"errors":[{"code":"BLOB_UPLOAD_UNKNOWN","message":"no such upload","detail":{}}]}`);
    }
    if (request.method === "GET") {
      response.writeHead(204, { ...location, range: rangeOf(had) });
      return void response.end();
    }
    const chunks = [had];
    request.on("data", (chunk: Buffer) => void chunks.push(chunk));
    request.on("close", () => {
      if (this.uploads.has(url.pathname)) this.uploads.set(url.pathname, Buffer.concat(chunks));
    });
    request.on("error", () => {});
    request.on("end", () => {
      const bytes = Buffer.concat(chunks);
      this.uploads.set(url.pathname, bytes);
      const closes = request.method === "PUT";
      const digest = `sha256:${sha256(bytes)}`;
      if (!closes) {
        response.writeHead(202, { ...location, range: rangeOf(bytes), "content-length": "0" });
      } else if (url.searchParams.get("digest") === digest && url.searchParams.get("state") === "a=b") {
        this.uploads.delete(url.pathname);
        this.uploads.set(digest, bytes);
        response.writeHead(201, { "docker-content-digest": digest, "content-length": "0" });
      } else response.writeHead(400, { "content-length": "0" });
      response.end();
    });
  }
}
