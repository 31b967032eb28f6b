// Builds that run and that ended: a row each in the store, their events and attachments in files below build/history/. Only the last ones
// are kept, and those that are pinned.

import { mkdir, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { gunzip, gzip } from "node:zlib";
import { digestOf, hexOf } from "../../base/digest.ts";
import { EngineError, messageOf } from "../../base/errors.ts";
import type { Logger } from "../../base/log.ts";
import type { Store } from "../store/index.ts";
import type { Attestation } from "./attest/index.ts";
import { parseEvents, renderEvents } from "./history-events.ts";
import type { BuildHistory, BuildRecord } from "./index.ts";
import type { Job } from "./job.ts";
import type { BuildEvent } from "./progress.ts";

const deflate = promisify(gzip);
const inflate = promisify(gunzip);

/** Records that are kept beside those that are pinned. */
const maxRecords = 200;
/** Bytes that events of a build may have when they are read again. */
const maxEventBytes = 256 * 1024 * 1024;

type Change = { readonly change: "started" | "complete" | "deleted"; readonly record: BuildRecord };

export interface HistoryDeps {
  readonly store: Store;
  readonly dataRoot: string;
  readonly logger: Logger;
  /** A build that runs. */
  job(ref: string): Job | undefined;
}

export class History implements BuildHistory {
  readonly #deps: HistoryDeps;
  readonly #directory: string;
  readonly #records = new Map<string, BuildRecord>();
  readonly #watchers = new Set<(change: Change) => void>();

  constructor(deps: HistoryDeps) {
    this.#deps = deps;
    this.#directory = join(deps.dataRoot, "build", "history");
  }

  /** Reads the rows; what ran when the daemon ended has failed; files of no row go. */
  async open(): Promise<void> {
    await mkdir(this.#directory, { recursive: true, mode: 0o700 });
    const rows = await this.#deps.store.load("build_history");
    const records = rows.flatMap(({ ref, doc }) => {
      try {
        return [parseRecord(doc)];
      } catch (error) {
        this.#deps.logger.warn("a build's record cannot be read", { ref, error: messageOf(error) });
        return [];
      }
    });
    records.sort((a, b) => (a.createdAt < b.createdAt ? -1 : 1));
    for (const record of records) this.#records.set(record.ref, record);
    const wanted = new Set([...this.#records.values()].flatMap((record) => this.#filesOf(record)));
    for (const name of await readdir(this.#directory))
      if (!wanted.has(name)) await rm(join(this.#directory, name), { force: true, recursive: true });
  }

  list(): readonly BuildRecord[] {
    return [...this.#records.values()].toReversed();
  }

  get(ref: string): BuildRecord | undefined {
    return this.#records.get(ref);
  }

  async *events(ref: string, signal: AbortSignal): AsyncGenerator<readonly BuildEvent[]> {
    const running = this.#deps.job(ref);
    if (running !== undefined) {
      yield* running.progress.subscribe(signal);
      return;
    }
    if (!this.#records.has(ref)) throw new EngineError("NotFound", `no build ${JSON.stringify(ref)} in the history`);
    const packed = await readFile(join(this.#directory, eventsFile(ref)), { signal });
    yield parseEvents((await inflate(packed, { maxOutputLength: maxEventBytes })).toString("utf8"));
  }

  async *watch(signal: AbortSignal): AsyncGenerator<Change> {
    const queue: Change[] = [];
    let wake = (): void => undefined;
    const watcher = (change: Change): void => {
      queue.push(change);
      wake();
    };
    this.#watchers.add(watcher);
    const stop = (): void => wake();
    signal.addEventListener("abort", stop, { once: true });
    try {
      while (!signal.aborted) {
        const change = queue.shift();
        if (change !== undefined) yield change;
        else
          await new Promise<void>((resolve) => {
            wake = resolve;
          });
      }
    } finally {
      signal.removeEventListener("abort", stop);
      this.#watchers.delete(watcher);
    }
  }

  async attachment(digest: string): Promise<Uint8Array> {
    const known = this.list().some(({ attachments }) => attachments.some((one) => one.digest === digest));
    if (!known) throw new EngineError("NotFound", `no attachment ${digest}`);
    return readFile(join(this.#directory, attachmentFile(digest)));
  }

  async update(ref: string, change: { readonly pinned?: boolean; readonly remove?: boolean }): Promise<void> {
    const record = this.#records.get(ref);
    if (record === undefined) throw new EngineError("NotFound", `no build ${JSON.stringify(ref)} in the history`);
    if (change.remove === true) {
      if (record.state === "running") throw new EngineError("Conflict", `the build ${ref} runs`);
      await this.#remove([record]);
    } else if (change.pinned !== undefined && change.pinned !== record.pinned) {
      const changed = { ...record, pinned: change.pinned };
      this.#records.set(ref, changed);
      if (record.state !== "running") await this.#put(changed);
      this.#tell({ change: "complete", record: changed });
    }
  }

  started(record: BuildRecord): void {
    this.#records.delete(record.ref);
    this.#records.set(record.ref, record);
    this.#tell({ change: "started", record });
  }

  /** Writes a build's record with its events and attachments, and lets the oldest go. */
  async ended(
    record: Omit<BuildRecord, "attachments">,
    events: readonly BuildEvent[],
    provenance: readonly Attestation[],
  ): Promise<void> {
    const attachments: BuildRecord["attachments"][number][] = [];
    try {
      await this.#write(eventsFile(record.ref), await deflate(renderEvents(events)));
      for (const { predicateType, predicate } of provenance) {
        const bytes = Buffer.from(JSON.stringify({ predicateType, predicate }));
        const digest = digestOf(bytes);
        await this.#write(attachmentFile(digest), bytes);
        attachments.push({ type: predicateType, digest, size: bytes.length });
      }
      const whole: BuildRecord = { ...record, attachments };
      this.#records.set(record.ref, whole);
      await this.#put(whole);
      this.#tell({ change: "complete", record: whole });
      const unpinned = [...this.#records.values()].filter(({ pinned, state }) => !pinned && state !== "running");
      await this.#remove(unpinned.slice(0, Math.max(0, unpinned.length - maxRecords)));
    } catch (error) {
      this.#records.set(record.ref, { ...record, attachments });
      this.#tell({ change: "complete", record: { ...record, attachments } });
      this.#deps.logger.warn("a build's history could not be written", { ref: record.ref, error: messageOf(error) });
    }
  }

  /** Forgets a build that was not to be in the history. */
  forget(ref: string): void {
    this.#records.delete(ref);
  }

  async #put(record: BuildRecord): Promise<void> {
    await this.#deps.store.commit([{ put: "build_history", row: { ref: record.ref, doc: JSON.stringify(record) } }]);
  }

  async #remove(records: readonly BuildRecord[]): Promise<void> {
    if (records.length === 0) return;
    for (const { ref } of records) this.#records.delete(ref);
    await this.#deps.store.commit(
      records.map(({ ref }) => ({ delete: "build_history", key: ref })),
      { freesSpace: true },
    );
    const still = new Set([...this.#records.values()].flatMap((record) => this.#filesOf(record)));
    for (const record of records) {
      for (const name of this.#filesOf(record))
        if (!still.has(name)) await rm(join(this.#directory, name), { force: true });
      this.#tell({ change: "deleted", record });
    }
  }

  #filesOf(record: BuildRecord): readonly string[] {
    return [eventsFile(record.ref), ...record.attachments.map(({ digest }) => attachmentFile(digest))];
  }

  async #write(name: string, bytes: Uint8Array): Promise<void> {
    const path = join(this.#directory, name);
    await writeFile(`${path}.new`, bytes, { mode: 0o600 });
    await rename(`${path}.new`, path);
  }

  #tell(change: Change): void {
    for (const watcher of this.#watchers) watcher(change);
  }
}

/** JSON has no undefined members. */
function parseRecord(doc: string): BuildRecord {
  const record = JSON.parse(doc) as BuildRecord;
  return { ...record, completedAt: record.completedAt, error: record.error };
}

/** Names of files never have anything of a client's in them. */
function eventsFile(ref: string): string {
  return `${hexOf(digestOf(ref)).slice(0, 40)}.events.gz`;
}

function attachmentFile(digest: string): string {
  return `${digest.replace(/[^0-9a-z]/g, "-").slice(0, 80)}.json`;
}
