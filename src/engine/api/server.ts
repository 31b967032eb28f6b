// The HTTP server: connections with their limits and time-outs, requests from the first byte to the reply, and an orderly
// end. Listeners are made by daemon/ and must allow half-open connections.

import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { Server as NetServer, Socket } from "node:net";
import { Server as TlsServer } from "node:tls";
import type { Duplex } from "node:stream";
import { EngineError, isEngineError, messageOf } from "../../base/errors.ts";
import type { Logger } from "../../base/log.ts";
import { serveUntilGone } from "./build/grpc.ts";
import type { Exchange, Reply, ReplyHeaders } from "./exchange.ts";
import { probeWhenEnded } from "./liveness.ts";
import { Query, unescapePath } from "./query.ts";
import { ResponseReply, UpgradeReply } from "./reply.ts";
import type { Router } from "./router.ts";
import { renderError, statusOf } from "./status.ts";
import { checkSurface, type SurfaceOptions, type Transport } from "./surface.ts";
import { parseVersionedPath } from "./version.ts";

const maxHeaderBytes = 128 * 1024;
/** dockerd never closes an idle connection; ours may be used up by them. */
const keepAliveMs = 600_000;
/** Idle time after which the kernel asks whether a TCP peer is still there. */
const tcpKeepAliveMs = 30_000;
const turnedAwayLingerMs = 1_000;
const upgradablePath = /\/(?:containers\/.+\/attach(?:\/ws)?|exec\/.+\/start|grpc|session)(?:\?|$)/;
/** With which HTTP/2 begins. Source: RFC 9113, section 3.4. */
const http2Preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

export interface HttpOptions extends SurfaceOptions {
  readonly commonHeaders: ReplyHeaders;
  readonly log: Logger;
  readonly headersTimeoutMs: number;
  /** More connections than these are turned away with 503. */
  readonly maxConnections: number;
  /** Takes over connections whose clients speak HTTP/2 from their first byte. */
  serveHttp2(connection: Duplex): void;
}

interface Connection {
  readonly transport: Transport;
  /** Requests that have no complete answer yet. */
  busy: number;
}

export class HttpServer {
  readonly #router: Router;
  readonly #options: HttpOptions;
  readonly #http: Server;
  readonly #listeners: NetServer[] = [];
  readonly #connections = new Map<Socket, Connection>();
  /** One for every request without a complete answer. */
  readonly #active = new Set<AbortController>();
  readonly #draining = new AbortController();
  readonly #forced = new AbortController();

