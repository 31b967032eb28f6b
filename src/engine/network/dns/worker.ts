// The name server's thread: tables, socket, forwarder. It begins to listen when the first batch of changes is in its tables:
// a daemon that comes back answers nothing before it knows what it knew.

import { parentPort, workerData } from "node:worker_threads";
import { Forwarder } from "./forward.ts";
import { listen } from "./listener.ts";
import type { Batch, Notice, WorkerSettings } from "./messages.ts";
import { NameTables } from "./tables.ts";

const port = parentPort;
if (port === null) throw new Error("this file is the entry of a worker thread");
const { socketPath } = workerData as WorkerSettings;
const tables = new NameTables();
const forwarder = new Forwarder();
let isListening = false;

function notify(notice: Notice): void {
  port?.postMessage(notice);
}

port.on("message", ({ changes }: Batch) => {
  for (const change of changes) tables.apply(change);
  if (isListening) return;
  isListening = true;
  listen({ socketPath, tables, forwarder, complain: (message) => notify({ log: "error", message }) }, () =>
    notify({ listening: true }),
  );
});
