// Runs gantry-archive (see shim/archive.c): one process per question, killed with the request that asked. Its exit status says what
// kind of failure its last line is about.

import { type ChildProcess, spawn } from "node:child_process";
import type { Readable, Writable } from "node:stream";
import { EngineError, type ErrorKind, messageOf } from "../../base/errors.ts";

const maxComplaint = 8192;

/**
 * Exit statuses of gantry-archive, but for 0 and those that are the system's fault. See shim/archive.h and shim/layer.h. A malformed
 * archive (1) is the client's, and so is a path through what is no directory.
 */
const badArchive = 1;
const kinds: ReadonlyMap<number, ErrorKind> = new Map([
  [2, "InvalidParameter"],
  [5, "NotFound"],
  [6, "InvalidParameter"],
  [7, "Unavailable"],
  [8, "Conflict"],
  [9, "InvalidParameter"],
]);

/** A process that answers. */
export interface ArchiveProcess {
  readonly stdin: Writable | null;
  readonly stdout: Readable;
  /** Resolves when it has ended, with what went wrong. */
  readonly ended: Promise<EngineError | undefined>;
  kill(): void;
}

/** @param input whether it reads a tar from stdin */
export function startArchive(
  program: string,
  args: readonly string[],
  input: "tar" | "none",
  signal: AbortSignal,
): ArchiveProcess {
  if (signal.aborted) throw new EngineError("Cancelled", "the request was cancelled");
  const child = spawn(program, args, {
    stdio: [input === "tar" ? "pipe" : "ignore", "pipe", "pipe"],
    env: {},
    cwd: "/",
  });
  const kill = (): void => void child.kill("SIGKILL");
  signal.addEventListener("abort", kill, { once: true });
  const ended = watch(child, input, signal).finally(() => signal.removeEventListener("abort", kill));
  const { stdin, stdout } = child;
  if (stdout === null) throw new TypeError("gantry-archive was started without a pipe");
  return { stdin, stdout, ended, kill };
}

/** Everything that it prints. @throws what it ended with; System it printed too much */
export async function answerOf(process: ArchiveProcess, maxBytes: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of process.stdout as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > maxBytes) {
      process.kill();
      throw new EngineError("System", `the answer is larger than ${maxBytes} bytes`);
    }
    chunks.push(chunk);
  }
  const failure = await process.ended;
  if (failure !== undefined) throw failure;
  return Buffer.concat(chunks, size);
}

function watch(child: ChildProcess, input: "tar" | "none", signal: AbortSignal): Promise<EngineError | undefined> {
  const ended = Promise.withResolvers<EngineError | undefined>();
  let said = "";
  child.stderr?.setEncoding("utf8").on("data", (text: string) => {
    said = (said + text).slice(0, maxComplaint);
  });
  child.on("error", (cause) =>
    ended.resolve(
      new EngineError("System", `run gantry-archive: ${messageOf(cause)}; is it installed beside gantryd?`, { cause }),
    ),
  );
  child.on("close", (code, signalName) => {
    const complaint = said.trim();
    if (code === 0) ended.resolve(undefined);
    else if (signal.aborted) ended.resolve(new EngineError("Cancelled", "the request was cancelled"));
    else
      ended.resolve(
        new EngineError(
          input === "tar" && code === badArchive ? "InvalidParameter" : (kinds.get(code ?? -1) ?? "System"),
          complaint === "" ? `gantry-archive ended with ${signalName ?? `status ${code}`}` : complaint,
        ),
      );
  });
  return ended.promise;
}
