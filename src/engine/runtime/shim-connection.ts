// One control connection to a shim: requests with tags, replies, pushed events. Reconnecting is the caller's.

import { type FileHandle, open } from "node:fs/promises";
import { constants } from "node:fs";
import { connect, type Socket } from "node:net";
import { EngineError, type ErrorKind } from "../../base/errors.ts";
import { type Field, type Frame, FrameReader, renderFrame } from "./shim-frames.ts";

/** Bytes of a socket's path that connect(2) takes. */
const pathMaxBytes = 107;

const kinds: Readonly<Record<string, ErrorKind>> = {
  notFound: "NotFound",
  conflict: "Conflict",
  invalid: "InvalidParameter",
  system: "System",
};

/** @throws EngineError what the reply's `error` field names, if it has one */
export function throwErrorOf(reply: Frame): void {
  const kind = reply.get("error");
  if (kind !== undefined) throw new EngineError(kinds[kind] ?? "System", reply.get("message") ?? "the shim refused");
}

function openSocket(path: string): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ path, allowHalfOpen: true });
    // Stays: a shim that leaves may reset the connection before anybody else listens.
    socket.on("error", reject);
    socket.once("connect", () => resolve(socket));
  });
}

/**
 * Connects to `<runDir>/shim.sock`; a path too long for a socket address is reached through the directory's descriptor.
 * Rejects with Node's own error (ENOENT, ECONNREFUSED: there is no shim).
 */
export async function connectShim(runDir: string): Promise<Socket> {
  const path = `${runDir}/shim.sock`;
  if (Buffer.byteLength(path) <= pathMaxBytes) return openSocket(path);
  let directory: FileHandle | undefined;
  try {
    directory = await open(runDir, constants.O_RDONLY | constants.O_DIRECTORY);
    return await openSocket(`/proc/self/fd/${directory.fd}/shim.sock`);
  } finally {
    await directory?.close();
  }
}

interface Waiting {
  readonly resolve: (reply: Frame) => void;
  readonly reject: (error: Error) => void;
  readonly timer: NodeJS.Timeout | undefined;
}

/** A connection that has not been greeted yet; `hello` is its first request. */
export class ShimConnection {
  readonly #socket: Socket;
  readonly #reader = new FrameReader();
  readonly #waiting = new Map<string, Waiting>();
  #nextTag = 1;
  #closed = false;
  /** Called for every pushed event, in order. */
  onEvent: (event: Frame) => void = () => {};
  /** Called once, when the connection is gone. */
  onClose: () => void = () => {};

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.on("data", (bytes: Buffer) => this.#receive(bytes));
    socket.on("error", () => socket.destroy());
    socket.on("end", () => socket.destroy());
    socket.on("close", () => this.#close());
    // Reset while the directory's descriptor was being closed: nothing will be emitted any more.
    if (socket.destroyed) queueMicrotask(() => this.#close());
  }

  get closed(): boolean {
    return this.#closed;
  }

  #receive(bytes: Buffer): void {
    try {
      for (const frame of this.#reader.push(bytes)) {
        const tag = frame.get("re");
        if (tag === undefined) {
          this.onEvent(frame);
          continue;
        }
        const waiting = this.#waiting.get(tag);
        this.#waiting.delete(tag);
        clearTimeout(waiting?.timer);
        waiting?.resolve(frame);
      }
    } catch (error) {
      this.#socket.destroy(error instanceof Error ? error : undefined);
    }
  }

  #close(): void {
    if (this.#closed) return;
    this.#closed = true;
    for (const waiting of this.#waiting.values()) {
      clearTimeout(waiting.timer);
      waiting.reject(new EngineError("Unavailable", "the shim has closed the connection"));
    }
    this.#waiting.clear();
    this.onClose();
  }

  /**
   * Sends a command and resolves with its reply.
   *
   * @param timeoutMs 0 waits for as long as the shim lives
   * @throws Unavailable the connection is gone
   * @throws Deadline    no reply in time; the connection stays usable
   * @throws NotFound, Conflict, InvalidParameter, System as the shim says
   */
  async request(op: string, fields: readonly Field[], timeoutMs: number): Promise<Frame> {
    if (this.#closed) throw new EngineError("Unavailable", "the shim has left");
    const tag = String(this.#nextTag++);
    const { promise, resolve, reject } = Promise.withResolvers<Frame>();
    const timer =
      timeoutMs === 0
        ? undefined
        : setTimeout(() => {
            this.#waiting.delete(tag);
            reject(new EngineError("Deadline", `the shim has not answered ${op} within ${timeoutMs} ms`));
          }, timeoutMs);
    this.#waiting.set(tag, { resolve, reject, timer });
    this.#socket.write(renderFrame([["op", op], ["tag", tag], ...fields]));
    const reply = await promise;
    throwErrorOf(reply);
    return reply;
  }

  /** Resolves when the connection is gone, or after the time. */
  ended(timeoutMs: number): Promise<void> {
    return new Promise((resolve) => {
      if (this.#closed) return resolve();
      const timer = setTimeout(resolve, timeoutMs);
      this.#socket.once("close", () => {
        clearTimeout(timer);
        resolve();
      });
    });
  }

  destroy(): void {
    this.#socket.destroy();
  }
}
