// The spawner process, started with the first shim and again if it dies: requests by a pipe, answers by tag.

import { type ChildProcessByStdio, spawn } from "node:child_process";
import type { Readable, Writable } from "node:stream";
import { EngineError, messageOf } from "../../base/errors.ts";
import type { Logger } from "../../base/log.ts";
import { type Field, type Frame, FrameReader, renderFrame } from "./shim-frames.ts";

const spawnTimeoutMs = 30_000;

interface Waiting {
  readonly resolve: (pid: number) => void;
  readonly reject: (error: Error) => void;
  readonly timer: NodeJS.Timeout;
}

/** Forks shims; see docs/shim-protocol.md, "Spawner". */
export class Spawner {
  readonly #path: string;
  readonly #label: string;
  readonly #logger: Logger;
  readonly #waiting = new Map<string, Waiting>();
  #child: ChildProcessByStdio<Writable, Readable, null> | undefined;
  #nextTag = 1;
  readonly #rulesListeners: (() => void)[] = [];

  constructor(path: string, label: string, logger: Logger) {
    this.#path = path;
    this.#label = label;
    this.#logger = logger;
  }

  /** Starts the process, if it does not run, so that the first container need not wait for it. */
  start(): void {
    this.#running();
  }

  #running(): ChildProcessByStdio<Writable, Readable, null> {
    if (this.#child !== undefined) return this.#child;
    // A session of its own: a terminal's signals are the daemon's alone.
    const child = spawn(this.#path, ["spawner", this.#label], { stdio: ["pipe", "pipe", "inherit"], detached: true });
    const reader = new FrameReader();
    this.#child = child;
    const lost = (why: string): void => {
      if (this.#child !== child) return;
      this.#child = undefined;
      this.#logger.error("the shim spawner has ended", { why });
      const waiting = [...this.#waiting.values()];
      this.#waiting.clear();
      for (const { reject, timer } of waiting) {
        clearTimeout(timer);
        reject(new EngineError("Unavailable", `the shim spawner ${this.#path} has ended: ${why}`));
      }
    };
    child.on("error", (error) => lost(messageOf(error)));
    child.on("exit", (code, signal) => lost(signal ?? `status ${code}`));
    child.stdin.on("error", () => child.kill());
    child.stdout.on("data", (bytes: Buffer) => {
      try {
        for (const frame of reader.push(bytes)) this.#answer(frame);
      } catch (error) {
        child.kill();
        lost(messageOf(error));
      }
    });
    return child;
  }

  /** Calls back when the spawner has seen a change of nft tables of our names. */
  onRulesChange(listener: () => void): void {
    this.#rulesListeners.push(listener);
  }

  #answer(frame: Frame): void {
    if (frame.get("event") === "rules") {
      for (const listener of this.#rulesListeners) listener();
      return;
    }
    const tag = frame.get("re") ?? "";
    const waiting = this.#waiting.get(tag);
    if (waiting === undefined) return;
    this.#waiting.delete(tag);
    clearTimeout(waiting.timer);
    const pid = Number(frame.get("pid"));
    if (pid > 0) waiting.resolve(pid);
    else waiting.reject(new EngineError("System", `cannot start a shim: ${frame.get("error") ?? "no reason given"}`));
  }

  /** Resolves with the shim's pid. @throws System it was refused; Unavailable the spawner died */
  request(fields: readonly Field[]): Promise<number> {
    const tag = String(this.#nextTag++);
    const frame = renderFrame([["tag", tag], ...fields]);
    const child = this.#running();
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#waiting.delete(tag);
        reject(new EngineError("Deadline", "the shim spawner has not answered"));
      }, spawnTimeoutMs);
      this.#waiting.set(tag, { resolve, reject, timer });
      child.stdin.write(frame);
    });
  }

  /** A hint that a process is about to be put into a cgroup: an empty frame, without an answer. */
  warm(): void {
    this.#running().stdin.write(renderFrame([]));
  }

  /** Ends the spawner; shims live on. */
  async close(): Promise<void> {
    const child = this.#child;
    if (child === undefined) return;
    this.#child = undefined;
    const ended = new Promise<void>((resolve) => child.once("exit", () => resolve()));
    child.stdin.end();
    await ended;
  }
}
