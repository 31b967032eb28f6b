// A data root whose disk fills up in the middle of layers. Runs as root in a mount namespace of its own, which
// images-full-disk.test.ts makes. Usage: images-full-disk.ts WORKDIR REGISTRY; prints one JSON object.

import { closeSync, openSync, rmSync, statfsSync, writeFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { messageOf } from "../../src/base/errors.ts";
import { run } from "../../src/engine/kernel/run.ts";
import { configOf, dockerArchive } from "../support/image-archives.ts";
import { ImageRoom } from "../support/image-room.ts";
import { pullLines } from "../support/pull-lines.ts";
import { file, tarOf } from "../support/tar.ts";
import { randomBytes } from "node:crypto";

export interface FullDiskReport {
  /** What each said while the disk was full, by name; "done" when it did not fail. */
  readonly full: Readonly<Record<string, string>>;
  /** What was left of each failure: entries of tmp/, and more snapshots and blobs than before. */
  readonly left: readonly string[];
  /** The same when there was space again. */
  readonly free: Readonly<Record<string, string>>;
  readonly findings: readonly unknown[];
}

const oneMiB = 1 << 20;
const [workdir = "", registry = ""] = process.argv.slice(2);
await run(["mount", "-t", "tmpfs", "-o", "size=400m", "tmpfs", workdir]);
const dataRoot = join(workdir, "data");
const filler = join(workdir, "filler");
const room = await ImageRoom.open({ dataRoot, retryDelayScale: 0.01, ballastBytes: 2 * oneMiB });

const layers = [1, 2].map((n) => tarOf(file(`f${n}`, randomBytes(16 * oneMiB))));
const archive = dockerArchive([{ config: configOf(layers), layers, tags: ["loaded:1"] }]);
const base = [tarOf(file("base", randomBytes(16 * oneMiB)))];
const baseArchive = dockerArchive([{ config: configOf(base), layers: base, tags: [`${registry}/pushed:1`] }]);
await room.load(baseArchive);
const { topLayer } = await room.images.resolve(`${registry}/pushed:1`, undefined);
const writable = await room.snapshots.prepare("container", topLayer);
await room.store.commit(writable.changes);
writeFileSync(join(writable.dirs.upper, "large"), randomBytes(16 * oneMiB));

const spare = tarOf(file("spare", "spare"));
await room.load(dockerArchive([{ config: configOf([spare]), layers: [spare], tags: ["spare:1"] }]));

const signal = AbortSignal.timeout(120_000);
const operations: Readonly<Record<string, () => Promise<unknown>>> = {
  load: () => room.load(archive),
  pull: () => pullLines(room.images, `${registry}/pulled:1`),
  commit: async () => {
    const layer = await room.snapshots.stageWritable("container", 1 << 30, signal);
    await layer.release();
  },
  push: async () => {
    const request = { name: `${registry}/pushed`, tag: "1", platform: undefined, credentials: undefined };
    for await (const message of room.images.push(request, signal)) if (message.error !== undefined) throw message.error;
  },
};

const before = room.remains();
const full: Record<string, string> = {};
const left: string[] = [];
// Above the reserve, and with not even that: other programs write as well.
for (const [name, operation] of Object.entries(operations))
  for (const freeMiB of [72, 6]) {
    fill(freeMiB);
    const key = `${name} with ${freeMiB} MiB`;
    full[key] = await outcome(operation);
    const after = room.remains();
    if (after.tmp.length > 0) left.push(`${key}: tmp/ has ${after.tmp.join(" ")}`);
    // What fits is no failure.
    if (full[key] === "done") continue;
    if (JSON.stringify(after) !== JSON.stringify(before)) left.push(`${key}: ${JSON.stringify(after)}`);
  }
// Deleting is what helps: it works without a free block.
fill(0);
full["tag and rmi with 0 MiB"] = await outcome(async () => {
  await room.images.tag(`${registry}/pushed:1`, "another", "1").catch(() => undefined);
  await room.images.remove("spare:1", { force: false, noPrune: false });
  await room.images.list({ all: true, filters: new Map(), sharedSize: false });
});
rmSync(filler);
const free: Record<string, string> = {};
for (const [name, operation] of Object.entries(operations)) free[name] = await outcome(operation);
const findings = await room.images.check({ repair: false });
await room.store.close();
await run(["umount", workdir]);
process.stdout.write(JSON.stringify({ full, left, free, findings } satisfies FullDiskReport));

async function outcome(operation: () => Promise<unknown>): Promise<string> {
  try {
    await operation();
    return "done";
  } catch (error) {
    return messageOf(error);
  }
}

/** Takes the disk but for so many MiB. */
function fill(freeMiB: number): void {
  rmSync(filler, { force: true });
  const { bavail, bsize } = statfsSync(workdir);
  const handle = openSync(filler, "w");
  try {
    const chunk = Buffer.alloc(oneMiB);
    for (let bytes = bavail * bsize - freeMiB * oneMiB; bytes > 0; bytes -= chunk.length)
      writeSync(handle, chunk, 0, Math.min(chunk.length, bytes));
  } finally {
    closeSync(handle);
  }
}
