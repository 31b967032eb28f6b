// Runs the host's own tools (nft, ip, mount …) and collects what they say. A tool never inherits the daemon's locale or
// stdin, never outlives its time-out, and its failure names the command, the exit and the end of stderr.

import { spawn } from "node:child_process";
import { EngineError, errnoOf } from "../../base/errors.ts";

export interface RunOptions {
  /** Written to the tool's stdin; without it stdin is /dev/null. */
  readonly input?: string | Uint8Array;
  /** Monotonic; 30,000 without it. The tool and what it started are killed. */
  readonly timeoutMs?: number;
  /** Of stdout and of stderr each; 16 MiB without it. */
  readonly maxOutputBytes?: number;
  /** Added to PATH and LC_ALL=C, which are all that a tool gets otherwise. */
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  readonly signal?: AbortSignal;
}

export interface RunResult {
  /** undefined when a signal ended the tool. */
  readonly exitCode: number | undefined;
  /** "SIGSEGV", or undefined. */
  readonly signal: string | undefined;
  readonly stdout: string;
  readonly stderr: string;
}

/**
 * Runs a tool to its end and resolves with its stdout.
 *
 * @throws System    it could not be started, wrote too much, or did not exit with 0
 * @throws Deadline  it ran longer than `timeoutMs`
 * @throws Cancelled the signal was aborted
 */
export async function run(argv: readonly string[], options: RunOptions = {}): Promise<string> {
  const result = await tryRun(argv, options);
  if (result.exitCode === 0) return result.stdout;
  const how = result.signal === undefined ? `exit status ${result.exitCode}` : `killed by ${result.signal}`;
  const said = tail(result.stderr.trim() === "" ? result.stdout : result.stderr);
  throw new EngineError("System", `${argv.join(" ")}: ${how}${said === "" ? "" : `: ${said}`}`);
}

/**
 * Runs a tool to its end, whatever its exit status.
 *
 * @throws System    it could not be started, or wrote too much
 * @throws Deadline  it ran longer than `timeoutMs`
 * @throws Cancelled the signal was aborted
 */
export function tryRun(argv: readonly string[], options: RunOptions = {}): Promise<RunResult> {
  const { input, timeoutMs = 30_000, maxOutputBytes = 16 << 20, env, cwd, signal } = options;
  const [file, ...args] = argv;
  if (file === undefined) return Promise.reject(new EngineError("InvalidParameter", "no command to run"));
  const command = argv.join(" ");
  if (signal?.aborted === true) return Promise.reject(cancelled(command, signal));

  return new Promise((resolve, reject) => {
    // A session of its own, so that a time-out can kill what the tool started as well.
    const child = spawn(file, args, {
      cwd,
      detached: true,
      env: { PATH: process.env["PATH"] ?? "/usr/sbin:/usr/bin:/sbin:/bin", LC_ALL: "C", ...env },
      stdio: [input === undefined ? "ignore" : "pipe", "pipe", "pipe"],
    });
    const stdout: Buffer[] = [];
    const stderr: Buffer[] = [];
    let failure: EngineError | undefined;

    const abandon = (error: EngineError): void => {
      if (failure !== undefined) return;
      failure = error;
      killGroup(child.pid);
      // A descendant that left the session may hold the pipes: do not wait for it.
      child.stdout?.destroy();
      child.stderr?.destroy();
    };
    const collect = (stream: string, chunks: Buffer[]): ((chunk: Buffer) => void) => {
      let bytes = 0;
      return (chunk) => {
        bytes += chunk.length;
        if (bytes <= maxOutputBytes) chunks.push(chunk);
        else abandon(new EngineError("System", `${command}: wrote more than ${maxOutputBytes} bytes to ${stream}`));
      };
    };
    const onAbort = (): void => abandon(cancelled(command, signal));
    const timer = setTimeout(
      () => abandon(new EngineError("Deadline", `${command}: did not end within ${timeoutMs} ms`)),
      timeoutMs,
    );
    signal?.addEventListener("abort", onAbort, { once: true });
    const settle = (): void => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", onAbort);
    };

    child.stdout?.on("data", collect("stdout", stdout));
    child.stderr?.on("data", collect("stderr", stderr));
    child.on("error", (cause) => {
      settle();
      const missing = errnoOf(cause) === "ENOENT" ? "no such program; is it installed?" : cause.message;
      reject(failure ?? new EngineError("System", `cannot run ${file}: ${missing}`, { cause }));
    });
    child.on("close", (code, killedBy) => {
      settle();
      if (failure !== undefined) reject(failure);
      else {
        resolve({
          exitCode: code ?? undefined,
          signal: killedBy ?? undefined,
          stdout: Buffer.concat(stdout).toString("utf8"),
          stderr: Buffer.concat(stderr).toString("utf8"),
        });
      }
    });
    // A tool may end without having read everything (EPIPE): its exit status tells.
    child.stdin?.on("error", () => {});
    child.stdin?.end(input);
  });
}

function killGroup(pid: number | undefined): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, "SIGKILL");
  } catch (error) {
    if (errnoOf(error) !== "ESRCH") throw error;
  }
}

function cancelled(command: string, signal: AbortSignal | undefined): EngineError {
  return new EngineError("Cancelled", `${command}: cancelled`, { cause: signal?.reason });
}

function tail(text: string): string {
  const trimmed = text.trim();
  return trimmed.length <= 2000 ? trimmed : `…${trimmed.slice(-2000)}`;
}
