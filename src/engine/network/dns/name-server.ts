// The name server, as the daemon holds it: the tables' master copy, and the thread that works from a copy of its own.
// Changes of one turn of the event loop reach the thread together. A thread that has died is replaced and told everything.

import { existsSync, rmSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { Worker } from "node:worker_threads";
import { messageOf } from "../../../base/errors.ts";
import type { ContainerId } from "../../../base/ids.ts";
import type { NameClient, NamedEndpoint, NameServer, NameServerDeps } from "./index.ts";
import type { Batch, Change, Notice, WorkerSettings } from "./messages.ts";

const restartAfterMs = 1000;

/** The thread is started with the first endpoint or client. */
export function createNameServer({ socketPath, logger }: NameServerDeps): NameServer {
  const endpoints = new Map<string, NamedEndpoint>();
  const clients = new Map<ContainerId, NameClient>();
  let changes: Change[] = [];
  let worker: Worker | undefined;
  let restart: NodeJS.Timeout | undefined;
  let isClosed = false;

  const start = (): void => {
    restart = undefined;
    changes = [];
    const path = workerPath();
    if (!existsSync(path)) {
      logger.error(`the name server's thread is missing: ${path}`);
      return;
    }
    const workerData: WorkerSettings = { socketPath };
    const started = new Worker(path, {
      workerData,
      name: "dns",
      execArgv: [],
      resourceLimits: { maxYoungGenerationSizeMb: 2, maxOldGenerationSizeMb: 128, stackSizeMb: 1 },
    });
    worker = started;
    started.on("message", (notice: Notice) => {
      if ("log" in notice) logger[notice.log](`name server: ${notice.message}`);
    });
    started.on("error", (error) =>
      logger.error(`the name server has failed and is started again: ${messageOf(error)}`),
    );
    started.on("exit", () => {
      if (worker === started) worker = undefined;
      if (!isClosed) restart = setTimeout(start, restartAfterMs).unref();
    });
    // The daemon ends when its own work is done.
    started.unref();
    const known: Batch = {
      changes: [
        ...[...endpoints.values()].map((endpoint) => ({ endpoint })),
        ...[...clients.values()].map((client) => ({ client })),
      ],
    };
    started.postMessage(known);
  };

  const flush = (): void => {
    if (isClosed || restart !== undefined || changes.length === 0) return;
    const batch: Batch = { changes };
    if (worker === undefined) start();
    else worker.postMessage(batch);
    changes = [];
  };

  const change = (one: Change): void => {
    if (isClosed) return;
    if (changes.push(one) === 1) setImmediate(flush);
  };

  return {
    socketPath,
    setEndpoint(endpoint) {
      endpoints.set(endpoint.id, endpoint);
      change({ endpoint });
    },
    removeEndpoint(id) {
      if (endpoints.delete(id)) change({ endpointGone: id });
    },
    setClient(client) {
      clients.set(client.containerId, client);
      change({ client });
    },
    removeClient(containerId) {
      if (clients.delete(containerId)) change({ clientGone: containerId });
    },
    async close() {
      if (isClosed) return;
      isClosed = true;
      clearTimeout(restart);
      await worker?.terminate();
      rmSync(socketPath, { force: true });
    },
  };
}

function workerPath(): string {
  const isSource = import.meta.url.endsWith("/dns/name-server.ts");
  return fileURLToPath(new URL(isSource ? "./worker.ts" : "./dns-worker.js", import.meta.url));
}
