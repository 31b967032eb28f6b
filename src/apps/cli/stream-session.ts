// Pipes this process's stdin, stdout and stderr to and from a hijacked connection: raw with a terminal, demultiplexed
// without. Back-pressure goes both ways; the end of stdin is half-closed onwards.

import type { Socket } from "node:net";
import type { Writable } from "node:stream";
import type { HijackedStream } from "../../client/client.ts";
import { StdcopyDemuxer } from "../../client/stdcopy.ts";
import { DetachFilter, enterRawMode, parseDetachKeys } from "./terminal.ts";

export interface SessionOptions {
  /** The container has a terminal: output is raw. */
  readonly tty: boolean;
  readonly stdin: boolean;
  readonly stdout: boolean;
  readonly stderr: boolean;
  /** "" is ctrl-p,ctrl-q. */
  readonly detachKeys: string;
}

/** Why a session ended. */
export type SessionEnd = "ended" | "detached";

function isGone(error: Error): boolean {
  return "code" in error && (error.code === "ECONNRESET" || error.code === "EPIPE");
}

function copyOutput(socket: Socket, first: Buffer, options: SessionOptions): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const blocked = new Set<Writable>();
  const write = (target: Writable, bytes: Buffer): void => {
    if (target.write(bytes) || blocked.has(target)) return;
    blocked.add(target);
    socket.pause();
    target.once("drain", () => {
      blocked.delete(target);
      if (blocked.size === 0) socket.resume();
    });
  };
  const demuxer = new StdcopyDemuxer((stream, bytes) => {
    if (stream === 1 && options.stdout) write(process.stdout, bytes);
    if (stream === 2 && options.stderr) write(process.stderr, bytes);
  });
  const take = (chunk: Buffer): void => {
    try {
      if (options.tty) write(process.stdout, chunk);
      else demuxer.push(chunk);
    } catch (error) {
      reject(error);
      socket.destroy();
    }
  };
  if (first.length > 0) take(first);
  socket.on("data", take);
  if (blocked.size === 0) socket.resume();
  socket.once("end", resolve);
  socket.once("close", resolve);
  socket.once("error", (error: Error) => (isGone(error) ? resolve() : reject(error)));
  return promise;
}

/** Copies stdin until its end; resolves with true when the detach keys were typed, and never when it just ends. */
function copyInput(socket: Socket, options: SessionOptions): { readonly detached: Promise<void>; stop(): void } {
  const { promise, resolve } = Promise.withResolvers<void>();
  const filter = options.tty ? new DetachFilter(parseDetachKeys(options.detachKeys || "ctrl-p,ctrl-q")) : undefined;
  const input = process.stdin;
  const onData = (chunk: Buffer): void => {
    const fed = filter?.feed(chunk) ?? { bytes: chunk, detached: false };
    if (fed.bytes.length > 0 && socket.writable && !socket.write(fed.bytes)) {
      input.pause();
      socket.once("drain", () => input.resume());
    }
    if (fed.detached) resolve();
  };
  const onEnd = (): void => void socket.end();
  input.on("data", onData);
  input.once("end", onEnd);
  input.once("error", onEnd);
  return {
    detached: promise,
    stop: () => {
      input.off("data", onData);
      input.off("end", onEnd);
      input.pause();
    },
  };
}

/**
 * Runs the conversation to its end.
 *
 * @param ready  called when everything is wired and nothing can be lost: the time to start the process
 * @throws Error the connection broke, or what came is no frame
 */
export async function runSession(
  stream: HijackedStream,
  options: SessionOptions,
  ready?: () => Promise<void>,
): Promise<SessionEnd> {
  const { socket, first } = stream;
  using raw = options.tty && options.stdin ? enterRawMode() : undefined;
  void raw;
  const output = copyOutput(socket, first, options);
  output.catch(() => undefined);
  const input = options.stdin ? copyInput(socket, options) : undefined;
  // Without stdin the connection stays open for writing: half-closing it would end the attachment at some daemons.
  try {
    await ready?.();
    const how = await Promise.race([
      output.then((): SessionEnd => "ended"),
      ...(input === undefined ? [] : [input.detached.then((): SessionEnd => "detached")]),
    ]);
    return how;
  } finally {
    input?.stop();
    socket.destroy();
  }
}