  constructor(router: Router, options: HttpOptions) {
    this.#router = router;
    this.#options = options;
    this.#http = createServer({
      maxHeaderSize: maxHeaderBytes,
      headersTimeout: options.headersTimeoutMs,
      requestTimeout: 0,
      keepAliveTimeout: keepAliveMs,
      connectionsCheckingInterval: Math.min(5_000, options.headersTimeoutMs),
      insecureHTTPParser: false,
      requireHostHeader: true,
      noDelay: true,
      shouldUpgradeCallback: (request) => upgradablePath.test(request.url ?? ""),
    });
    // Clients that close their sending side after the request (socat, nc -N) still get their answer.
    Object.assign(this.#http, { httpAllowHalfOpen: true });
    this.#http.on("request", (request, response) => this.#onRequest(request, response));
    this.#http.on("upgrade", (request, connection, head) => this.#onUpgrade(request, connection, head));
    this.#http.on("clientError", (error, socket) => this.#onClientError(error, socket));
    // Connections are handed in, so that nothing listens; this starts the check of headersTimeout all the same.
    this.#http.emit("listening");
  }

  serve(listener: NetServer, transport: Transport): void {
    this.#listeners.push(listener);
    listener.on(listener instanceof TlsServer ? "secureConnection" : "connection", (socket: Socket) =>
      this.handleConnection(socket, transport),
    );
  }

  handleConnection(socket: Socket, transport: Transport): void {
    if (this.#draining.signal.aborted) {
      socket.destroy();
      return;
    }
    if (this.#connections.size >= this.#options.maxConnections) {
      socket.on("error", () => {});
      socket.end(bareReply(503, "too many connections to the daemon: close some"));
      socket.resume();
      destroySoon(socket);
      return;
    }
    this.#connections.set(socket, { transport, busy: 0 });
    if (transport === "tcp") socket.setKeepAlive(true, tcpKeepAliveMs);
    probeWhenEnded(socket);
    socket.once("close", () => this.#connections.delete(socket));
    this.#http.emit("connection", socket);
  }

  /** Stops accepting, ends endless answers, waits up to `graceMs` for the others, then cuts what is left. */
  async close(graceMs: number): Promise<void> {
    if (this.#draining.signal.aborted) return;
    for (const listener of this.#listeners) if (listener.listening) listener.close();
    this.#draining.abort();
    for (const [socket, connection] of this.#connections) if (connection.busy === 0) socket.destroy();
    const deadline = performance.now() + graceMs;
    while ([...this.#connections.values()].some(({ busy }) => busy > 0) && performance.now() < deadline)
      await pause(10);
    this.#forced.abort();
    for (const controller of this.#active) controller.abort();
    for (const socket of this.#connections.keys()) socket.destroy();
    this.#http.close(() => {});
  }

  #onRequest(request: IncomingMessage, response: ServerResponse): void {
    const reply = new ResponseReply(
      request,
      response,
      this.#options.commonHeaders,
      () => this.#draining.signal.aborted,
    );
    response.on("error", () => {});
    const hungUp = new AbortController();
    const done = this.#occupy(request.socket, hungUp);
    response.once("close", () => {
      done();
      if (!response.writableFinished) hungUp.abort();
    });
    void this.#answer(request, reply, hungUp.signal, false);
  }

  #onUpgrade(request: IncomingMessage, connection: Duplex, head: Buffer): void {
    const reply = new UpgradeReply(request, connection, head, this.#options.commonHeaders);
    const hungUp = new AbortController();
    const done = this.#occupy(request.socket, hungUp);
    connection.once("close", () => {
      done();
      hungUp.abort();
    });
    void this.#answer(request, reply, hungUp.signal, true);
  }

  #occupy(socket: Socket, hungUp: AbortController): () => void {
    const connection = this.#connections.get(socket);
    if (connection === undefined) return () => {};
    connection.busy++;
    this.#active.add(hungUp);
    return () => {
      this.#active.delete(hungUp);
      connection.busy--;
      if (this.#draining.signal.aborted && connection.busy === 0) socket.end();
    };
  }

  async #answer(request: IncomingMessage, reply: Reply, hungUp: AbortSignal, upgrade: boolean): Promise<void> {
    const { log } = this.#options;
    const began = performance.now();
    let failure: unknown;
    try {
      await this.#dispatch(request, reply, hungUp, upgrade);
    } catch (error) {
      failure = error;
      this.#fail(request, reply, error, hungUp.aborted);
    }
    log.debug("request", {
      method: request.method ?? "",
      path: (request.url ?? "").split("?", 1)[0]?.slice(0, 512),
      status: reply.status,
      error: failure === undefined ? undefined : messageOf(failure),
      ms: Math.round(performance.now() - began),
    });
  }

  async #dispatch(request: IncomingMessage, reply: Reply, hungUp: AbortSignal, upgrade: boolean): Promise<void> {
    const { commonHeaders, log } = this.#options;
    checkSurface(request, this.#connections.get(request.socket)?.transport ?? "tcp", this.#options);
    const [rawPath = "/", ...rest] = (request.url ?? "/").split("?");
    const decoded = unescapePath(rawPath);
    const cleaned = cleanPath(decoded);
    const queryText = rest.join("?");
    if (cleaned !== decoded && request.method !== "CONNECT") {
      const location = encodeURI(cleaned) + (queryText === "" ? "" : `?${queryText}`);
      reply.send(301, { Location: location }, "");
      return;
    }
    if (request.method === "OPTIONS") {
      reply.send(200, {}, "");
      return;
    }
    const { minor, path } = parseVersionedPath(decoded);
    const match = this.#router.match(request.method ?? "", path);
    if (match === undefined) throw new EngineError("NotFound", "page not found");
    const exchange: Exchange = {
      request,
      params: match.params,
      query: new Query(queryText),
      minor,
      signal: hungUp,
      draining: this.#draining.signal,
      forced: this.#forced.signal,
      log,
      reply,
      upgrade,
      commonHeaders,
    };
    await match.route.handler(exchange);
  }

  #fail(request: IncomingMessage, reply: Reply, error: unknown, hungUp: boolean): void {
    const status = statusOf(error);
    if (status === 500 && !hungUp)
      this.#options.log.error("request failed", {
        method: request.method ?? "",
        path: (request.url ?? "").split("?", 1)[0]?.slice(0, 512),
        error: isEngineError(error) || !(error instanceof Error) ? messageOf(error) : (error.stack ?? error.message),
      });
    if (!reply.started)
      reply.send(status, status === 304 ? {} : { "Content-Type": "application/json" }, renderError(error));
    else if (!request.socket.destroyed) request.socket.destroy();
  }

  /**
   * node:http's parser stops at HTTP/2's preface: then the connection is handed over with everything that came. Nobody pays for
   * looking but those who speak it.
   */
  #serveHttp2(socket: Socket, early: Buffer): void {
    for (const event of ["data", "end", "drain", "timeout", "error"]) socket.removeAllListeners(event);
    socket.on("data", ignore);
    socket.off("data", ignore);
    socket.on("error", ignore);
    socket.setTimeout(0);
    socket.pause();
    socket.unshift(early);
    const hungUp = new AbortController();
    const done = this.#occupy(socket, hungUp);
    void serveUntilGone(socket, (connection) => this.#options.serveHttp2(connection), this.#draining.signal)
      .catch((error: unknown) => this.#options.log.debug("HTTP/2 connection failed", { error: messageOf(error) }))
      .finally(done);
  }

  #onClientError(error: Error & { readonly code?: string; readonly rawPacket?: Buffer }, socket: Duplex): void {
    const { rawPacket } = error;
    if (rawPacket?.toString("latin1", 0, http2Preface.length) === http2Preface && !this.#draining.signal.aborted) {
      this.#serveHttp2(socket as Socket, rawPacket);
      return;
    }
    this.#options.log.debug("malformed request", { error: messageOf(error) });
    if (!socket.writable || (this.#connections.get(socket as Socket)?.busy ?? 0) > 0) {
      socket.destroy();
      return;
    }
    if (error.code === "HPE_HEADER_OVERFLOW") socket.end(bareReply(431, "the request header is too large"));
    else if (error.code === "ERR_HTTP_REQUEST_TIMEOUT")
      socket.end(bareReply(408, "the request header did not arrive in time"));
    else socket.end(bareReply(400, "malformed HTTP request"));
    destroySoon(socket);
  }
}

/** Leaves a client that was turned away a moment to read why. */
function destroySoon(socket: Duplex): void {
  const timer = setTimeout(() => socket.destroy(), turnedAwayLingerMs);
  socket.once("close", () => clearTimeout(timer));
}

/** Without empty, "." and ".." segments, as Go's mux redirects them. */
function cleanPath(path: string): string {
  if (!/\/(?:\/|\.\.?(?:\/|$))/.test(path)) return path;
  const segments: string[] = [];
  for (const segment of path.split("/")) {
    if (segment === "..") segments.pop();
    else if (segment !== "" && segment !== ".") segments.push(segment);
  }
  return `/${segments.join("/")}${path.endsWith("/") && segments.length > 0 ? "/" : ""}`;
}

function ignore(): void {}

const reasons: Readonly<Record<number, string>> = {
  400: "Bad Request",
  408: "Request Timeout",
  431: "Request Header Fields Too Large",
  503: "Service Unavailable",
};

/** A whole reply for a connection that no request could be read from. */
function bareReply(status: number, message: string): string {
  const body = `${JSON.stringify({ message })}\n`;
  return `HTTP/1.1 ${status} ${reasons[status]}\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`;
}

function pause(ms: number): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  setTimeout(resolve, ms);
  return promise;
}
