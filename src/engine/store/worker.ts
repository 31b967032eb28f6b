// The writer thread: the only thread that opens the database. Takes all requests that have arrived while the last
// transaction was synced, and makes the commits among them one transaction (group commit). Started by open.ts.

import { parentPort, receiveMessageOnPort, workerData } from "node:worker_threads";
import { EngineError } from "../../base/errors.ts";
import { createBallast, sweepBallast } from "./ballast.ts";
import { damaged, openDatabase } from "./database.ts";
import type { TableName } from "./index.ts";
import type { Answer, Request, WorkerSettings } from "./messages.ts";
import { columns } from "./schema.ts";
import { describeSqliteError, isCorruption } from "./sqlite-error.ts";
import { createWriter, type Failure, freesSpace } from "./writer.ts";

type CommitRequest = Extract<Request, { readonly commit: unknown }>;

/** Commits in one transaction: bounds what a failure makes us repeat one by one. */
const maxGroup = 512;
/** Rows in one answer to a load, so that this thread needs little memory for a large table. */
const rowsPerAnswer = 256;

const port = parentPort;
if (port === null) throw new Error("store/worker.ts runs as a worker thread only");
const settings = workerData as WorkerSettings;

const answer = (message: Answer): void => port.postMessage(message);

const opened = open();
if (opened !== undefined) {
  const { db, writer, ballast } = opened;
  let saidBroken = false;
  let saidFull = false;

  const refillBallast = async (): Promise<void> => {
    const complaint = await ballast.refill();
    if (complaint !== undefined) answer({ log: "warn", message: complaint });
  };

  const commit = (requests: readonly CommitRequest[]): void => {
    const outcomes = writer.write(requests.map((request) => request.commit));
    answer({ committed: requests.map(({ id }, index) => ({ id, failure: outcomes[index] })) });
    if (writer.broken !== undefined) {
      if (!saidBroken) answer({ log: "error", message: writer.broken.message });
      saidBroken = true;
      return;
    }
    const full = outcomes.find((failure) => failure?.kind === "Unavailable");
    if (full !== undefined && !saidFull) answer({ log: "error", message: full.message });
    // A delete that lives off the ballast does not mean that there is space again.
    const grew = requests.some(({ commit }, index) => outcomes[index] === undefined && !freesSpace(commit));
    saidFull = full !== undefined || (saidFull && !grew);
    if (full === undefined && grew) void refillBallast();
  };

  const serve = (request: Exclude<Request, CommitRequest>): void => {
    try {
      if ("load" in request) load(request.id, request.load);
      else if ("check" in request) answer({ id: request.id, complaints: check() });
      else close(request.id);
    } catch (error) {
      answer({ id: request.id, failure: explain(error) });
    }
  };

  const close = (id: number): void => {
    try {
      db.close();
      answer({ id, closed: true });
    } finally {
      // After the answer of a failure, too: nothing keeps the thread then.
      setImmediate(() => port.close());
    }
  };

  const load = (id: number, table: TableName): void => {
    const names = columns[table];
    let rows: unknown[] = [];
    for (const row of db.prepare(`SELECT ${names.join(", ")} FROM ${table} ORDER BY 1`).iterate()) {
      rows.push(row);
      if (rows.length < rowsPerAnswer) continue;
      answer({ id, rows, last: false });
      rows = [];
    }
    answer({ id, rows, last: true });
  };

  const check = (): readonly string[] => {
    const quick = db
      .prepare("PRAGMA quick_check")
      .all()
      .map((row) => String(Object.values(row)[0]))
      .filter((line) => line !== "ok");
    const dangling = db
      .prepare("PRAGMA foreign_key_check")
      .all()
      .map(
        (row) => `${String(row["table"])}: row ${Number(row["rowid"])} refers to nothing in ${String(row["parent"])}`,
      );
    return [...quick, ...dangling];
  };

  port.on("message", (first: Request) => {
    let commits: CommitRequest[] = [];
    const flush = (): void => {
      if (commits.length > 0) commit(commits);
      commits = [];
    };
    for (let request: Request | undefined = first; request !== undefined; request = receive()) {
      if ("commit" in request) {
        commits.push(request);
        if (commits.length < maxGroup) continue;
        flush();
      } else {
        flush();
        serve(request);
      }
    }
    flush();
  });
  answer({ opened: undefined });
  void refillBallast();
}

function receive(): Request | undefined {
  return port === null ? undefined : (receiveMessageOnPort(port)?.message as Request | undefined);
}

function open() {
  try {
    const db = openDatabase(settings.path);
    sweepBallast(settings.ballastPath);
    const ballast = createBallast(settings.ballastPath, settings.ballastBytes);
    return { db, ballast, writer: createWriter(db, settings.path, ballast) };
  } catch (error) {
    answer({ opened: explain(error) });
    return undefined;
  }
}

function explain(error: unknown): Failure {
  if (error instanceof EngineError) return { kind: error.kind, message: error.message };
  if (isCorruption(error)) {
    const { kind, message } = damaged(settings.path, describeSqliteError(error));
    return { kind, message };
  }
  return { kind: "System", message: `reading ${settings.path}: ${describeSqliteError(error)}` };
}
