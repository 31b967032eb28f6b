// A gantryd of a test's own: in a network namespace with no way out, with its own data-root, exec-root, socket and cgroup
// parent. Disposing it removes its containers, stops it, and fails when anything is left: processes, cgroups, mounts or
// links. Needs root. GANTRY_TEST_BUNDLE=1 runs dist/gantryd.js in place of the sources.

import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { closeSync, existsSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import { constants, tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

import { findLeftovers, removeLeftovers } from "./leftovers.ts";

const root = join(import.meta.dirname, "../..");

export interface CommandResult {
  /** 128 + n when signal n ended it. */
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface ApiResult {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly text: string;
  readonly bytes: Buffer;
  /** The body as JSON; undefined where it is none. */
  readonly json: unknown;
}

export interface TestDaemonOptions {
  /** More flags for gantryd. */
  readonly args?: readonly string[];
  /** Contents of its configuration file; {} without it. */
  readonly config?: unknown;
  readonly env?: Readonly<Record<string, string>>;
  /** Run the sources even with GANTRY_TEST_BUNDLE=1. */
  readonly fromSource?: boolean;
  /** Run the bundle in this directory, in place of the sources and of dist/: see buildBundle. */
  readonly bundle?: string;
}

/** Creates a network namespace with lo up and no route to private networks beyond those that its links add. */
export function addNamespace(name: string): void {
  must(["ip", "netns", "add", name]);
  must(["ip", "-n", name, "link", "set", "lo", "up"]);
  for (const net of ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"])
    must(["ip", "-n", name, "route", "add", "unreachable", net, "metric", "4096"]);
}

export function removeNamespace(name: string): void {
  must(["ip", "netns", "del", name]);
}

/** Runs a command to its end; never throws for its exit status. */
export async function runCommand(
  argv: readonly string[],
  options: {
    readonly input?: string | Uint8Array;
    readonly env?: Readonly<Record<string, string>>;
    readonly timeoutMs?: number;
  } = {},
): Promise<CommandResult> {
  const [file = "", ...args] = argv;
  const child = spawn(file, args, {
    env: { ...process.env, ...options.env },
    stdio: [options.input === undefined ? "ignore" : "pipe", "pipe", "pipe"],
  });
  const stdout: Buffer[] = [];
  const stderr: Buffer[] = [];
  child.stdout?.on("data", (chunk: Buffer) => stdout.push(chunk));
  child.stderr?.on("data", (chunk: Buffer) => stderr.push(chunk));
  child.stdin?.on("error", () => {});
  child.stdin?.end(options.input);
  const timer = setTimeout(() => child.kill("SIGKILL"), options.timeoutMs ?? 120_000);
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  child.on("error", reject);
  child.on("close", (code, signal) => resolve(code ?? 128 + (signal === null ? 0 : constants.signals[signal])));
  const code = await promise;
  clearTimeout(timer);
  return { code, stdout: Buffer.concat(stdout).toString(), stderr: Buffer.concat(stderr).toString() };
}

function must(argv: readonly string[]): string {
  const [file = "", ...args] = argv;
  const result = spawnSync(file, args, { encoding: "utf8" });
  if (result.status !== 0) throw new Error(`${argv.join(" ")}: ${result.error?.message ?? result.stderr}`);
  return result.stdout;
}

/** argv of gantryd without flags: from source, or the bundle with GANTRY_TEST_BUNDLE=1. */
export function daemonArgv(fromSource = false): readonly string[] {
  return process.env["GANTRY_TEST_BUNDLE"] === "1" && !fromSource
    ? [join(root, "bin/gantryd")]
    : [process.execPath, join(root, "src/cmd/gantryd.ts")];
}

export class TestDaemon {
  /** Everything of this daemon is in here. */
  readonly dir: string;
  readonly dataRoot: string;
  readonly execRoot: string;
  readonly socket: string;
  readonly pidFile: string;
  readonly configFile: string;
  readonly logFile: string;
  readonly cgroupParent: string;
  /** Name of its network namespace, as `ip netns` has it. */
  readonly netns: string;
  readonly #options: TestDaemonOptions;
  #child: ChildProcess | undefined;
  #disposed = false;

  constructor(options: TestDaemonOptions = {}) {
    const tag = randomBytes(4).toString("hex");
    this.#options = options;
    this.dir = mkdtempSync(join(tmpdir(), `gantry-test-${tag}-`));
    this.dataRoot = join(this.dir, "data");
    this.execRoot = join(this.dir, "run");
    this.socket = join(this.dir, "gantry.sock");
    this.pidFile = join(this.dir, "gantryd.pid");
    this.configFile = join(this.dir, "daemon.json");
    this.logFile = join(this.dir, "gantryd.log");
    this.cgroupParent = `/gantry-test-${tag}`;
    this.netns = `gantry-test-${tag}`;
    mkdirSync(join(this.dir, "docker"));
    this.writeConfig(options.config ?? {});
    addNamespace(this.netns);
  }

  writeConfig(config: unknown): void {
    writeFileSync(this.configFile, JSON.stringify(config));
  }

  get pid(): number {
    const pid = this.#child?.pid;
    if (pid === undefined) throw new Error("the daemon does not run");
    return pid;
  }

  /** The whole command line, for tests that run the daemon themselves. */
  argv(...args: readonly string[]): readonly string[] {
    const { bundle, fromSource } = this.#options;
    const enter = ["nsenter", `--net=/run/netns/${this.netns}`];
    const roots = ["--data-root", this.dataRoot, "--exec-root", this.execRoot, "--pidfile", this.pidFile];
    const rest = ["--config-file", this.configFile, "--cgroup-parent", this.cgroupParent];
    const host = ["--host", `unix://${this.socket}`];
    return [
      ...enter,
      ...(bundle === undefined ? daemonArgv(fromSource) : [process.execPath, join(bundle, "gantryd.js")]),
      ...roots,
      ...rest,
      ...host,
      ...(this.#options.args ?? []),
      ...args,
    ];
  }

  /** Runs a command in the daemon's network namespace. */
  inNamespace(argv: readonly string[]): Promise<CommandResult> {
    return runCommand(["nsenter", `--net=/run/netns/${this.netns}`, ...argv]);
  }

  /** What it has logged so far. */
  get log(): string {
    return existsSync(this.logFile) ? readFileSync(this.logFile, "utf8") : "";
  }

  /**
   * Starts it and resolves when it answers.
   *
   * @param env added to its environment for this start only
   * @throws Error it ended or did not answer; its log is in the message
   */
  async start(env: Readonly<Record<string, string>> = {}): Promise<void> {
    if (this.#child !== undefined) throw new Error("the daemon runs already");
    const [file = "", ...args] = this.argv();
    const out = openSync(this.logFile, "a");
    const child = spawn(file, args, {
      stdio: ["ignore", out, out],
      env: { ...process.env, ...this.#options.env, ...env },
      detached: true,
    });
    closeSync(out);
    child.on("error", () => {});
    this.#child = child;
    const deadline = performance.now() + 60_000;
    for (;;) {
      if (child.exitCode !== null || child.signalCode !== null || performance.now() > deadline) {
        if (child.exitCode === null) child.kill("SIGKILL");
        this.#child = undefined;
        throw new Error(
          `gantryd did not start (exit ${child.exitCode ?? child.signalCode}):\n${this.log.slice(-4000)}`,
        );
      }
      const ping = await this.api("GET", "/_ping").catch(() => undefined);
      if (ping?.status === 200) return;
      await sleep(20);
    }
  }

  /** Ends it with a signal and resolves with its exit code (or the signal's name) when it is gone. */
  async end(signal: NodeJS.Signals): Promise<number | string> {
    const child = this.#child;
    if (child === undefined) throw new Error("the daemon does not run");
    this.#child = undefined;
    if (child.exitCode !== null || child.signalCode !== null) return child.exitCode ?? child.signalCode ?? "";
    const { promise, resolve } = Promise.withResolvers<number | string>();
    child.once("exit", (code, killer) => resolve(code ?? killer ?? ""));
    const timer = setTimeout(() => child.kill("SIGKILL"), 30_000);
    child.kill(signal);
    const result = await promise;
    clearTimeout(timer);
    return result;
  }

  /** SIGTERM; containers go on. */
  async stop(): Promise<number | string> {
    return this.end("SIGTERM");
  }

  /** kill -9; containers go on. */
  async kill9(): Promise<void> {
    await this.end("SIGKILL");
  }

  async restart(): Promise<void> {
    if (this.#child !== undefined) await this.stop();
    await this.start();
  }

  /** The unmodified docker CLI against this daemon. */
  docker(
    args: readonly string[],
    options: { readonly input?: string | Uint8Array; readonly timeoutMs?: number } = {},
  ): Promise<CommandResult> {
    return runCommand(["docker", "-H", `unix://${this.socket}`, ...args], {
      ...options,
      env: { DOCKER_CONFIG: join(this.dir, "docker"), DOCKER_HOST: "", DOCKER_CONTEXT: "" },
    });
  }

  /** docker(), its stdout without the last newline. @throws Error it did not exit with 0 */
  async dockerOk(args: readonly string[], options: { readonly input?: string | Uint8Array } = {}): Promise<string> {
    const result = await this.docker(args, options);
    if (result.code !== 0) throw new Error(`docker ${args.join(" ")}: exit ${result.code}\n${result.stderr}`);
    return result.stdout.replace(/\n$/, "");
  }

  /** One request. `body` is sent as JSON, bytes and text as they are. */
  api(method: string, path: string, body?: unknown): Promise<ApiResult> {
    const { promise, resolve, reject } = Promise.withResolvers<ApiResult>();
    const raw = typeof body === "string" || body instanceof Uint8Array;
    const payload = raw ? body : body === undefined ? undefined : JSON.stringify(body);
    const req = request(
      {
        socketPath: this.socket,
        method,
        path,
        agent: false,
        headers:
          payload === undefined
            ? {}
            : {
                "content-type": raw ? "application/x-tar" : "application/json",
                "content-length": Buffer.byteLength(payload),
              },
      },
      (res) => {
        const chunks: Buffer[] = [];
        res.on("data", (chunk: Buffer) => chunks.push(chunk));
        res.on("error", reject);
        res.on("end", () => {
          const bytes = Buffer.concat(chunks);
          const text = bytes.toString();
          resolve({ status: res.statusCode ?? 0, headers: res.headers, text, bytes, json: parseJson(text) });
        });
      },
    );
    // A request that nothing will ever answer fails its test; it does not hang the suite.
    const timer = setTimeout(() => req.destroy(new Error(`${method} ${path}: no end after 120 s`)), 120_000);
    void promise.then(
      () => clearTimeout(timer),
      () => clearTimeout(timer),
    );
    req.on("error", reject);
    req.end(payload);
    return promise;
  }

  /** Processes, cgroups, mounts and links of this daemon and its containers that exist now, a line each. */
  leftovers(): readonly string[] {
    return findLeftovers(this);
  }

  /** Removes containers and everything else. @throws Error something was left behind; it is named, and removed all the same */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#disposed) return;
    this.#disposed = true;
    const problems: string[] = [];
    try {
      if (this.#child === undefined && existsSync(join(this.dataRoot, "gantry.db"))) await this.start();
      if (this.#child !== undefined) {
        problems.push(...(await this.#removeContainers()));
        await this.api("POST", "/networks/prune");
        const code = await this.stop();
        if (code !== 0) problems.push(`the daemon ended with ${code}:\n${this.log.slice(-2000)}`);
      }
    } catch (error) {
      problems.push(error instanceof Error ? error.message : String(error));
    }
    // A shim leaves a moment after its container is gone.
    const deadline = performance.now() + 15_000;
    while (this.leftovers().length > 0 && performance.now() < deadline) await sleep(50);
    problems.push(...this.leftovers());
    removeLeftovers(this);
    removeNamespace(this.netns);
    rmSync(this.dir, { recursive: true, force: true });
    if (problems.length > 0) throw new Error(`left behind by the daemon in ${this.dir}:\n${problems.join("\n")}`);
  }

  async #removeContainers(): Promise<readonly string[]> {
    const list = await this.api("GET", "/containers/json?all=1");
    if (list.status !== 200) return [`cannot list containers: ${list.status} ${list.text}`];
    const problems: string[] = [];
    for (const { Id } of list.json as readonly { readonly Id: string }[]) {
      const removed = await this.api("DELETE", `/containers/${Id}?force=1&v=1`);
      if (removed.status !== 204 && removed.status !== 404) problems.push(`cannot remove ${Id}: ${removed.text}`);
    }
    return problems;
  }
}

/** Starts a daemon; use it as `await using daemon = await startDaemon()`. */
export async function startDaemon(options: TestDaemonOptions = {}): Promise<TestDaemon> {
  const daemon = new TestDaemon(options);
  try {
    await daemon.start();
  } catch (error) {
    await daemon[Symbol.asyncDispose]().catch(() => {});
    throw error;
  }
  return daemon;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}
