// `system check` on a healthy engine under load: it must find nothing, however often it looks. The load is the chaos test's,
// without the kills; the events of the whole run are judged too (F19).

import assert from "node:assert/strict";
import { randomInt } from "node:crypto";
import { test } from "node:test";
import { buildBundle } from "../support/bundle.ts";
import { startDaemon } from "../support/daemon.ts";
import { randomFrom, Workload } from "./chaos-workload.ts";

const seconds = Number(process.env["CHECK_SECONDS"] ?? 15);
const seed = Number(process.env["SEED"] ?? randomInt(2 ** 31));

interface Event {
  readonly Type: string;
  readonly Action: string;
  readonly Actor: { readonly ID: string };
  readonly timeNano: number;
}

/** What may follow what in one container's life; other actions have no say. */
const order: Readonly<Record<string, readonly string[]>> = {
  "": ["create"],
  create: ["start", "destroy"],
  start: ["die"],
  die: ["start", "destroy"],
};

test("the check finds nothing on a healthy engine under load", { timeout: 120_000 + seconds * 2000 }, async (t) => {
  using bundle = buildBundle();
  await using daemon = await startDaemon({ bundle: bundle.dir });
  const since = Date.now() / 1000;
  const workload = new Workload(daemon, randomFrom(seed));
  const stop = new AbortController();
  const working = workload.run(stop.signal);
  working.catch(() => {});
  let looks = 0;
  try {
    const end = performance.now() + seconds * 1000;
    while (performance.now() < end) {
      const answer = await daemon.api("GET", "/gantry/check");
      assert.deepEqual(answer.json, [], `look ${looks}, SEED=${seed}`);
      looks += 1;
    }
  } finally {
    stop.abort();
    await working;
  }
  const context = (): string => `SEED=${seed}\n${daemon.log.slice(-4000)}`;
  await workload.compare(false, context);
  await workload.countKernelState(context);
  const until = Date.now() / 1000 + 1;
  const filters = encodeURIComponent('{"type":["container"]}');
  const { text } = await daemon.api("GET", `/events?since=${since}&until=${until}&filters=${filters}`);
  const events = text
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as Event);
  judgeEvents(events);
  t.diagnostic(`SEED=${seed}: ${looks} looks, ${workload.tally.acknowledged} operations, ${events.length} events`);
});

/** F19: each container's events are in the order of its life. The history is bounded: a life may begin in the middle. */
function judgeEvents(events: readonly Event[]): void {
  const last = new Map<string, string>();
  for (const { Action, Actor } of events) {
    if (!["create", "start", "die", "destroy"].includes(Action)) continue;
    const before = last.get(Actor.ID);
    if (before !== undefined) assert.ok(order[before]?.includes(Action), `${Actor.ID}: ${Action} after ${before}`);
    last.set(Actor.ID, Action);
  }
  assert.ok(last.size > 0);
}
