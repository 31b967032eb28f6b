// Runs gantry-copy (see shim/copy.c): requests are words that end with NUL.

import { spawn } from "node:child_process";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { EngineError, type ErrorKind, messageOf } from "../../../base/errors.ts";

const maxOutput = 64 << 20;
const maxSaid = 8192;

/** Of gantry-copy and, behind extract, gantry-unpack: see shim/layer.h and shim/copy.h. */
const kinds: ReadonlyMap<number, ErrorKind> = new Map([
  [1, "InvalidParameter"],
  [2, "InvalidParameter"],
  [5, "NotFound"],
]);

/** A request being put together. */
export class CopyRequest {
  readonly #parts: Buffer[] = [];

  words(...words: readonly (string | number | Buffer)[]): this {
    for (const word of words) {
      const bytes = Buffer.isBuffer(word) ? word : Buffer.from(String(word));
      if (bytes.includes(0)) throw new EngineError("InvalidParameter", "a name contains a NUL byte");
      this.#parts.push(bytes, Buffer.alloc(1));
    }
    return this;
  }

  /** Bytes as they are, with their number in front. */
  content(text: string): this {
    const bytes = Buffer.from(text);
    this.words(bytes.length);
    this.#parts.push(bytes);
    return this;
  }

  bytes(): Buffer {
    return Buffer.concat(this.#parts);
  }
}

/**
 * Runs it to its end.
 *
 * @param tar what `extract` reads
 * @returns what it printed
 * @throws NotFound, InvalidParameter what it says in the user's words; System; Cancelled
 */
export async function runCopy(
  program: string,
  args: readonly string[],
  request: CopyRequest,
  signal: AbortSignal,
  tar?: AsyncIterable<Uint8Array>,
): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of streamCopy(program, args, request, signal, tar)) {
    size += chunk.length;
    if (size > maxOutput) throw new EngineError("System", "gantry-copy wrote too much");
    chunks.push(Buffer.from(chunk));
  }
  return Buffer.concat(chunks);
}

/** The same, with what it prints as a stream; whoever stops reading ends it. */
export async function* streamCopy(
  program: string,
  args: readonly string[],
  request: CopyRequest,
  signal: AbortSignal,
  tar?: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  if (signal.aborted) throw new EngineError("Cancelled", "copying was cancelled");
  const child = spawn(program, args, {
    stdio: ["pipe", "pipe", "pipe", tar === undefined ? "ignore" : "pipe"],
    env: {},
    cwd: "/",
  });
  const ended = Promise.withResolvers<EngineError | undefined>();
  let said = "";
  child.stderr?.setEncoding("utf8").on("data", (text: string) => {
    said = (said + text).slice(0, maxSaid);
  });
  child.on("error", (cause) =>
    ended.resolve(
      new EngineError("System", `run gantry-copy: ${messageOf(cause)}; is it installed beside gantryd?`, { cause }),
    ),
  );
  child.on("close", (code, name) => {
    const text = said.trim() === "" ? `gantry-copy ended with ${name ?? `status ${code}`}` : said.trim();
    ended.resolve(code === 0 ? undefined : new EngineError(kinds.get(code ?? -1) ?? "System", text));
  });
  const kill = (): void => void child.kill("SIGKILL");
  signal.addEventListener("abort", kill, { once: true });
  // It says itself why it does not read any more.
  child.stdin?.on("error", () => undefined);
  child.stdin?.end(request.bytes());
  let tarError: unknown;
  const input = child.stdio[3];
  if (tar !== undefined && input !== null && input !== undefined && "write" in input) {
    pipeline(Readable.from(tar, { objectMode: false, highWaterMark: 1 << 18 }), input as NodeJS.WritableStream).catch(
      (error: unknown) => {
        if (!(error instanceof Error && "code" in error && (error.code === "EPIPE" || error.code === "ECONNRESET")))
          tarError = error;
        kill();
      },
    );
  }
  try {
    for await (const chunk of child.stdout ?? []) yield chunk as Uint8Array;
    const error = await ended.promise;
    if (signal.aborted) throw new EngineError("Cancelled", "copying was cancelled", { cause: error });
    if (tarError !== undefined) throw tarError;
    if (error !== undefined) throw error;
  } finally {
    signal.removeEventListener("abort", kill);
    kill();
  }
}
