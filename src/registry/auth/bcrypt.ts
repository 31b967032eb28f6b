// bcrypt on a thread of its own (password-worker.ts), started by the first password and again when it has ended.

import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { Worker } from "node:worker_threads";
import type { Comparison } from "./password-worker.ts";

/**
 * Compares a password with a hash. Calls must not overlap.
 *
 * @throws Error the thread cannot be started, or has died
 */
export type Compare = (password: string, hash: string) => Promise<boolean>;

function workerPath(): string {
  const isSource = import.meta.url.endsWith(".ts");
  return fileURLToPath(new URL(isSource ? "./password-worker.ts" : "./registry-password-worker.js", import.meta.url));
}

export function createCompare(): Compare {
  let worker: Worker | undefined;

  function start(): Worker {
    const started = new Worker(workerPath(), {
      name: "passwords",
      execArgv: [],
      resourceLimits: { maxYoungGenerationSizeMb: 2, maxOldGenerationSizeMb: 64, stackSizeMb: 1 },
    });
    started.once("exit", () => {
      if (worker === started) worker = undefined;
    });
    worker = started;
    return started;
  }

  return async (password, hash) => {
    const thread = worker ?? start();
    // It keeps the process alive only while somebody waits.
    thread.ref();
    const ended = new AbortController();
    const end = (): void => ended.abort(new Error("the thread for passwords has ended"));
    thread.once("exit", end);
    try {
      const comparison: Comparison = { password, hash };
      thread.postMessage(comparison);
      const [isRight] = await once(thread, "message", { signal: ended.signal });
      return isRight === true;
    } finally {
      thread.off("exit", end);
      thread.unref();
    }
  };
}
