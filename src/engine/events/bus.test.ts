import assert from "node:assert/strict";
import { test } from "node:test";
import { silentLogger } from "../../base/log.ts";
import type { EventMessage } from "../../spec/docker/system.ts";
import { createEventBus, renderEvent } from "./bus.ts";
import { matchesEvent } from "./filter.ts";

const none = new Map<string, readonly string[]>();

function clock(): { now: bigint; read: () => bigint } {
  const state = { now: 1_000_000_000n, read: () => state.now };
  return state;
}

async function take(events: AsyncIterable<EventMessage>): Promise<string[]> {
  const actions: string[] = [];
  for await (const event of events) actions.push(event.Action ?? "");
  return actions;
}

const start = {
  type: "container",
  action: "start",
  id: "c1",
  attributes: { name: "web", image: "busybox:1" },
} as const;

test("a container's event has dockerd's shape and order of fields", () => {
  assert.equal(
    JSON.stringify(renderEvent(start, 1_795_815_290_551_000_000n)),
    '{"status":"start","id":"c1","from":"busybox:1","Type":"container","Action":"start","Actor":{"ID":"c1","Attributes":' +
      '{"image":"busybox:1","name":"web"}},"scope":"local","time":1795815290,"timeNano":1795815290551000000}',
  );
});

test("a network's event has no legacy fields", () => {
  const event = renderEvent({ type: "network", action: "connect", id: "n", attributes: {} }, 1n);
  assert.deepEqual(Object.keys(event), ["Type", "Action", "Actor", "scope", "time", "timeNano"]);
});

test("since and until in the past give the history between them and end", async () => {
  const time = clock();
  const bus = createEventBus(silentLogger, time.read);
  for (const action of ["create", "start", "die"]) {
    time.now += 1_000_000_000n;
    bus.publish({ ...start, action });
  }
  time.now += 1_000_000_000n;
  const signal = new AbortController().signal;
  assert.deepEqual(
    await take(bus.subscribe({ sinceNs: 3_000_000_000n, untilNs: 4_000_000_000n, filters: none }, signal)),
    ["start", "die"],
  );
  assert.deepEqual(await take(bus.subscribe({ sinceNs: undefined, untilNs: 2_000_000_000n, filters: none }, signal)), [
    "create",
  ]);
});

test("live events follow the history without loss or doubles, until abort", async () => {
  const bus = createEventBus(silentLogger, clock().read);
  const abort = new AbortController();
  bus.publish({ ...start, action: "create" });
  const events = bus.subscribe({ sinceNs: 0n, untilNs: undefined, filters: none }, abort.signal);
  bus.publish({ ...start, action: "start" });
  const taken = take(events);
  await new Promise(setImmediate);
  bus.publish({ ...start, action: "die" });
  await new Promise(setImmediate);
  abort.abort();
  assert.deepEqual(await taken, ["create", "start", "die"]);
});

test("without since there is no history", async () => {
  const bus = createEventBus(silentLogger, clock().read);
  const abort = new AbortController();
  bus.publish({ ...start, action: "create" });
  const taken = take(bus.subscribe({ sinceNs: undefined, untilNs: undefined, filters: none }, abort.signal));
  abort.abort();
  assert.deepEqual(await taken, []);
});

test("a subscriber that does not read costs a bounded queue and one line in the log", async () => {
  const warnings: string[] = [];
  const bus = createEventBus({ ...silentLogger, warn: (text) => warnings.push(text) }, clock().read);
  const abort = new AbortController();
  const events = bus.subscribe({ sinceNs: undefined, untilNs: undefined, filters: none }, abort.signal);
  for (let i = 0; i < 5000; i++) bus.publish(start);
  abort.abort();
  assert.equal((await take(events)).length, 4096);
  assert.equal(warnings.length, 1);
});

test("until in the future ends the stream by itself", async () => {
  const bus = createEventBus(silentLogger);
  const soon = BigInt(Math.floor(performance.timeOrigin + performance.now()) + 30) * 1_000_000n;
  const events = bus.subscribe({ sinceNs: undefined, untilNs: soon, filters: none }, new AbortController().signal);
  bus.publish(start);
  assert.deepEqual(await take(events), ["start"]);
});

test("filters select as dockerd's do", () => {
  const event = renderEvent({ ...start, attributes: { ...start.attributes, tier: "front" } }, 1n);
  const exec = renderEvent({ ...start, action: "exec_start: sh -c true" }, 1n);
  const network = renderEvent({ type: "network", action: "connect", id: "n1", attributes: { name: "bridge" } }, 1n);
  const rows: readonly [EventMessage, Record<string, string[]>, boolean][] = [
    [event, { container: ["web"] }, true],
    [event, { container: ["c"] }, true],
    [event, { container: ["other"] }, false],
    [network, { container: ["web"] }, false],
    [network, { network: ["bri"], type: ["network"] }, true],
    [event, { image: ["busybox"] }, true],
    [event, { image: ["busybox:1"] }, true],
    [event, { image: ["busybox:2"] }, false],
    [event, { event: ["start", "die"] }, true],
    [event, { event: ["st"] }, false],
    [exec, { event: ["exec_start"] }, true],
    [exec, { event: ["start"] }, false],
    [event, { label: ["tier"] }, true],
    [event, { label: ["tier=front"] }, true],
    [event, { label: ["tier=front", "none"] }, false],
    [event, { type: ["image"] }, false],
    [event, { scope: ["local"] }, true],
    [event, { scope: ["swarm"] }, false],
    [event, { type: ["container"], event: ["start"], container: ["web"] }, true],
  ];
  for (const [message, filters, expected] of rows) {
    assert.equal(matchesEvent(message, new Map(Object.entries(filters))), expected, JSON.stringify(filters));
  }
});
