// One shim as the daemon sees it: commands, events that nobody can miss, and the end.

import { readFile } from "node:fs/promises";
import { basename } from "node:path";
import type { ContainerId, ExecId } from "../../base/ids.ts";
import { EngineError, isEngineError } from "../../base/errors.ts";
import { type AttachStreams, attachShim } from "./shim-attach.ts";
import type { ShimConnection } from "./shim-connection.ts";
import { exitRecordOf } from "./shim-exit-record.ts";
import { renderStartFailure } from "./shim-failure.ts";
import type { Frame } from "./shim-frames.ts";
import { networkFields } from "./shim-request.ts";
import type {
  ExitRecord,
  ProcessIdentity,
  Shim,
  ShimAttachment,
  ShimEvents,
  ShimExecOptions,
  ShimOwnNetwork,
  StartFailure,
} from "./shim.ts";

const commandTimeoutMs = 30_000;
/** A runtime may wait for slow storage; one that hangs is ended with the container's removal (abandon). */
const startTimeoutMs = 0;

/** What a shim says of itself. @throws DataLoss it is malformed */
export function identityOf(frame: Frame, bootId: string): ProcessIdentity {
  const pid = Number(frame.get("pid"));
  const startTime = frame.get("start");
  if (!Number.isSafeInteger(pid) || pid < 1 || startTime === undefined)
    throw new EngineError("DataLoss", "a shim has not told its process");
  return { pid, startTime, bootId };
}

// The command of a bundle's config.json or of an OCI process file; undefined where it cannot be told.
async function firstArgument(path: string): Promise<string | undefined> {
  try {
    const json = JSON.parse(await readFile(path, "utf8")) as {
      readonly args?: readonly unknown[];
      readonly process?: { readonly args?: readonly unknown[] };
    } | null;
    const first = (json?.process?.args ?? json?.args)?.[0];
    return typeof first === "string" ? first : undefined;
  } catch {
    return undefined;
  }
}

type Listeners = { readonly [E in keyof ShimEvents]: ShimEvents[E][] };

/** A greeted connection. */
export class ShimClient implements Shim {
  readonly id: ContainerId;
  readonly identity: ProcessIdentity;
  readonly gone: Promise<void>;
  readonly #runDir: string;
  readonly #runtime: string;
  readonly #connection: ShimConnection;
  readonly #listeners: Listeners = { exit: [], execExit: [], closed: [] };
  /** Of execs that are prepared; for the message when they do not start. */
  readonly #processFiles = new Map<ExecId, string>();
  #exit: ExitRecord | undefined;
  #closed = false;
  #disconnected = false;

