// Runs a program of the host as a filter: bytes in, bytes out, while both flow. The program is named by an absolute path that is
// searched in the system's own directories, gets no environment and no file but its pipes, and dies with its reader.

import { spawn } from "node:child_process";
import { accessSync, constants } from "node:fs";
import { join } from "node:path";
import { Readable } from "node:stream";
import { EngineError, messageOf } from "../../base/errors.ts";

const systemDirectories = ["/usr/bin", "/bin", "/usr/local/bin"];
const maxComplaint = 2000;
const bufferBytes = 256 << 10;

/** The absolute path of a program of the host; undefined where it is not installed. */
export function findProgram(name: string): string | undefined {
  return systemDirectories.map((directory) => join(directory, name)).find(isExecutable);
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/**
 * The program's output for an input. The program is killed when the reader leaves early.
 *
 * @param argv absolute path and arguments
 * @throws InvalidParameter the program did not accept the input: what it wrote to stderr
 * @throws System it cannot be started, or a signal ended it; whatever `input` throws is thrown on
 */
export async function* filterThrough(
  argv: readonly [string, ...string[]],
  input: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  const [program, ...args] = argv;
  const child = spawn(program, args, { stdio: ["pipe", "pipe", "pipe"], env: {}, cwd: "/" });
  let complaint = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    complaint = (complaint + text).slice(0, maxComplaint);
  });
  const ended = new Promise<EngineError | undefined>((resolve) => {
    child.on("error", (cause) => resolve(new EngineError("System", `run ${program}: ${messageOf(cause)}`, { cause })));
    child.on("close", (code, signal) => {
      if (code === 0) return resolve(undefined);
      if (code === null) return resolve(new EngineError("System", `${program} was ended by ${signal ?? "a signal"}`));
      const said = complaint.trim();
      resolve(new EngineError("InvalidParameter", said === "" ? `${program}: exit status ${code}` : said));
    });
  });

  let inputError: { readonly error: unknown } | undefined;
  const source = Readable.from(
    (async function* () {
      try {
        yield* input;
      } catch (error) {
        inputError = { error };
        throw error;
      }
    })(),
    { objectMode: false, highWaterMark: bufferBytes },
  );
  // A program that ends before its input does (EPIPE) says why by its exit status.
  child.stdin.on("error", () => source.destroy());
  source.on("error", () => child.kill("SIGKILL"));
  source.pipe(child.stdin);
  try {
    yield* child.stdout as AsyncIterable<Uint8Array>;
    const failure = await ended;
    if (inputError !== undefined) throw inputError.error;
    if (failure !== undefined) throw failure;
  } finally {
    child.kill("SIGKILL");
    source.destroy();
    // Else a process that it has started, and that holds its pipes, would be waited for.
    for (const pipe of [child.stdin, child.stdout, child.stderr]) pipe.destroy();
    // Whoever reads `input` next must not meet a read that is still under way here.
    if (!source.closed) await new Promise<void>((resolve) => void source.once("close", resolve));
    await ended;
  }
}
