// kill -9 of the daemon under load, again and again. Clients keep a model of what was acknowledged; after each kill and restart
// the engine must agree with it: nothing lost, nothing stopped, nothing doubled, nothing resurrected, no line of output missing
// or twice, and `system check` finds nothing. CHAOS_KILLS sets the number of kills (25), SEED repeats a run.

import assert from "node:assert/strict";
import { randomInt } from "node:crypto";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { buildBundle } from "../support/bundle.ts";
import { startDaemon, type TestDaemon } from "../support/daemon.ts";
import { randomFrom, Workload } from "./chaos-workload.ts";

const kills = Number(process.env["CHAOS_KILLS"] ?? 25);
const seed = Number(process.env["SEED"] ?? randomInt(2 ** 31));

/** Findings that are still there after the moment that an operation in progress explains. */
async function findings(daemon: TestDaemon): Promise<unknown> {
  const deadline = performance.now() + 10_000;
  for (;;) {
    const answer = await daemon.api("GET", "/gantry/check");
    assert.equal(answer.status, 200, answer.text);
    const found = answer.json as readonly unknown[];
    if (found.length === 0 || performance.now() > deadline) return found;
    await sleep(200);
  }
}

test(`${kills} kills of the daemon under load lose, stop, double and orphan nothing`, {
  timeout: 60_000 + kills * 30_000,
}, async (t) => {
  using bundle = buildBundle();
  await using daemon = await startDaemon({ bundle: bundle.dir });
  const random = randomFrom(seed);
  const workload = new Workload(daemon, random);
  for (let kill = 1; kill <= kills; kill++) {
    const stop = new AbortController();
    const context = (): string => `kill ${kill}, SEED=${seed}\n${daemon.log.slice(-6000)}`;
    const working = workload.run(stop.signal);
    // A client that has met a wrong answer ends the test; the kill ends the other clients first.
    await Promise.race([working, sleep(100 + random() * 2900)]).catch(() => {});
    const killed = daemon.kill9();
    stop.abort();
    await killed;
    await working.catch((error: unknown) => {
      throw error instanceof Error ? new Error(`${error.message}\n${context()}`, { cause: error }) : error;
    });
    await daemon.start();
    await workload.compare(true, context);
    assert.deepEqual(await findings(daemon), [], `after ${context()}`);
    await workload.countKernelState(context);
    await workload.countVolumeUsers(context);
  }
  const { acknowledged, cutOff, verbs } = workload.tally;
  const counts = [...verbs].map(([verb, count]) => `${verb} ${count}`).join(", ");
  t.diagnostic(`SEED=${seed}: ${kills} kills, ${acknowledged} operations acknowledged, ${cutOff} cut off (${counts})`);
  // A workload that was never cut off would have proven nothing.
  assert.ok(acknowledged > kills && cutOff > 0);
});
