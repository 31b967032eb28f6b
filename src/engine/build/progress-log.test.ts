import assert from "node:assert/strict";
import { test } from "node:test";
import { parseEvents, renderEvents } from "./history-events.ts";
import type { BuildEvent } from "./progress.ts";
import { createBuildProgress } from "./progress-log.ts";

const vertex = { digest: "sha256:a", name: "[1/1] RUN x" };

async function all(progress: ReturnType<typeof createBuildProgress>): Promise<readonly BuildEvent[]> {
  const events: BuildEvent[] = [];
  for await (const some of progress.subscribe(new AbortController().signal)) events.push(...some);
  return events;
}

test("who subscribes late gets everything, and a vertex keeps the time of its start", async () => {
  const progress = createBuildProgress();
  const early = all(progress);
  await progress.vertex(vertex, async (report) => {
    report.log(1, Buffer.from("hello\n"));
    report.status("x", 1, 2, false);
    report.status("x", 2, 2, true);
  });
  const late = all(progress);
  progress.close();
  const events = await late;
  assert.deepEqual(
    events.map(({ kind }) => kind),
    ["vertex", "log", "status", "vertex"],
  );
  const told = events.flatMap((event) => (event.kind === "vertex" ? [event.vertex] : []));
  assert.equal(told[0]?.startedAt, told[1]?.startedAt);
  assert.equal(told[0]?.completedAt, undefined);
  assert.notEqual(told[1]?.completedAt, undefined);
  const status = events.find((event) => event.kind === "status");
  assert.equal(status?.current, 2);
  assert.deepEqual((await early).filter(({ kind }) => kind !== "status").length, 3);
  assert.equal(renderEvents(parseEvents(renderEvents(events))), renderEvents(events));
  assert.deepEqual(parseEvents(renderEvents(events))[1], events[1]);
});

test("a vertex that fails says why, and the error goes on", async () => {
  const progress = createBuildProgress();
  await assert.rejects(
    progress.vertex(vertex, async () => {
      throw new Error("no");
    }),
    /no/,
  );
  const last = progress.events().at(-1);
  assert.equal(last?.kind === "vertex" ? last.vertex.error : "", "no");
});

test("output is clipped at 2 MiB per vertex, its end is kept for messages, and what is kept in all is bounded", () => {
  const progress = createBuildProgress();
  const chunk = Buffer.alloc(300 * 1024, "x");
  for (let v = 0; v < 12; v++)
    for (let i = 0; i < 8; i++) progress.emit({ kind: "log", vertex: `v${v}`, stream: 1, data: chunk, at: 1n });
  progress.emit({ kind: "log", vertex: "v0", stream: 1, data: Buffer.from("\nlast words\n"), at: 1n });
  const logs = progress.events().flatMap((event) => (event.kind === "log" ? [event] : []));
  const bytes = logs.reduce((sum, { data }) => sum + data.length, 0);
  assert.ok(bytes <= 16 * 1024 * 1024, String(bytes));
  const ofLast = Buffer.concat(logs.filter((log) => log.vertex === "v11").map(({ data }) => data));
  assert.ok(ofLast.toString().endsWith("x[output clipped, log limit 2MiB reached]\n"));
  assert.equal(progress.lastOutput("v0"), "last words\n");
});

test("an aborted subscription ends", async () => {
  const progress = createBuildProgress();
  const until = new AbortController();
  const reading = (async () => {
    for await (const _ of progress.subscribe(until.signal)) continue;
  })();
  until.abort();
  await reading;
  progress.close();
});
