// kill -9 of the daemon under load, again and again. Clients keep a model of what was acknowledged; after each kill and restart
// the engine must agree with it: nothing lost, nothing stopped, nothing doubled, nothing resurrected, and `system check` finds
// nothing. CHAOS_KILLS sets the number of kills (25), SEED repeats a run.

import assert from "node:assert/strict";
import { randomInt } from "node:crypto";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { startDaemon, type TestDaemon } from "../support/daemon.ts";

const kills = Number(process.env["CHAOS_KILLS"] ?? 25);
const seed = Number(process.env["SEED"] ?? randomInt(2 ** 31));
const clients = 4;
const containersPerClient = 3;

/** mulberry32: small, seeded, good enough to vary a workload. */
function randomFrom(start: number): () => number {
  let state = start >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

type State = "absent" | "stopped" | "running";

/** One container that one client works on, an operation at a time. */
interface Subject {
  readonly name: string;
  /** What the engine may say: one state when every operation was answered, two while one is in flight. */
  possible: ReadonlySet<State>;
}

interface Operation {
  readonly verb: string;
  readonly method: string;
  readonly path: string;
  readonly body?: unknown;
  readonly from: State;
  readonly to: State;
}

const config = { Image: "busybox", Cmd: ["sleep", "100000"], StopSignal: "SIGKILL" };

function operations(subject: Subject, state: State): readonly Operation[] {
  const at = `/containers/${subject.name}`;
  if (state === "absent") {
    return [
      {
        verb: "create",
        method: "POST",
        path: `/containers/create?name=${subject.name}`,
        body: config,
        from: "absent",
        to: "stopped",
      },
    ];
  }
  if (state === "stopped") {
    return [
      { verb: "start", method: "POST", path: `${at}/start`, from: "stopped", to: "running" },
      { verb: "start", method: "POST", path: `${at}/start`, from: "stopped", to: "running" },
      { verb: "remove", method: "DELETE", path: at, from: "stopped", to: "absent" },
    ];
  }
  return [
    { verb: "stop", method: "POST", path: `${at}/stop`, from: "running", to: "stopped" },
    { verb: "restart", method: "POST", path: `${at}/restart`, from: "running", to: "running" },
    { verb: "force remove", method: "DELETE", path: `${at}?force=1`, from: "running", to: "absent" },
    {
      verb: "exec",
      method: "POST",
      path: `${at}/exec`,
      body: { Cmd: ["true"], AttachStdout: true },
      from: "running",
      to: "running",
    },
  ];
}

/** States in which an operation that was cut off may have left its container. */
function between(operation: Operation): ReadonlySet<State> {
  if (operation.verb === "force remove" || operation.verb === "restart") {
    return new Set<State>(["running", "stopped", operation.to]);
  }
  return new Set([operation.from, operation.to]);
}

interface Tally {
  acknowledged: number;
  cutOff: number;
}

async function client(
  daemon: TestDaemon,
  subjects: readonly Subject[],
  random: () => number,
  stop: AbortSignal,
  tally: Tally,
): Promise<void> {
  while (!stop.aborted) {
    const subject = subjects[Math.floor(random() * subjects.length)];
    if (subject === undefined) return;
    const [state] = subject.possible;
    assert.ok(state !== undefined && subject.possible.size === 1, `${subject.name} is not settled`);
    const choices = operations(subject, state);
    const operation = choices[Math.floor(random() * choices.length)];
    if (operation === undefined) return;
    subject.possible = between(operation);
    try {
      const answer = await daemon.api(operation.method, operation.path, operation.body);
      assert.ok(answer.status < 300, `${operation.verb} ${subject.name}: ${answer.status} ${answer.text}`);
      const { Id } = (answer.json ?? {}) as { readonly Id?: string };
      if (operation.verb === "exec") {
        const started = await daemon.api("POST", `/exec/${Id}/start`, { Detach: true });
        assert.ok(started.status < 300, `exec in ${subject.name}: ${started.status} ${started.text}`);
      }
      subject.possible = new Set([operation.to]);
      tally.acknowledged += 1;
    } catch (error) {
      // Only the kill may cut an operation off.
      if (error instanceof assert.AssertionError) throw error;
      tally.cutOff += 1;
      if (!stop.aborted) await sleep(5);
      return;
    }
  }
}

interface Listed {
  readonly Id: string;
  readonly Names: readonly string[];
  readonly State: string;
}

async function compare(daemon: TestDaemon, subjects: readonly Subject[], kill: number): Promise<void> {
  const answer = await daemon.api("GET", "/containers/json?all=1");
  assert.equal(answer.status, 200, answer.text);
  const listed = answer.json as readonly Listed[];
  const context = (): string => `kill ${kill}, SEED=${seed}\n${daemon.log.slice(-6000)}`;
  for (const subject of subjects) {
    const found = listed.filter((one) => one.Names.includes(`/${subject.name}`));
    assert.ok(found.length <= 1, `${subject.name} is there ${found.length} times; ${context()}`);
    const state: State = found[0] === undefined ? "absent" : found[0].State === "running" ? "running" : "stopped";
    assert.ok(
      subject.possible.has(state),
      `${subject.name} is ${state} (${found[0]?.State}), should be ${[...subject.possible].join(" or ")}; ${context()}`,
    );
    subject.possible = new Set([state]);
  }
  const strangers = listed.filter((one) => !subjects.some((subject) => one.Names.includes(`/${subject.name}`)));
  assert.deepEqual(strangers, [], context());
}

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
  timeout: 60_000 + kills * 20_000,
}, async (t) => {
  await using daemon = await startDaemon();
  const random = randomFrom(seed);
  const subjects = Array.from(
    { length: clients * containersPerClient },
    (_, i): Subject => ({ name: `chaos-${i}`, possible: new Set<State>(["absent"]) }),
  );
  const tally: Tally = { acknowledged: 0, cutOff: 0 };
  for (let kill = 1; kill <= kills; kill++) {
    const stop = new AbortController();
    const working = Array.from({ length: clients }, (_, i) =>
      client(
        daemon,
        subjects.slice(i * containersPerClient, (i + 1) * containersPerClient),
        randomFrom(Math.floor(random() * 2 ** 31)),
        stop.signal,
        tally,
      ),
    );
    await sleep(100 + random() * 1400);
    const killed = daemon.kill9();
    stop.abort();
    await killed;
    await Promise.all(working);
    await daemon.start();
    await compare(daemon, subjects, kill);
    assert.deepEqual(await findings(daemon), [], `after kill ${kill}, SEED=${seed}\n${daemon.log.slice(-6000)}`);
  }
  t.diagnostic(`SEED=${seed}: ${kills} kills, ${tally.acknowledged} operations acknowledged, ${tally.cutOff} cut off`);
  // A workload that was never cut off would have proven nothing.
  assert.ok(tally.acknowledged > kills && tally.cutOff > 0);
});
