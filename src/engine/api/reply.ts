// The two places where replies go: node's ServerResponse, and the bare connection of a request that asked for an upgrade.

import { type IncomingMessage, STATUS_CODES, type ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import type { Reply, ReplyHeaders } from "./exchange.ts";
import { probeWhenEnded } from "./liveness.ts";

/** How long a client may go on sending after it has its answer. */
const refusedLingerMs = 2_000;

/** Replies of an ordinary request. */
export class ResponseReply implements Reply {
  readonly #request: IncomingMessage;
  readonly #response: ServerResponse;
  readonly #common: ReplyHeaders;
  readonly #isClosing: () => boolean;
  #takenOver = false;

  constructor(request: IncomingMessage, response: ServerResponse, common: ReplyHeaders, isClosing: () => boolean) {
    this.#request = request;
    this.#response = response;
    this.#common = common;
    this.#isClosing = isClosing;
  }

  get started(): boolean {
    return this.#takenOver || this.#response.headersSent || this.#response.destroyed;
  }

  get status(): number {
    return this.#takenOver ? 200 : this.#response.headersSent ? this.#response.statusCode : 0;
  }

  send(status: number, headers: ReplyHeaders, body: string | Buffer): void {
    const withBody = status !== 204 && status !== 304;
    const length: ReplyHeaders = withBody ? { "Content-Length": Buffer.byteLength(body) } : {};
    this.#writeHead(status, { ...headers, ...length });
    this.#response.end(withBody && this.#request.method !== "HEAD" ? body : undefined);
  }

  stream(status: number, headers: ReplyHeaders): ServerResponse {
    this.#writeHead(status, headers);
    this.#response.flushHeaders();
    return this.#response;
  }

  takeOver(head: string): { readonly connection: Duplex; readonly early: Buffer } {
    this.#takenOver = true;
    const { socket } = this.#request;
    // node:http offers hijacking for upgrades alone. Without its listeners, and with one of ours, it lets go of the socket;
    // its "close" listener stays and frees the parser.
    for (const event of ["data", "end", "drain", "timeout", "error"]) socket.removeAllListeners(event);
    probeWhenEnded(socket);
    socket.on("data", noop);
    socket.off("data", noop);
    socket.on("error", noop);
    socket.setTimeout(0);
    socket.write(head, "latin1");
    return { connection: socket, early: Buffer.alloc(0) };
  }

  #writeHead(status: number, headers: ReplyHeaders): void {
    const close = this.#request.complete && this.#isClosing() ? { Connection: "close" } : {};
    this.#response.writeHead(status, { ...this.#common, ...headers, ...close });
    this.#response.once("finish", () => this.#discardRest());
  }

  /**
   * A body that nobody read to its end must not be taken for the next request. It is read and thrown away for a while: to
   * close at once would reset the connection of a client that is still sending, before it has seen the answer.
   */
  #discardRest(): void {
    const request = this.#request;
    if (request.complete || request.destroyed) return;
    request.unpipe();
    for (const event of ["readable", "data", "timeout"]) request.removeAllListeners(event);
    request.resume();
    const timer = setTimeout(() => request.socket.destroy(), refusedLingerMs);
    for (const event of ["end", "close"]) request.once(event, () => clearTimeout(timer));
  }
}

/** Replies of a request with `Connection: Upgrade`, whose connection node:http has handed over. */
export class UpgradeReply implements Reply {
  readonly #request: IncomingMessage;
  readonly #connection: Duplex;
  readonly #early: Buffer;
  readonly #common: ReplyHeaders;
  #status = 0;

  constructor(request: IncomingMessage, connection: Duplex, early: Buffer, common: ReplyHeaders) {
    this.#request = request;
    this.#connection = connection;
    this.#early = early;
    this.#common = common;
    connection.on("error", noop);
    request.on("error", noop);
  }

  get started(): boolean {
    return this.#status !== 0 || this.#connection.destroyed;
  }

  get status(): number {
    return this.#status;
  }

  send(status: number, headers: ReplyHeaders, body: string | Buffer): void {
    this.#status = status;
    const all = { ...this.#common, ...headers, "Content-Length": Buffer.byteLength(body), Connection: "close" };
    const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`);
    this.#connection.write(`HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ""}\r\n${lines.join("")}\r\n`, "latin1");
    this.#connection.end(body);
    this.#request.resume();
    this.#connection.resume();
    const timer = setTimeout(() => this.#connection.destroy(), refusedLingerMs);
    this.#connection.once("close", () => clearTimeout(timer));
  }

  stream(): ServerResponse {
    throw new TypeError("a connection that upgrades carries no ordinary stream");
  }

  takeOver(head: string): { readonly connection: Duplex; readonly early: Buffer } {
    this.#status = 101;
    if (head !== "") this.#connection.write(head, "latin1");
    return { connection: this.#connection, early: this.#early };
  }
}

function noop(): void {}
