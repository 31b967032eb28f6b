// Runs git, hardened: only the four network protocols, no configuration of this host, no hooks, filters, prompts or helpers, and
// credentials in its environment only. Source: gitprotocol-http(5), git-config(1), git(1) "ENVIRONMENT VARIABLES" (git 2.31).

import { spawn } from "node:child_process";
import { EngineError, errnoOf, messageOf } from "../../../base/errors.ts";
import { gitProtocols, hidePassword } from "./git-url.ts";

export interface GitCommand {
  readonly arguments: readonly string[];
  readonly cwd: string;
  /** Beside what every command gets: credentials. Never in the argument list. */
  readonly config: Readonly<Record<string, string>>;
  readonly env: Readonly<Record<string, string>>;
  /** Gets what git tells of its progress. */
  onProgress?(data: Uint8Array): void;
}

/** A git command that failed. */
export class GitFailed extends EngineError {
  readonly stderr: string;
  constructor(message: string, stderr: string) {
    super("System", message);
    this.stderr = stderr;
  }
}

const safeConfig: Readonly<Record<string, string>> = {
  "core.hooksPath": "/dev/null",
  "core.logAllRefUpdates": "false",
  "core.fsmonitor": "false",
  "core.sshCommand": "",
  "core.askPass": "",
  "credential.helper": "",
  "filter.lfs.smudge": "",
  "filter.lfs.process": "",
  "filter.lfs.required": "false",
  "gc.auto": "0",
  "maintenance.auto": "false",
  "http.lowSpeedLimit": "100",
  "http.lowSpeedTime": "60",
  "protocol.allow": "never",
  ...Object.fromEntries(gitProtocols.map((protocol) => [`protocol.${protocol}.allow`, "always"])),
  "protocol.file.allow": "never",
  "protocol.ext.allow": "never",
  "safe.directory": "*",
  "submodule.recurse": "false",
  "advice.detachedHead": "false",
};

/** Passed on from the daemon's environment. */
const inherited = [
  "PATH",
  "http_proxy",
  "https_proxy",
  "no_proxy",
  "HTTP_PROXY",
  "HTTPS_PROXY",
  "NO_PROXY",
  "SSL_CERT_FILE",
  "SSL_CERT_DIR",
];

const mostOutputBytes = 64 << 20;
const mostErrorBytes = 64 << 10;

/**
 * @returns standard output
 * @throws GitFailed with what git said; Unavailable there is no git; Cancelled by the signal's reason
 */
export async function runGit(command: GitCommand, signal: AbortSignal): Promise<string> {
  signal.throwIfAborted();
  const child = spawn("git", [...command.arguments], {
    cwd: command.cwd,
    env: environmentOf(command),
    stdio: ["ignore", "pipe", "pipe"],
    detached: true,
  });
  const output: Buffer[] = [];
  let outputBytes = 0;
  let errors = Buffer.alloc(0);
  const kill = (): void => {
    if (child.pid === undefined) return;
    try {
      process.kill(-child.pid, "SIGKILL");
    } catch (error) {
      if (errnoOf(error) !== "ESRCH") throw error;
    }
  };
  child.stdout.on("data", (chunk: Buffer) => {
    outputBytes += chunk.length;
    if (outputBytes > mostOutputBytes) kill();
    else output.push(chunk);
  });
  child.stderr.on("data", (chunk: Buffer) => {
    command.onProgress?.(chunk);
    errors = Buffer.concat([errors, chunk]).subarray(-mostErrorBytes);
  });
  signal.addEventListener("abort", kill, { once: true });
  try {
    const { promise, resolve, reject } = Promise.withResolvers<number | string>();
    child.once("error", reject);
    child.once("close", (code, killed) => resolve(code ?? killed ?? "unknown"));
    const code = await promise;
    signal.throwIfAborted();
    if (outputBytes > mostOutputBytes) throw new EngineError("System", "git wrote too much");
    if (code === 0) return Buffer.concat(output).toString();
    const stderr = hidePassword(errors.toString().trim());
    const reason = lastLine(stderr);
    throw new GitFailed(
      `git ${command.arguments[0] ?? ""} failed (${code})${reason === "" ? "" : `: ${reason}`}`,
      stderr,
    );
  } catch (error) {
    if (errnoOf(error) === "ENOENT")
      throw new EngineError("Unavailable", "git is not installed on this host, which sources from git need", {
        cause: error,
      });
    throw error instanceof Error ? error : new EngineError("System", messageOf(error));
  } finally {
    signal.removeEventListener("abort", kill);
  }
}

function lastLine(text: string): string {
  const lines = text.split(/[\r\n]+/).filter((line) => line.trim() !== "");
  return lines.findLast((line) => /^(?:fatal|error|ERROR|remote):/.test(line)) ?? lines.at(-1) ?? "";
}

function environmentOf(command: GitCommand): Record<string, string> {
  const config = Object.entries({ ...safeConfig, ...command.config });
  const env: Record<string, string> = {
    LC_ALL: "C",
    HOME: "/nonexistent",
    XDG_CONFIG_HOME: "/nonexistent",
    GIT_CONFIG_NOSYSTEM: "1",
    GIT_CONFIG_SYSTEM: "/dev/null",
    GIT_CONFIG_GLOBAL: "/dev/null",
    GIT_ATTR_NOSYSTEM: "1",
    GIT_TERMINAL_PROMPT: "0",
    GIT_ASKPASS: "/bin/false",
    SSH_ASKPASS: "/bin/false",
    GIT_ALLOW_PROTOCOL: gitProtocols.join(":"),
    GIT_LFS_SKIP_SMUDGE: "1",
    GIT_SSH_COMMAND: "/bin/false",
    GIT_CONFIG_COUNT: String(config.length),
  };
  for (const name of inherited) {
    const value = process.env[name];
    if (value !== undefined) env[name] = value;
  }
  for (const [index, [key, value]] of config.entries()) {
    env[`GIT_CONFIG_KEY_${index}`] = key;
    env[`GIT_CONFIG_VALUE_${index}`] = value;
  }
  return { ...env, ...command.env };
}