  constructor(
    connection: ShimConnection,
    init: {
      readonly id: ContainerId;
      readonly identity: ProcessIdentity;
      readonly runDir: string;
      readonly runtimePath: string;
    },
  ) {
    this.id = init.id;
    this.identity = init.identity;
    this.#runDir = init.runDir;
    this.#runtime = basename(init.runtimePath);
    this.#connection = connection;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.gone = promise;
    connection.onEvent = (event) => this.#receive(event);
    connection.onClose = () => {
      if (this.#disconnected) return;
      this.#closed = true;
      resolve();
      for (const listener of this.#listeners.closed) listener();
    };
  }

  #receive(event: Frame): void {
    if (event.get("event") === "exit" && this.#exit === undefined) {
      const record = exitRecordOf(event);
      if (record === undefined) return;
      this.#exit = record;
      for (const listener of this.#listeners.exit) listener(record);
    } else if (event.get("event") === "exec") {
      for (const listener of this.#listeners.execExit)
        listener((event.get("target") ?? "") as ExecId, Number(event.get("code")));
    }
  }

  /** A listener of `exit` or `closed` that comes late is called as well, in a microtask. */
  on<E extends keyof ShimEvents>(event: E, listener: ShimEvents[E]): void {
    const listeners: ShimEvents[E][] = this.#listeners[event];
    listeners.push(listener);
    const record = this.#exit;
    if (event === "exit" && record !== undefined) queueMicrotask(() => (listener as ShimEvents["exit"])(record));
    if (event === "closed" && this.#closed) queueMicrotask(() => (listener as ShimEvents["closed"])());
  }

  async #failure(operation: "create" | "exec", reply: Frame, file: string | undefined): Promise<StartFailure> {
    return renderStartFailure({
      command: file === undefined ? undefined : await firstArgument(file),
      operation,
      runtime: this.#runtime,
      reason: reply.get("reason"),
      status: Number(reply.get("failed")),
      log: reply.get("log") ?? "",
      stderr: reply.get("stderr") ?? "",
    });
  }

  async run(): Promise<{ readonly init: ProcessIdentity } | { readonly failure: StartFailure }> {
    const reply = await this.#connection.request("run", [], startTimeoutMs);
    if (reply.get("failed") !== undefined)
      return { failure: await this.#failure("create", reply, `${this.#runDir}/config.json`) };
    return { init: identityOf(reply, this.identity.bootId) };
  }

  async state(): Promise<{
    readonly init: ProcessIdentity | undefined;
    readonly exit: ExitRecord | undefined;
    readonly execs: readonly { readonly id: ExecId; readonly pid: number; readonly exitCode: number | undefined }[];
  }> {
    const reply = await this.#connection.request("state", [], commandTimeoutMs);
    const init = reply.get("pid") === undefined ? undefined : identityOf(reply, this.identity.bootId);
    const execs = reply.all("exec").map((text) => {
      const [id = "", pid, code] = text.split(" ");
      return { id: id as ExecId, pid: Number(pid), exitCode: code === "-" ? undefined : Number(code) };
    });
    return { init, exit: exitRecordOf(reply), execs };
  }

  attach(target: "init" | ExecId, streams: AttachStreams): Promise<ShimAttachment> {
    return attachShim(this.#runDir, target, streams, commandTimeoutMs);
  }

  async prepareExec(options: ShimExecOptions): Promise<void> {
    await this.#connection.request(
      "prepare",
      [
        ["target", options.execId],
        ["process", options.processFile],
        ["tty", options.tty ? "1" : "0"],
        ["stdin", options.stdin ? "1" : "0"],
        ["rows", options.consoleSize?.[0]],
        ["columns", options.consoleSize?.[1]],
      ],
      commandTimeoutMs,
    );
    this.#processFiles.set(options.execId, options.processFile);
  }

  async runExec(execId: ExecId): Promise<{ readonly pid: number } | { readonly failure: StartFailure }> {
    const file = this.#processFiles.get(execId);
    this.#processFiles.delete(execId);
    const reply = await this.#connection.request("exec", [["target", execId]], startTimeoutMs);
    if (reply.get("failed") !== undefined) return { failure: await this.#failure("exec", reply, file) };
    return { pid: Number(reply.get("pid")) };
  }

  async kill(target: "init" | ExecId, signal: number): Promise<void> {
    try {
      await this.#connection.request(
        "kill",
        [
          ["target", target],
          ["signal", signal],
        ],
        commandTimeoutMs,
      );
    } catch (error) {
      if (isEngineError(error, "Unavailable"))
        throw new EngineError("NotFound", "the process has ended", { cause: error });
      throw error;
    }
  }

  async resize(target: "init" | ExecId, height: number, width: number): Promise<void> {
    await this.#connection.request(
      "resize",
      [
        ["target", target],
        ["rows", height],
        ["columns", width],
      ],
      commandTimeoutMs,
    );
  }

  async setNetwork(network: ShimOwnNetwork): Promise<void> {
    try {
      await this.#connection.request("network", networkFields(network), commandTimeoutMs);
    } catch (error) {
      if (isEngineError(error, "Unavailable"))
        throw new EngineError("NotFound", "the container has ended", { cause: error });
      throw error;
    }
  }

  /** Resolves when the shim has left; also when it had left before. @throws Conflict the container was started */
  async abandon(): Promise<void> {
    try {
      await this.#connection.request("abandon", [], commandTimeoutMs);
    } catch (error) {
      if (!isEngineError(error, "Unavailable")) throw error;
    }
    await this.gone;
  }

  /** Lets go of the connection; the shim and its container live on, so that neither `closed` nor `gone` comes. */
  disconnect(): void {
    this.#disconnected = true;
    this.#connection.destroy();
  }
}
