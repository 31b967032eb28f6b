// The gantry CLI under test, plain and behind a pseudo-terminal. The engine is a gantryd of the test's own; with
// GANTRY_TEST_HOST=unix:///… it is another engine that has an image "busybox" (a dockerd, to see that the CLI suits it too).

import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { runCommand, startDaemon, type CommandResult } from "./daemon.ts";

const root = join(import.meta.dirname, "../..");

/** argv of the CLI without arguments: from source, or the bundle with GANTRY_TEST_BUNDLE=1. */
export function cliArgv(): readonly string[] {
  return process.env["GANTRY_TEST_BUNDLE"] === "1"
    ? [join(root, "bin/gantry")]
    : [process.execPath, "--", join(root, "src/cmd/gantry.ts")];
}

/** The first docker CLI whose words ours are: older ones print other columns and help texts. */
const comparableDocker = 28;

/** True where the docker CLI can be compared with. */
export function hasDockerCli(): boolean {
  const { stdout } = spawnSync("docker", ["--version"], { encoding: "utf8" });
  return Number(/version (\d+)\./.exec(stdout ?? "")?.[1] ?? 0) >= comparableDocker;
}

/** Docker's words with gantry's name. */
export function asGantry(text: string): string {
  return text
    .replaceAll("docker: ", "gantry: ")
    .replaceAll(/'docker (?=\S)/g, "'gantry ")
    .replaceAll(/Usage: {2}docker/g, "Usage:  gantry")
    .replaceAll(/\bdocker (?=[a-z-]+\n)/g, "gantry ");
}

/** An engine to talk to, and CLIs that talk to it. */
export class CliBench implements AsyncDisposable {
  readonly host: string;
  readonly dir = mkdtempSync(join(tmpdir(), "gantry-cli-"));
  readonly #engine: AsyncDisposable | undefined;

  constructor(host: string, engine: AsyncDisposable | undefined) {
    this.host = host;
    this.#engine = engine;
  }

  get env(): Readonly<Record<string, string>> {
    return {
      GANTRY_HOST: this.host,
      DOCKER_HOST: this.host,
      DOCKER_CONTEXT: "",
      DOCKER_CONFIG: this.dir,
      DOCKER_API_VERSION: "1.50",
      TERM: "xterm",
    };
  }

  gantry(args: readonly string[], options: { readonly input?: string } = {}): Promise<CommandResult> {
    return runCommand([...cliArgv(), ...args], { ...options, env: this.env });
  }

  docker(args: readonly string[], options: { readonly input?: string } = {}): Promise<CommandResult> {
    return runCommand(["docker", ...args], { ...options, env: this.env });
  }

  /** Starts the CLI without a terminal and leaves it running. */
  spawn(args: readonly string[]): ChildProcess {
    const [file = "", ...rest] = [...cliArgv(), ...args];
    return spawn(file, rest, { env: { ...process.env, ...this.env }, stdio: ["pipe", "pipe", "pipe"] });
  }

  /** Starts a shell line behind a terminal of 30 rows and 100 columns; `gantry` in it is the CLI. */
  terminal(line: string): TerminalSession {
    return new TerminalSession(line, this.dir, this.env);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#engine?.[Symbol.asyncDispose]();
    rmSync(this.dir, { recursive: true, force: true });
  }
}

/** A bench over gantryd, or over the engine that GANTRY_TEST_HOST names. */
export async function startBench(): Promise<CliBench> {
  const host = process.env["GANTRY_TEST_HOST"];
  if (host !== undefined) return new CliBench(host, undefined);
  const daemon = await startDaemon();
  return new CliBench(`unix://${daemon.socket}`, daemon);
}

/** A shell line that runs behind a pseudo-terminal (util-linux script). */
export class TerminalSession {
  readonly #child: ChildProcess;
  readonly #ttyFile: string;
  readonly #ended: Promise<number>;
  #output = "";

  constructor(line: string, dir: string, env: Readonly<Record<string, string>>) {
    this.#ttyFile = join(dir, `tty-${Math.random().toString(36).slice(2)}`);
    const gantry = `gantry() { ${cliArgv()
      .map((word) => `'${word}'`)
      .join(" ")} "$@"; }`;
    const setUp = `stty rows 30 cols 100; ${gantry}; tty > '${this.#ttyFile}'`;
    this.#child = spawn("script", ["-qec", `${setUp}; ${line}`, "/dev/null"], {
      env: { ...process.env, ...env, SHELL: "/bin/sh", GANTRY_CLI: cliArgv().join(" ") },
      stdio: ["pipe", "pipe", "inherit"],
      detached: true,
    });
    this.#child.stdout?.on("data", (chunk: Buffer) => (this.#output += chunk.toString("utf8")));
    this.#child.stdin?.on("error", () => undefined);
    const { promise, resolve } = Promise.withResolvers<number>();
    this.#child.once("close", (code) => resolve(code ?? -1));
    this.#ended = promise;
  }

  get output(): string {
    return this.#output;
  }

  type(text: string): void {
    this.#child.stdin?.write(text);
  }

  /** Resolves when the output matches. @throws Error it does not within a minute; the output is in the message */
  async waitFor(pattern: RegExp): Promise<void> {
    const deadline = performance.now() + 60_000;
    while (!pattern.test(this.#output)) {
      if (performance.now() > deadline) {
        this.kill();
        throw new Error(`${String(pattern)} did not appear in ${JSON.stringify(this.#output)}`);
      }
      await sleep(20);
    }
  }

  /** The device of the terminal. */
  async tty(): Promise<string> {
    const deadline = performance.now() + 60_000;
    while (!existsSync(this.#ttyFile) || readFileSync(this.#ttyFile, "utf8").trim() === "") {
      if (performance.now() > deadline) throw new Error("no terminal appeared");
      await sleep(10);
    }
    return readFileSync(this.#ttyFile, "utf8").trim();
  }

  /** Runs stty on the terminal: settings, or a new size. */
  async stty(...args: readonly string[]): Promise<string> {
    const { stdout, code, stderr } = await runCommand(["stty", "-F", await this.tty(), ...args]);
    if (code !== 0) throw new Error(stderr);
    return stdout;
  }

  /** The exit code of the shell line; a hanging one is killed after a minute and gives -1. */
  async end(): Promise<number> {
    const timer = setTimeout(() => this.kill(), 60_000);
    const code = await this.#ended;
    clearTimeout(timer);
    return code;
  }

  kill(): void {
    const { pid } = this.#child;
    if (pid !== undefined && this.#child.exitCode === null && this.#child.signalCode === null)
      process.kill(-pid, "SIGKILL");
  }
}
