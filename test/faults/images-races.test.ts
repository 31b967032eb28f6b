// What comes and what goes at the same time: four pulls of images that share layers, a load, saves, commits and containers being
// made, beside rmi, prune and `check --repair` without a pause. Nobody loses a layer or a blob; when all is deleted nothing is
// left. RACES_MS is how long (12 s), SEED repeats the choices. Needs docker-registry and gantry-unpack.

import assert from "node:assert/strict";
import { createHash, randomInt } from "node:crypto";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { type DiffId, parseDiffId } from "../../src/base/digest.ts";
import { type ErrorKind, isEngineError } from "../../src/base/errors.ts";
import { parseNamed, withTag } from "../../src/base/reference.ts";
import { configOf, dockerArchive, sha256 } from "../support/image-archives.ts";
import { ImageRoom } from "../support/image-room.ts";
import { pullLines } from "../support/pull-lines.ts";
import { TestRegistry } from "../support/registry.ts";
import { file, tarOf } from "../support/tar.ts";
import { randomFrom } from "./chaos-workload.ts";
import { verifyArchive } from "./images-chaos-clients.ts";

const durationMs = Number(process.env["RACES_MS"] ?? 12_000);
const seed = Number(process.env["SEED"] ?? randomInt(2 ** 31));

function noise(name: string, size: number): Buffer {
  return Buffer.concat(
    Array.from({ length: Math.ceil(size / 32) }, (_, n) => createHash("sha256").update(`${name}${n}`).digest()),
  );
}

const tars = Array.from({ length: 4 }, (_, n) => tarOf(file(`f${n}`, noise(`race ${n}`, 60_000 * (n + 1)))));
const own = tarOf(file("own", "own"));
/** All but the last have the same first layers. */
const chains: readonly (readonly number[])[] = [[0], [0, 1], [0, 1, 2], [3, 0]];

/** undefined for what may be: it was deleted a moment ago. */
async function unlessGone<T>(operation: Promise<T>, ...kinds: readonly ErrorKind[]): Promise<T | undefined> {
  try {
    return await operation;
  } catch (error) {
    if (isEngineError(error) && kinds.includes(error.kind)) return undefined;
    throw error;
  }
}

/** What comes and goes. */
class Races {
  readonly counts = new Map<string, number>();
  readonly #room: ImageRoom;
  readonly #names: readonly string[];
  readonly #archive: Buffer;
  #container = 0;

  constructor(room: ImageRoom, address: string) {
    this.#room = room;
    const layers = [0, 1, 2].map((n) => tars[n] as Buffer);
    this.#archive = dockerArchive([{ config: configOf(layers, { comment: "loaded" }), layers, tags: ["loaded:1"] }]);
    this.#names = [...chains.map((_, n) => `${address}/race${n}:1`), "loaded:1", "committed:1"];
  }

