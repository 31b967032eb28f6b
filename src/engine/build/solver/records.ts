// What builds remember, in memory: a record per solved step with its layers, and the keys under which it is found. Rows are the
// truth on disk. What is in memory pins its layers (tops); what a running job uses is held and is never removed.

import { randomBytes } from "node:crypto";
import { type ChainId, type DiffId, chainIdsOf, parseDiffId } from "../../../base/digest.ts";
import { messageOf } from "../../../base/errors.ts";
import type { Logger } from "../../../base/log.ts";
import { nowRfc3339Nano } from "../../../base/time.ts";
import { parseArray, parseJson, parseObject, parseString, parseStrings } from "../../../spec/parse-json.ts";
import type { Change, Store } from "../../store/index.ts";
import type { CacheEntry } from "./index.ts";

/** A solved step. */
export interface CacheRecord {
  readonly id: string;
  /** Bottom first. */
  readonly layers: readonly DiffId[];
  readonly chain: readonly ChainId[];
  /** "[build 2/5] RUN make" */
  readonly description: string;
  readonly type: CacheEntry["type"];
  readonly createdAt: string;
  /** Of the inputs; some may be gone, or never were rows (what clients send). */
  readonly parents: readonly string[];
  /** Bytes of the layers that it has beyond its first parent's. */
  readonly sizeBytes: number;
}

/** How often and when a record was used last. */
export interface RecordUsage {
  readonly lastUsedAt: string | undefined;
  readonly usageCount: number;
}

const idLength = 25;

/** An id as BuildKit's look: 25 characters of 0-9 and a-z. */
export function newRecordId(): string {
  return recordIdOf(randomBytes(32));
}

/** @param bytes at least 17 */
export function recordIdOf(bytes: Uint8Array): string {
  return BigInt(`0x${Buffer.from(bytes).toString("hex")}`)
    .toString(36)
    .padStart(idLength, "0")
    .slice(-idLength);
}

/** All records and keys. */
export class CacheRecords {
  readonly #store: Store;
  readonly #records = new Map<string, CacheRecord>();
  readonly #usage = new Map<string, RecordUsage>();
  readonly #keys = new Map<string, string>();
  readonly #keysOf = new Map<string, Set<string>>();
  readonly #holds = new Map<string, number>();
  /** Whose usage changed since it was written. */
  readonly #dirty = new Set<string>();

  constructor(store: Store) {
    this.#store = store;
  }

  get size(): number {
    return this.#records.size;
  }

  get keyCount(): number {
    return this.#keys.size;
  }

