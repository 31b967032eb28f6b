// The store as the daemon's thread sees it: requests to the writer thread and the promises that wait for its answers.

import { existsSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Worker } from "node:worker_threads";
import { EngineError, messageOf } from "../../base/errors.ts";
import type { Logger } from "../../base/log.ts";
import type { Store } from "./index.ts";
import type { Answer, Request, WorkerSettings } from "./messages.ts";
import type { Failure } from "./writer.ts";

export interface OpenStoreOptions {
  /** Made when it is not there, and 0700 from then on: holds gantry.db, gantry.db-wal and gantry.ballast. */
  readonly directory: string;
  /** Told once when the disk is full or the store has become read-only. */
  readonly logger: Logger;
  /** Space kept in reserve for deleting on a full disk; 16 MiB without it, 0 for none. */
  readonly ballastBytes?: number;
  /**
   * File of the writer thread. Without it: worker.ts beside this source, or in a bundle `store-worker.js` beside the
   * file that this code ended up in. The build makes that file from src/engine/store/worker.ts as an entry of its own.
   */
  readonly workerPath?: string;
}

interface Waiting {
  readonly rows: unknown[];
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: EngineError) => void;
}

/**
 * Opens the store, created or migrated where needed; the caller holds the lock of the data root.
 *
 * @throws Unavailable another process holds the database, or its schema is newer than this program
 * @throws DataLoss    the database is damaged; the message says what to do
 * @throws System      a file cannot be made, or the writer thread does not start
 */
export async function openStore(options: OpenStoreOptions): Promise<Store> {
  const { directory, logger, ballastBytes = 16 << 20, workerPath = defaultWorkerPath() } = options;
  if (!existsSync(workerPath)) throw new EngineError("System", `the store's writer thread is missing: ${workerPath}`);
  const settings: WorkerSettings = {
    path: join(directory, "gantry.db"),
    ballastPath: join(directory, "gantry.ballast"),
    ballastBytes,
  };
  const worker = new Worker(workerPath, {
    workerData: settings,
    name: "store",
    execArgv: [],
    resourceLimits: { maxYoungGenerationSizeMb: 2, maxOldGenerationSizeMb: 128, stackSizeMb: 1 },
  });

  const waiting = new Map<number, Waiting>();
  const opening = Promise.withResolvers<void>();
  let lastId = 0;
  let ended: EngineError | undefined;

  const settle = (id: number, failure: Failure | undefined, value?: unknown): void => {
    const waiter = waiting.get(id);
    if (waiter === undefined) return;
    waiting.delete(id);
    if (failure === undefined) waiter.resolve(value ?? waiter.rows);
    else waiter.reject(new EngineError(failure.kind, failure.message));
  };

  /** The thread is gone: nobody may wait for it. Whether commits under way are on disk, the next start will show. */
  const end = (reason: EngineError): void => {
    ended ??= reason;
    opening.reject(ended);
    for (const waiter of waiting.values()) waiter.reject(ended);
    waiting.clear();
  };

  worker.on("message", (answer: Answer) => {
    if ("opened" in answer) {
      if (answer.opened === undefined) opening.resolve();
      else opening.reject(new EngineError(answer.opened.kind, answer.opened.message));
    } else if ("committed" in answer) for (const { id, failure } of answer.committed) settle(id, failure);
    else if ("rows" in answer) {
      for (const row of answer.rows) waiting.get(answer.id)?.rows.push(row);
      if (answer.last) settle(answer.id, undefined);
    } else if ("complaints" in answer) settle(answer.id, undefined, answer.complaints);
    else if ("closed" in answer) settle(answer.id, undefined);
    else if ("failure" in answer) settle(answer.id, answer.failure);
    else logger[answer.log](answer.message);
  });
  worker.on("error", (cause) => {
    const message = `the store's writer thread has failed: ${messageOf(cause)}; restart gantryd`;
    logger.error(message);
    end(new EngineError("Unavailable", message, { cause }));
  });
  const exited = new Promise<void>((resolve) => {
    worker.on("exit", () => {
      end(new EngineError("Unavailable", "the store is closed"));
      resolve();
    });
  });

  const ask = <T>(request: (id: number) => Request): Promise<T> => {
    if (ended !== undefined) return Promise.reject(ended);
    const id = ++lastId;
    return new Promise<T>((resolve, reject) => {
      waiting.set(id, { rows: [], resolve: resolve as (value: unknown) => void, reject });
      worker.postMessage(request(id));
    });
  };

  await opening.promise;
  return {
    load: (table) => ask((id) => ({ id, load: table })),
    async commit(changes, options = {}) {
      if (changes.length > 0) await ask((id) => ({ id, commit: { changes, options } }));
    },
    check: () => ask((id) => ({ id, check: true })),
    async close() {
      if (ended === undefined) {
        const closed = ask((id) => ({ id, close: true }));
        ended = new EngineError("Unavailable", "the store is closed");
        await closed;
      }
      await exited;
    },
  };
}

function defaultWorkerPath(): string {
  const isSource = import.meta.url.endsWith("/store/open.ts");
  return fileURLToPath(new URL(isSource ? "./worker.ts" : "./store-worker.js", import.meta.url));
}
