// kill -9 at random moments of load and delete: after a restart every image is whole or not there, and nothing is left over.
// Needs root and gantry-unpack. GANTRY_KILLS sets the number of kills, SEED repeats a run.

import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { it } from "node:test";
import { configOf, dockerArchive, oldDockerArchive, sha256 } from "../support/image-archives.ts";
import { ImageRoom } from "../support/image-room.ts";
import { directory, file, tarOf } from "../support/tar.ts";

const kills = Number(process.env["GANTRY_KILLS"] ?? 12);
const seed = Number(process.env["SEED"] ?? Date.now() % 1_000_000);

/** Numbers of a seed, 0 … 1. */
function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) + 0x9e3779b9) | 0;
    return (state >>> 0) / 2 ** 32;
  };
}

function start(dataRoot: string, archive: string, env: Readonly<Record<string, string>> = {}): ChildProcess {
  const program = join(import.meta.dirname, "../support/load-forever.ts");
  return spawn(process.execPath, [program, dataRoot, archive], {
    stdio: ["ignore", "pipe", "inherit"],
    env: { ...process.env, ...env },
  });
}

/** Opens the data root as a start does, and looks at everything that it holds. */
async function assertWhole(dataRoot: string): Promise<number> {
  const room = await ImageRoom.open({ dataRoot });
  try {
    assert.deepEqual(await room.images.check({ repair: false }), []);
    assert.deepEqual(room.remains().tmp, []);
    const images = await room.images.list({ all: true, filters: new Map(), sharedSize: false });
    let expected = 0;
    for (const { Id } of images) {
      const { topLayer, config } = await room.images.resolve(Id ?? "", undefined);
      const prepared = await room.snapshots.prepare("look", topLayer);
      const { dirs } = prepared;
      assert.equal(dirs.lower.length, config.rootfs.diff_ids.length);
      expected = Math.max(expected, dirs.lower.length);
      for (const [index, lower] of dirs.lower.toReversed().entries())
        for (const n of [0, 199])
          assert.equal(sha256(readFileSync(join(lower, `d/f${n}`))), sha256(Buffer.alloc(4000, index * 7 + n)));
      await prepared.undo();
    }
    assert.equal(room.remains().snapshots.length, expected);
    return images.length;
  } finally {
    await room.store.close();
  }
}

const layers = Array.from({ length: 3 }, (_, index) =>
  tarOf(directory("d/"), ...Array.from({ length: 200 }, (_, n) => file(`d/f${n}`, Buffer.alloc(4000, index * 7 + n)))),
);
const images = [
  { config: configOf(layers), layers, tags: ["all:1"] },
  { config: configOf(layers.slice(0, 1)), layers: layers.slice(0, 1), tags: ["one:1"] },
];

it(`leaves whole images or none after ${kills} kills (SEED=${seed})`, { timeout: 300_000 }, async () => {
  const root = mkdtempSync(join(tmpdir(), "gantry-kill-"));
  const next = random(seed);
  try {
    const archives = [dockerArchive(images), oldDockerArchive(images)].map((bytes, index) => {
      const path = join(root, `${index}.tar`);
      writeFileSync(path, bytes);
      return path;
    });
    const dataRoot = join(root, "data");
    for (let kill = 0; kill < kills; kill++) {
      const child = start(dataRoot, archives[kill % 2] ?? "");
      await once(child.stdout ?? child, "data");
      await new Promise((resolve) => setTimeout(resolve, next() * 400));
      const ended = once(child, "exit");
      child.kill("SIGKILL");
      await ended;
      await assertWhole(dataRoot);
    }
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
});

for (const [point, expected] of [
  ["snapshots.place.settled", 0],
  ["images.load.placed", 0],
] as const)
  it(`leaves no image when killed at ${point}`, { timeout: 60_000 }, async () => {
    const root = mkdtempSync(join(tmpdir(), "gantry-kill-"));
    try {
      const archive = join(root, "a.tar");
      writeFileSync(archive, dockerArchive(images));
      const child = start(join(root, "data"), archive, { GANTRY_FAILPOINTS: `${point}=kill9` });
      child.stdout?.resume();
      const [, signal] = (await once(child, "exit")) as [number | null, string | null];
      assert.equal(signal, "SIGKILL");
      assert.equal(await assertWhole(join(root, "data")), expected);
    } finally {
      rmSync(root, { recursive: true, force: true });
    }
  });