  all(): readonly CacheRecord[] {
    return [...this.#records.values()];
  }

  get(id: string): CacheRecord | undefined {
    return this.#records.get(id);
  }

  find(key: string): CacheRecord | undefined {
    const id = this.#keys.get(key);
    return id === undefined ? undefined : this.#records.get(id);
  }

  keysOf(id: string): readonly string[] {
    return [...(this.#keysOf.get(id) ?? [])];
  }

  usageOf(id: string): RecordUsage {
    return this.#usage.get(id) ?? { lastUsedAt: undefined, usageCount: 0 };
  }

  /** Top layers of all records; for the collection of layers. */
  tops(): ChainId[] {
    return [...this.#records.values()].flatMap(({ chain }) => chain.at(-1) ?? []);
  }

  isHeld(id: string): boolean {
    return this.#holds.has(id);
  }

  /** Keeps a record until disposed. */
  hold(id: string): Disposable {
    this.#holds.set(id, (this.#holds.get(id) ?? 0) + 1);
    let held = true;
    return {
      [Symbol.dispose]: () => {
        if (!held) return;
        held = false;
        const left = (this.#holds.get(id) ?? 1) - 1;
        if (left === 0) this.#holds.delete(id);
        else this.#holds.set(id, left);
      },
    };
  }

  /** For tests and `system check`: how many records are held. */
  get heldCount(): number {
    return this.#holds.size;
  }

  /** Notes a use; written with the next commit or `flush`. */
  touch(id: string): void {
    if (!this.#records.has(id)) return;
    this.#usage.set(id, { lastUsedAt: nowRfc3339Nano(), usageCount: this.usageOf(id).usageCount + 1 });
    this.#dirty.add(id);
  }

  /**
   * Adds a record, known at once and durable when the promise resolves; keys of others are taken over.
   *
   * @throws what Store.commit throws; the record is unknown then
   */
  async add(record: CacheRecord, keys: readonly string[]): Promise<void> {
    this.#records.set(record.id, record);
    this.#usage.set(record.id, { lastUsedAt: record.createdAt, usageCount: 1 });
    for (const key of keys) this.#assign(key, record.id);
    try {
      await this.#store.commit([this.#row(record), ...keys.map((key) => keyRow(key, record.id)), ...this.#dirtyRows()]);
    } catch (error) {
      if (this.#records.get(record.id) === record) this.#forget(record.id);
      throw error;
    }
  }

  /** Makes known records be found under further keys. */
  async remember(id: string, keys: readonly string[]): Promise<void> {
    const fresh = keys.filter((key) => this.#keys.get(key) !== id);
    if (fresh.length === 0 || !this.#records.has(id)) return;
    const before = fresh.map((key) => [key, this.#keys.get(key)] as const);
    for (const key of fresh) this.#assign(key, id);
    try {
      await this.#store.commit([...fresh.map((key) => keyRow(key, id)), ...this.#dirtyRows()]);
    } catch (error) {
      for (const [key, was] of before) {
        if (this.#keys.get(key) !== id) continue;
        this.#unassign(key);
        if (was !== undefined && this.#records.has(was)) this.#assign(key, was);
      }
      throw error;
    }
  }

  /**
   * Forgets records and their keys at once. The rows go with the caller's commit of `changes`; `undo` when that did not happen.
   * No record that is held may be among them.
   */
  remove(ids: Iterable<string>): { readonly changes: readonly Change[]; readonly undo: () => void } {
    const changes: Change[] = [];
    const undone: (() => void)[] = [];
    for (const id of ids) {
      const record = this.#records.get(id);
      if (record === undefined) continue;
      const usage = this.usageOf(id);
      const keys = this.keysOf(id);
      changes.push(...keys.map((key): Change => ({ delete: "build_keys", key })), { delete: "build_records", key: id });
      this.#forget(id);
      undone.push(() => {
        if (this.#records.has(id)) return;
        this.#records.set(id, record);
        this.#usage.set(id, usage);
        for (const key of keys) if (!this.#keys.has(key)) this.#assign(key, id);
      });
    }
    return { changes, undo: () => undone.forEach((back) => back()) };
  }

  /** Writes usages that changed, if any. */
  async flush(): Promise<void> {
    const changes = this.#dirtyRows();
    if (changes.length > 0) await this.#store.commit(changes);
  }

  /** Takes rows in, at start. @returns rows that are none, to be deleted */
  load(
    records: readonly { readonly id: string; readonly doc: string }[],
    keys: readonly { readonly key: string; readonly record_id: string }[],
  ): { readonly id: string; readonly why: string }[] {
    const bad: { id: string; why: string }[] = [];
    for (const { id, doc } of records) {
      try {
        const { record, usage } = parseRecord(id, doc);
        this.#records.set(id, record);
        this.#usage.set(id, usage);
      } catch (error) {
        bad.push({ id, why: messageOf(error) });
      }
    }
    for (const { key, record_id } of keys) if (this.#records.has(record_id)) this.#assign(key, record_id);
    return bad;
  }

  #assign(key: string, id: string): void {
    this.#unassign(key);
    this.#keys.set(key, id);
    const keys = this.#keysOf.get(id);
    if (keys === undefined) this.#keysOf.set(id, new Set([key]));
    else keys.add(key);
  }

  #unassign(key: string): void {
    const id = this.#keys.get(key);
    if (id === undefined) return;
    this.#keys.delete(key);
    const keys = this.#keysOf.get(id);
    keys?.delete(key);
    if (keys?.size === 0) this.#keysOf.delete(id);
  }

  #forget(id: string): void {
    for (const key of this.keysOf(id)) this.#unassign(key);
    this.#records.delete(id);
    this.#usage.delete(id);
    this.#dirty.delete(id);
  }

  #dirtyRows(): Change[] {
    const rows = [...this.#dirty].flatMap((id) => {
      const record = this.#records.get(id);
      return record === undefined ? [] : [this.#row(record)];
    });
    this.#dirty.clear();
    return rows;
  }

  #row(record: CacheRecord): Change {
    const { layers, description, type, createdAt, parents, sizeBytes } = record;
    const { lastUsedAt, usageCount } = this.usageOf(record.id);
    const doc = { layers, description, type, createdAt, lastUsedAt, usageCount, parents, size: sizeBytes };
    return { put: "build_records", row: { id: record.id, doc: JSON.stringify(doc) } };
  }
}

function keyRow(key: string, id: string): Change {
  return { put: "build_keys", row: { key, record_id: id } };
}

function parseRecord(id: string, doc: string): { readonly record: CacheRecord; readonly usage: RecordUsage } {
  const object = parseObject(parseJson(Buffer.from(doc), "build record"), "build record");
  const layers = parseArray(object["layers"], "layers").map((item) => parseDiffId(parseString(item, "layer")));
  const type = parseString(object["type"], "type");
  if (type !== "regular" && type !== "internal" && type !== "frontend") throw new Error(`unknown type ${type}`);
  const { size, usageCount, lastUsedAt } = object;
  if (typeof size !== "number" || typeof usageCount !== "number")
    throw new Error("size and usageCount must be numbers");
  return {
    record: {
      id,
      layers,
      chain: chainIdsOf(layers),
      description: parseString(object["description"], "description"),
      type,
      createdAt: parseString(object["createdAt"], "createdAt"),
      parents: parseStrings(object["parents"], "parents"),
      sizeBytes: size,
    },
    usage: { lastUsedAt: typeof lastUsedAt === "string" ? lastUsedAt : undefined, usageCount },
  };
}

/**
 * Loads what builds remember. To be called before images/ begins, and its `tops` to be given to `Snapshotter.addRoots("builds", …)`:
 * otherwise the collection of layers at the start would take what only builds need.
 */
export async function openCacheRecords(deps: {
  readonly store: Store;
  readonly logger: Logger;
}): Promise<CacheRecords> {
  const records = new CacheRecords(deps.store);
  const [rows, keys] = await Promise.all([deps.store.load("build_records"), deps.store.load("build_keys")]);
  const bad = records.load(rows, keys);
  const gone = new Set(bad.map(({ id }) => id));
  for (const { id, why } of bad) deps.logger.warn("a record of the build cache cannot be read", { id, error: why });
  const changes: Change[] = keys
    .filter(({ record_id }) => gone.has(record_id))
    .map(({ key }): Change => ({ delete: "build_keys", key }));
  changes.push(...bad.map(({ id }): Change => ({ delete: "build_records", key: id })));
  if (changes.length > 0) await deps.store.commit(changes);
  return records;
}
