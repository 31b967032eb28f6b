// What the store's fault tests write and what must be found afterwards. Each of a few callers counts upwards; its n-th
// commit inserts row n, deletes row n - 10 and notes n, all in one. So after any crash a caller's note and rows must
// agree (atomicity), and the note must not be below what was acknowledged (durability).

import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import type { Change, Store } from "../../src/engine/store/index.ts";

export const callers = ["a", "b", "c", "d"] as const;
const kept = 10;

/** The last number per caller: as acknowledged, or as noted in the store; -1 before the first. */
export type Counts = Readonly<Record<string, number>>;

export function changesOf(caller: string, n: number): readonly Change[] {
  const id = (n: number): string => `${caller}-${n}`;
  // About as long as a container's record, and different each time: SQLite does not write pages that stay the same.
  const doc = JSON.stringify({ n, text: `${n}.`.repeat(4000 / (String(n).length + 1)) });
  return [
    { insert: "containers", row: { id: id(n), name: id(n), doc } },
    { delete: "containers", key: id(n - kept) },
    { put: "meta", row: { key: caller, value: String(n) } },
  ];
}

export async function loadCounts(store: Pick<Store, "load">): Promise<Counts> {
  const notes = (await store.load("meta")).map((row) => [row.key, Number(row.value)] as const);
  return { ...Object.fromEntries(callers.map((caller) => [caller, -1])), ...Object.fromEntries(notes) };
}

export interface Findings {
  /** Acknowledged commits that are not there. */
  readonly lost: number;
  /** What is there and must not be, in words. */
  readonly torn: readonly string[];
}

/** Compares the store with what was acknowledged. */
export async function inspect(store: Pick<Store, "load" | "check">, acknowledged: Counts): Promise<Findings> {
  const counts = await loadCounts(store);
  const rows = (await store.load("containers")).map((row) => row.id).sort();
  const expected = callers
    .flatMap((caller) => {
      const last = counts[caller] ?? -1;
      return Array.from({ length: Math.min(last + 1, kept) }, (_, i) => `${caller}-${last - i}`);
    })
    .sort();
  return {
    lost: callers.reduce((sum, caller) => sum + Math.max(0, (acknowledged[caller] ?? -1) - (counts[caller] ?? -1)), 0),
    torn: [
      ...(rows.join() === expected.join() ? [] : [`rows ${rows.join()} instead of ${expected.join()}`]),
      ...(await store.check()),
    ],
  };
}

/** A process that commits until it is killed; see store-writer.ts. */
export interface Writer {
  readonly child: ChildProcess;
  readonly firstAck: Promise<unknown>;
  /** Resolves when the process has ended and all that it had acknowledged is read. */
  readonly acknowledged: Promise<{ readonly counts: Counts; readonly acks: number }>;
}

export type WriterKind = "store" | "sqlite-normal" | "json-in-place";

export function startWriter(kind: WriterKind, directory: string): Writer {
  const child = spawn(process.execPath, [join(import.meta.dirname, "store-writer.ts"), kind, directory], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  let text = "";
  child.stdout.setEncoding("utf8").on("data", (chunk: string) => (text += chunk));
  const ended = once(child, "close");
  return {
    child,
    firstAck: Promise.race([once(child.stdout, "data"), ended]),
    acknowledged: ended.then(() => {
      const lines = text
        .slice(0, text.lastIndexOf("\n") + 1)
        .split("\n")
        .slice(0, -1);
      const counts: Record<string, number> = {};
      for (const line of lines) {
        const [caller = "", n = ""] = line.split(" ");
        counts[caller] = Math.max(counts[caller] ?? -1, Number(n));
      }
      return { counts, acks: lines.length };
    }),
  };
}

/** The later of two counts, caller by caller. */
export function latest(a: Counts, b: Counts): Counts {
  return Object.fromEntries(callers.map((caller) => [caller, Math.max(a[caller] ?? -1, b[caller] ?? -1)]));
}

/** Numbers from 0 to 1 that a seed repeats (mulberry32). */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** SEED of the environment, or a new one; a test prints it. */
export function chooseSeed(): number {
  return Number(process.env["SEED"] ?? Math.floor(Math.random() * 2 ** 31));
}

export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