  async pull(n: number): Promise<void> {
    const lines = await pullLines(this.#room.images, this.#names[n] ?? "");
    assert.match(lines.at(-1) ?? "", /^Status: /);
    this.#count("pull");
  }

  async load(): Promise<void> {
    assert.deepEqual(await this.#room.load(this.#archive), ["Loaded image: loaded:1"]);
    this.#count("load");
  }

  async save(name: string): Promise<void> {
    const { images } = this.#room;
    const stream = await unlessGone(images.save([name], undefined, AbortSignal.timeout(60_000)), "NotFound");
    if (stream === undefined) return;
    const chunks: Buffer[] = [];
    for await (const chunk of stream) chunks.push(chunk as Buffer);
    verifyArchive(Buffer.concat(chunks));
    this.#count("save");
  }

  async commit(name: string): Promise<void> {
    const { images, snapshots } = this.#room;
    const base = await unlessGone(images.resolve(name, undefined), "NotFound");
    if (base === undefined) return;
    const claimed: DiffId = parseDiffId(`sha256:${sha256(own)}`);
    const signal = AbortSignal.timeout(60_000);
    const chunks = (async function* () {
      yield own;
    })();
    const layer = await snapshots.stage(chunks, { claimed, maxBytes: 1 << 20 }, signal);
    const { rootfs: _, history: __, ...config } = base.config;
    const reference = withTag(parseNamed("committed"), "1");
    try {
      const image = { base: base.id, layer, config: { ...config, history: { created_by: "race" } }, reference };
      // Its base is looked up again: it may be gone.
      if ((await unlessGone(images.commit(image, signal), "NotFound", "DataLoss")) !== undefined) this.#count("commit");
    } finally {
      await layer.release();
    }
  }

  /** As a container is made: what is held keeps its layers. */
  async create(name: string): Promise<void> {
    const { images, snapshots } = this.#room;
    const image = await unlessGone(images.resolve(name, undefined), "NotFound");
    if (image === undefined) return;
    let hold: Disposable;
    try {
      hold = images.hold(image.id);
    } catch (error) {
      if (isEngineError(error, "NotFound")) return;
      throw error;
    }
    try {
      const prepared = await snapshots.prepare(`race-${this.#container++}`, image.topLayer);
      await sleep(5);
      const { lower } = prepared.dirs;
      assert.equal(lower.length, image.config.rootfs.diff_ids.length);
      for (const directory of lower) assert.equal(readdirSync(directory).length, 1, directory);
      await prepared.undo();
    } finally {
      hold[Symbol.dispose]();
    }
    this.#count("create");
  }

  async remove(name: string): Promise<void> {
    const removed = await unlessGone(
      this.#room.images.remove(name, { force: false, noPrune: false }),
      "NotFound",
      "Conflict",
    );
    if (removed !== undefined) this.#count("remove");
  }

  async prune(): Promise<void> {
    const pruned = await unlessGone(this.#room.images.prune(new Map([["dangling", ["false"]]])), "Conflict");
    if (pruned !== undefined) this.#count("prune");
  }

  async check(): Promise<void> {
    assert.deepEqual(await this.#room.images.check({ repair: true }), []);
    this.#count("check");
  }

  name(random: () => number): string {
    return this.#names[Math.floor(random() * this.#names.length)] ?? "";
  }

  async clear(): Promise<void> {
    for (const name of this.#names) await this.remove(name);
    await this.prune();
  }

  #count(what: string): void {
    this.counts.set(what, (this.counts.get(what) ?? 0) + 1);
  }
}

test(`pulls, loads, saves, commits and creates lose nothing to rmi, prune and check (SEED=${seed})`, {
  timeout: durationMs + 120_000,
}, async (t) => {
  await using registry = await TestRegistry.start();
  for (const [n, chain] of chains.entries())
    await registry.pushImage(`race${n}`, "1", { layers: chain.map((at) => ({ tar: tars[at] as Buffer })) });
  const room = await ImageRoom.open();
  try {
    const races = new Races(room, registry.address);
    const stop = new AbortController();
    const work = async (actor: number, action: (random: () => number) => Promise<void>): Promise<void> => {
      const random = randomFrom(seed + actor);
      try {
        while (!stop.signal.aborted) {
          await action(random);
          await sleep(random() * 30);
        }
      } catch (error) {
        stop.abort();
        throw error;
      }
    };
    const actors: readonly ((random: () => number) => Promise<void>)[] = [
      ...chains.map((_, n) => () => races.pull(n)),
      () => races.load(),
      (random) => races.save(races.name(random)),
      (random) => races.commit(races.name(random)),
      (random) => races.create(races.name(random)),
      (random) => races.remove(races.name(random)),
      () => races.prune(),
      () => races.check(),
    ];
    const timer = setTimeout(() => stop.abort(), durationMs);
    const ends = await Promise.allSettled(actors.map((action, actor) => work(actor, action)));
    clearTimeout(timer);
    const [failed] = ends.filter((end) => end.status === "rejected");
    if (failed !== undefined) throw failed.reason;
    t.diagnostic(`SEED=${seed}: ${[...races.counts].map(([what, count]) => `${what} ${count}`).join(", ")}`);
    for (const what of ["pull", "load", "save", "commit", "create", "remove", "prune", "check"])
      assert.ok((races.counts.get(what) ?? 0) > 0, `no ${what} in ${durationMs} ms`);
    await races.clear();
    assert.deepEqual(await room.images.check({ repair: false }), []);
    assert.deepEqual(room.remains(), { tmp: [], snapshots: [], blobs: [] });
    assert.deepEqual(
      readdirSync(join(room.dataRoot, "content/ingest")).filter((name) => !/^[0-9a-f]{64}(\.done)?$/.test(name)),
      [],
    );
  } finally {
    await room.close();
  }
});
