// Connections that stop being HTTP: attach and exec start. The client gets `101 UPGRADED` when it asked for an upgrade and
// `200 OK` when it did not; from then on bytes go both ways until the process ends or the client leaves.
//
//   client ──(detach keys looked for, tty only)──► session.duplex   half-close of the client ends stdin
//   client ◄────────────────────────────────────── session.duplex   end of the output half-closes the connection
//
// Source: Engine API 1.51, ContainerAttach, "Hijacking".

import type { Duplex, Readable } from "node:stream";
import { messageOf } from "../../base/errors.ts";
import type { Logger } from "../../base/log.ts";
import { DetachScanner } from "./detach-keys.ts";
import type { Exchange, ReplyHeaders } from "./exchange.ts";
import type { AttachSession } from "./ports.ts";

export const rawStream = "application/vnd.docker.raw-stream";
export const multiplexedStream = "application/vnd.docker.multiplexed-stream";

/** How long a client may take to close its side after everything was sent. */
const lingerMs = 10_000;
/** API 1.42 and newer name the framed form, and only to clients that asked to upgrade. */
export function streamContentType(tty: boolean, exchange: Pick<Exchange, "minor" | "upgrade">): string {
  return !tty && exchange.upgrade && exchange.minor >= 42 ? multiplexedStream : rawStream;
}

/** Sends the head of a hijacked connection and hands the connection over. */
export function takeOver(
  exchange: Exchange,
  contentType: string,
  headers: ReplyHeaders = {},
): { readonly connection: Duplex; readonly early: Buffer } {
  const lines = exchange.upgrade
    ? ["HTTP/1.1 101 UPGRADED", `Content-Type: ${contentType}`, "Connection: Upgrade", "Upgrade: tcp"]
    : ["HTTP/1.1 200 OK", `Content-Type: ${contentType}`];
  for (const [name, value] of Object.entries(headers)) lines.push(`${name}: ${value}`);
  return exchange.reply.takeOver(`${lines.join("\r\n")}\r\n\r\n`);
}

/**
 * Ends a hijacked connection after `last`. Unread input would turn the close into a reset that takes the last output with it:
 * what the client sends is read and thrown away until it closes its side too, or for a while.
 */
export function endPolitely(connection: Duplex, last: Buffer | string = ""): void {
  connection.on("error", () => {});
  connection.end(last);
  connection.resume();
  if (connection.destroyed) return;
  const timer = setTimeout(() => connection.destroy(), lingerMs);
  connection.once("close", () => clearTimeout(timer));
}

export interface PumpOptions {
  /** Bytes of the client that arrived before the connection was handed over. */
  readonly early: Buffer;
  /** What goes to the client; session.duplex unless something is between. */
  readonly output: Readable;
  /** Sequence that detaches; undefined never detaches. */
  readonly detachKeys: Buffer | undefined;
  /** False discards what the client sends. */
  readonly stdin: boolean;
  /** Aborting detaches. */
  readonly signal: AbortSignal;
  readonly log: Logger;
}

/** Pipes until both sides are done; resolves when the connection is closed. Never rejects. */
export function pump(connection: Duplex, session: AttachSession, options: PumpOptions): Promise<void> {
  const { output, signal, log } = options;
  const { duplex } = session;
  const { promise, resolve } = Promise.withResolvers<void>();
  const scanner = options.detachKeys === undefined ? undefined : new DetachScanner(options.detachKeys);
  let over = false;

  // The one way out, for whichever side ends first; later calls find nothing left to do.
  const finish = (how: "ended" | "keys" | "lost"): void => {
    if (over) return;
    over = true;
    signal.removeEventListener("abort", onAbort);
    if (how !== "ended") session.detach(how === "keys");
    output.unpipe(connection);
    duplex.destroy();
    if (output !== duplex) output.destroy();
    if (how === "lost") {
      connection.destroy();
      return;
    }
    endPolitely(connection);
  };
  const onAbort = (): void => finish("lost");
  const onOutputEnd = (): void => {
    if (session.ended === undefined) finish("ended");
    else void session.ended.then(() => finish("ended"));
  };

  const onInput = (chunk: Buffer): void => {
    if (over || !options.stdin) return;
    const scanned = scanner?.scan(chunk);
    const forward = scanned === undefined ? chunk : scanned.forward;
    if (forward.length > 0 && duplex.writable && !duplex.write(forward)) {
      connection.pause();
      duplex.once("drain", () => connection.resume());
    }
    if (scanned?.detached === true) finish("keys");
  };
  const onInputEnd = (): void => {
    if (over) return;
    if (options.stdin) duplex.end();
  };

  connection.on("error", () => finish("lost"));
  connection.on("close", () => {
    finish("lost");
    resolve();
  });
  duplex.on("error", (error) => {
    log.debug("attached stream failed", { error: messageOf(error) });
    finish("ended");
  });
  if (output !== duplex) output.on("error", () => finish("ended"));
  output.on("end", onOutputEnd);
  output.on("close", onOutputEnd);
  connection.on("data", onInput);
  connection.on("end", onInputEnd);
  signal.addEventListener("abort", onAbort, { once: true });
  if (signal.aborted) onAbort();
  else {
    output.pipe(connection, { end: false });
    // A socket without a byte to read tells its end when it comes, whether somebody listens or not.
    if (output.readableEnded || output.destroyed) onOutputEnd();
    if (options.early.length > 0) onInput(options.early);
  }
  return promise;
}
