// One request and its answer. A handler answers exactly once: with json, text or empty, with a stream, or by taking the
// connection over; what it throws before that becomes the error reply.

import type { IncomingMessage, ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import type { Logger } from "../../base/log.ts";
import type { Query } from "./query.ts";

/** Headers of a reply; names as they go out. */
export type ReplyHeaders = Readonly<Record<string, string | number>>;

/** Where replies go: a ServerResponse, or the bare connection of an upgrade request. */
export interface Reply {
  /** True once the first byte was handed over. */
  readonly started: boolean;
  /** Status of the head that was sent; 0 before that. */
  readonly status: number;
  send(status: number, headers: ReplyHeaders, body: string | Buffer): void;
  /** Sends the head at once and returns the body to write to. Only for requests that did not ask for an upgrade. */
  stream(status: number, headers: ReplyHeaders): ServerResponse;
  /** Ends HTTP on this connection: sends `head` and returns the bare connection with what the client sent already. */
  takeOver(head: string): { readonly connection: Duplex; readonly early: Buffer };
}

export interface Exchange {
  readonly request: IncomingMessage;
  /** Placeholders of the route, decoded. */
  readonly params: Readonly<Record<string, string>>;
  readonly query: Query;
  /** Minor number of the API version asked for, 24 to 51. */
  readonly minor: number;
  /** Aborted when the client hangs up before it has its answer, and when the server gives up waiting for requests. */
  readonly signal: AbortSignal;
  /** Aborted when the server starts to close: for answers that would take for ever. */
  readonly draining: AbortSignal;
  /** Aborted when the server gives up waiting for requests, whatever the client does. */
  readonly forced: AbortSignal;
  readonly log: Logger;
  readonly reply: Reply;
  /** True when the client asks to upgrade the connection. */
  readonly upgrade: boolean;
  /** Headers that every reply has. */
  readonly commonHeaders: ReplyHeaders;
}

export type Handler = (exchange: Exchange) => Promise<void>;

export function sendJson(exchange: Exchange, status: number, value: unknown): void {
  exchange.reply.send(status, { "Content-Type": "application/json" }, `${JSON.stringify(value)}\n`);
}

export function sendEmpty(exchange: Exchange, status: number): void {
  exchange.reply.send(status, {}, "");
}

/** A placeholder that the route has; its absence is a mistake in the route table. */
export function param(exchange: Exchange, name: string): string {
  const value = exchange.params[name];
  if (value === undefined) throw new TypeError(`the route has no placeholder ${name}`);
  return value;
}

/**
 * The signal of an answer that may take for ever: also aborted when the client ends its side of the connection, and when
 * the server starts to close. Hold it with `using` until the answer is complete.
 */
export class Endless implements Disposable {
  readonly #controller = new AbortController();
  readonly #exchange: Exchange;
  readonly #abort = (): void => this.#controller.abort();

  constructor(exchange: Exchange) {
    this.#exchange = exchange;
    const { socket } = exchange.request;
    exchange.signal.addEventListener("abort", this.#abort);
    exchange.draining.addEventListener("abort", this.#abort);
    socket.on("end", this.#abort);
    if (exchange.signal.aborted || exchange.draining.aborted || socket.readableEnded) this.#abort();
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  [Symbol.dispose](): void {
    this.#exchange.signal.removeEventListener("abort", this.#abort);
    this.#exchange.draining.removeEventListener("abort", this.#abort);
    this.#exchange.request.socket.off("end", this.#abort);
  }
}
