// A full disk under the store. Runs as root in a mount namespace of its own, which store-full-disk.test.ts makes.
// Usage: store-full-disk.ts FILESYSTEM WORKDIR, where FILESYSTEM is tmpfs or ext4; prints one JSON object.

import { closeSync, mkdirSync, openSync, rmSync, statSync, writeSync } from "node:fs";
import { join } from "node:path";
import { errnoOf, isEngineError } from "../../src/base/errors.ts";
import { type Logger, silentLogger } from "../../src/base/log.ts";
import { run } from "../../src/engine/kernel/run.ts";
import { type Change, openStore, type Store } from "../../src/engine/store/index.ts";
import { sleep } from "./store-model.ts";

export interface FullDiskReport {
  /** Containers acknowledged until the disk was full, and the kind of the error that the next one got. */
  readonly inserted: number;
  readonly refusedWith: string;
  readonly readableWhileFull: number;
  /** Outcomes while full and after the file system was filled up again each time. */
  readonly deleted: readonly string[];
  readonly freeing: string;
  readonly ballastSpent: boolean;
  /** Outcome of an insert after space was freed, without a restart. */
  readonly recovered: string;
  readonly lost: number;
  readonly complaints: readonly string[];
  readonly logged: readonly string[];
}

const ballastBytes = 2 << 20;
const [fileSystem = "", workdir = ""] = process.argv.slice(2);
const mountPoint = join(workdir, "mnt");
const directory = join(mountPoint, "data");
const filler = join(mountPoint, "filler");

mkdirSync(mountPoint);
if (fileSystem === "tmpfs") await run(["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", mountPoint]);
else {
  const image = join(workdir, "disk.img");
  await run(["truncate", "-s", "24M", image]);
  await run(["mkfs.ext4", "-q", "-F", "-m", "0", image]);
  await run(["mount", "-o", "loop", image, mountPoint]);
}
const report = await fillAndFree();
await run(["umount", mountPoint]);
process.stdout.write(`${JSON.stringify(report)}\n`);

async function fillAndFree(): Promise<FullDiskReport> {
  const logged: string[] = [];
  const logger: Logger = { ...silentLogger, error: (message) => logged.push(message) };
  const store = await openStore({ directory, logger, ballastBytes });
  while (ballast() < ballastBytes) await sleep(5);

  let inserted = 0;
  while ((await outcome(store, [insert(inserted)])) === "done") {
    inserted++;
    if (inserted === 50) fill();
  }
  const refusedWith = await outcome(store, [insert(inserted)]);
  const readableWhileFull = (await store.load("containers")).length;

  const deleted: string[] = [];
  for (let n = 0; n < 3; n++) {
    fill();
    deleted.push(await outcome(store, [{ delete: "containers", key: `c${n}` }]));
  }
  fill();
  const freeing = await outcome(
    store,
    [{ insert: "ops", row: { id: "o", kind: "container.remove", subject: "c3", step: 0, payload: "x".repeat(9000) } }],
    true,
  );
  const ballastSpent = ballast() < ballastBytes;

  rmSync(filler);
  const recovered = await outcome(store, [insert(inserted)]);
  await store.close();
  const again = await openStore({ directory, logger, ballastBytes: 0 });
  const ids = new Set((await again.load("containers")).map((row) => row.id));
  const complaints = await again.check();
  await again.close();
  const expected = Array.from({ length: inserted + 1 }, (_, n) => `c${n}`).slice(3);
  return {
    inserted,
    refusedWith,
    readableWhileFull,
    deleted,
    freeing,
    ballastSpent,
    recovered,
    lost: expected.filter((id) => !ids.has(id)).length,
    complaints,
    logged,
  };
}

function insert(n: number): Change {
  return { insert: "containers", row: { id: `c${n}`, name: `n${n}`, doc: `${n}.`.repeat(1000) } };
}

async function outcome(store: Store, changes: readonly Change[], freesSpace = false): Promise<string> {
  try {
    await store.commit(changes, { freesSpace });
    return "done";
  } catch (error) {
    return isEngineError(error) ? error.kind : String(error);
  }
}

/** Takes every free block of the file system, as a container's log would. */
function fill(): void {
  const handle = openSync(filler, "a");
  try {
    for (const size of [1 << 16, 1 << 12, 1]) {
      for (const chunk = Buffer.alloc(size); writeUnlessFull(handle, chunk); );
    }
  } finally {
    closeSync(handle);
  }
}

function writeUnlessFull(handle: number, chunk: Buffer): boolean {
  try {
    return writeSync(handle, chunk) === chunk.length;
  } catch (error) {
    if (errnoOf(error) === "ENOSPC") return false;
    throw error;
  }
}

function ballast(): number {
  return statSync(join(directory, "gantry.ballast"), { throwIfNoEntry: false })?.size ?? 0;
}
