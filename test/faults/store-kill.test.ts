// kill -9 of a process that writes to the store, at random times, start-up and migration included.

import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { silentLogger } from "../../src/base/log.ts";
import { openStore } from "../../src/engine/store/index.ts";
import { chooseSeed, type Counts, inspect, latest, seededRandom, sleep, startWriter } from "./store-model.ts";

const cycles = Number(process.env["STORE_KILL_CYCLES"] ?? 40);
/** After so many kills of one directory a new one is begun. */
const cyclesPerDirectory = 10;

function temporaryDirectory(t: TestContext): string {
  const directory = mkdtempSync(join(tmpdir(), "gantry-store-kill-"));
  t.after(() => rmSync(directory, { recursive: true }));
  return directory;
}

test(`after each of ${cycles} kill -9 every acknowledged commit is there, and no commit by halves`, async (t) => {
  const seed = chooseSeed();
  t.diagnostic(`SEED=${seed}`);
  const random = seededRandom(seed);
  const root = temporaryDirectory(t);
  let acknowledged: Counts = {};
  let acks = 0;
  for (let cycle = 0; cycle < cycles; cycle++) {
    if (cycle % cyclesPerDirectory === 0) acknowledged = {};
    const directory = join(root, String(Math.floor(cycle / cyclesPerDirectory)));
    const writer = startWriter("store", directory);
    // Every fourth is killed while it starts.
    if (cycle % 4 === 0) await sleep(50 + random() * 150);
    else {
      await writer.firstAck;
      await sleep(random() * 200);
    }
    writer.child.kill("SIGKILL");
    const result = await writer.acknowledged;
    assert.equal(writer.child.signalCode, "SIGKILL");
    acknowledged = latest(acknowledged, result.counts);
    acks += result.acks;

    const store = await openStore({ directory, logger: silentLogger, ballastBytes: 0 });
    const findings = await inspect(store, acknowledged);
    await store.close();
    assert.deepEqual(findings, { lost: 0, torn: [] }, `cycle ${cycle}, SEED=${seed}`);
  }
  t.diagnostic(`${cycles} kills, ${acks} acknowledged commits, 0 lost`);
  assert.ok(acks > cycles);
});

test("control: a JSON file written in place is torn by kill -9, so this harness sees loss", async (t) => {
  const random = seededRandom(chooseSeed());
  const directory = temporaryDirectory(t);
  const atMost = 200;
  for (let cycle = 0; cycle < atMost; cycle++) {
    const writer = startWriter("json-in-place", directory);
    await writer.firstAck;
    await sleep(random() * 20);
    writer.child.kill("SIGKILL");
    await writer.acknowledged;
    try {
      JSON.parse(readFileSync(join(directory, "state.json"), "utf8"));
    } catch {
      t.diagnostic(`torn after ${cycle + 1} kills`);
      return;
    }
  }
  assert.fail(`${atMost} kills tore nothing`);
});
