// The chaos test's load: clients that work on containers and images of their own, and the comparison of what the engine says
// with what it has acknowledged. Also run without kills, to see that `system check` raises no false alarm.

import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { TestDaemon } from "../support/daemon.ts";
import { ImageClient } from "./chaos-images.ts";
import { SubjectVolumes } from "./chaos-volumes.ts";
import { Driver, type Kind, type Operation, type State, type Subject } from "./chaos-subjects.ts";

/** The subjects of each client. */
const shares: readonly (readonly Kind[])[] = [
  ["plain", "plain", "fleeting"],
  ["plain", "always", "ending"],
  ["plain", "unless-stopped", "fleeting"],
  ["logger", "ending", "plain"],
];

/** mulberry32: small, seeded, good enough to vary a workload. */
export function randomFrom(start: number): () => number {
  let state = start >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

export interface Tally {
  acknowledged: number;
  cutOff: number;
  /** Acknowledged, by verb. */
  readonly verbs: Map<string, number>;
}

interface Listed {
  readonly Id: string;
  readonly Names: readonly string[];
  readonly State: string;
  readonly Mounts: readonly { readonly Name?: string }[];
}

export class Workload {
  readonly tally: Tally = { acknowledged: 0, cutOff: 0, verbs: new Map() };
  readonly #daemon: TestDaemon;
  readonly #random: () => number;
  readonly #shares: readonly (readonly Subject[])[];
  readonly #images: ImageClient;
  readonly #volumes: SubjectVolumes;

  constructor(daemon: TestDaemon, random: () => number) {
    this.#daemon = daemon;
    this.#random = random;
    this.#images = new ImageClient(daemon);
    this.#volumes = new SubjectVolumes(daemon);
    this.#shares = shares.map((kinds, client) =>
      kinds.map((kind, n): Subject => {
        const name = `chaos-${client}${n}-${kind}`;
        return { kind, names: [name, `${name}-b`], possibleNames: [name], possible: new Set<State>(["absent"]) };
      }),
    );
  }

  /** All clients, until each has met `stop` or was cut off. */
  async run(stop: AbortSignal): Promise<void> {
    const seeds = [...this.#shares, 0].map(() => Math.floor(this.#random() * 2 ** 31));
    const [imageSeed = 0, ...rest] = seeds;
    await Promise.all([
      ...this.#shares.map((share, n) => this.#client(share, randomFrom(rest[n] ?? 0), stop)),
      this.#imageClient(randomFrom(imageSeed), stop),
    ]);
  }

  async #client(subjects: readonly Subject[], random: () => number, stop: AbortSignal): Promise<void> {
    const driver = new Driver(this.#daemon, random, this.#volumes);
    while (!stop.aborted) {
      const subject = subjects[Math.floor(random() * subjects.length)];
      if (subject === undefined) return;
      const [state] = subject.possible;
      assert.ok(state !== undefined && subject.possible.size === 1, `${subject.names[0]} is not settled`);
      const choices = driver.operations(subject, state);
      const operation = choices[Math.floor(random() * choices.length)];
      if (operation === undefined || !(await this.#attempt(subject, state, operation, stop))) return;
    }
  }

  /** False when it was cut off. */
  async #attempt(subject: Subject, state: State, operation: Operation, stop: AbortSignal): Promise<boolean> {
    const [name = ""] = subject.possibleNames;
    const { verb, to, between = [], renamesTo } = operation;
    subject.possible = new Set([state, ...between, to]);
    if (renamesTo !== undefined) subject.possibleNames = [name, renamesTo];
    try {
      await operation.run();
      subject.possible = new Set([to]);
      subject.possibleNames = [renamesTo ?? name];
      this.#count(verb);
      return true;
    } catch (error) {
      return this.#cut(error, stop);
    }
  }

  async #imageClient(random: () => number, stop: AbortSignal): Promise<void> {
    while (!stop.aborted) {
      try {
        await this.#images.step(random);
        this.#count("image");
        await sleep(random() * 50);
      } catch (error) {
        this.#cut(error, stop);
        return;
      }
    }
  }

  #count(verb: string): void {
    this.tally.acknowledged += 1;
    this.tally.verbs.set(verb, (this.tally.verbs.get(verb) ?? 0) + 1);
  }

  /** Only the kill may cut an operation off. */
  #cut(error: unknown, stop: AbortSignal): boolean {
    if (error instanceof assert.AssertionError || !stop.aborted) throw error;
    this.tally.cutOff += 1;
    return false;
  }

  /** After a restart of the daemon, or when the clients have stopped: everything is as it was acknowledged. */
  async compare(restarted: boolean, context: () => string): Promise<void> {
    const subjects = this.#shares.flat();
    for (const subject of subjects) subject.possible = withTime(subject, restarted);
    const deadline = performance.now() + 30_000;
    for (;;) {
      const answer = await this.#daemon.api("GET", "/containers/json?all=1");
      assert.equal(answer.status, 200, answer.text);
      const listed = answer.json as readonly Listed[];
      const complaints = subjects.flatMap((subject) => this.#complaint(subject, listed));
      const dying = await this.#dying(subjects, listed);
      // What restarts, ends or removes itself is given time for it; nothing else is.
      const patient = complaints.every(({ subject }) => subject.kind !== "plain");
      if (complaints.length === 0 && dying.length === 0) {
        await this.#settle(subjects, listed, context);
        await this.#volumes
          .compare(subjects, (subject) => find(listed, subject).length > 0)
          .catch((error: unknown) => fail(error, context));
        break;
      }
      const texts = [...complaints.map(({ text }) => text), ...dying].join("\n");
      assert.ok(patient && performance.now() < deadline, `${texts}\n${context()}`);
      await sleep(50);
    }
    await this.#images.compare(context);
  }

  /** Containers to which a signal was sent before the cut: they run by the record, and their end is on its way. */
  async #dying(subjects: readonly Subject[], listed: readonly Listed[]): Promise<readonly string[]> {
    const asked = subjects
      .filter(({ possible }) => possible.size > 1)
      .flatMap((subject) => find(listed, subject))
      .filter(({ State }) => State === "running" || State === "paused");
    const texts = await Promise.all(
      asked.map(async ({ Id }) => {
        const { json } = await this.#daemon.api("GET", `/containers/${Id}/json`);
        const pid = (json as { readonly State?: { readonly Pid: number } }).State?.Pid ?? 0;
        return isAlive(pid) ? "" : `${Id} runs, and its process ${pid} is dead`;
      }),
    );
    return texts.filter((text) => text !== "");
  }

  #complaint(
    subject: Subject,
    listed: readonly Listed[],
  ): readonly { readonly subject: Subject; readonly text: string }[] {
    const found = find(listed, subject);
    const complain = (text: string): readonly { readonly subject: Subject; readonly text: string }[] => [
      { subject, text },
    ];
    if (found.length > 1) return complain(`${subject.names[0]} is there ${found.length} times`);
    const [one] = found;
    const state = stateOf(one);
    if (!subject.possible.has(state as State))
      return complain(`${subject.names[0]} is ${state}, should be ${[...subject.possible].join(" or ")}`);
    if (one !== undefined && !one.Names.some((name) => subject.possibleNames.includes(name.slice(1))))
      return complain(`${subject.names[0]} is called ${one.Names.join(", ")}`);
    return [];
  }

  async #settle(subjects: readonly Subject[], listed: readonly Listed[], context: () => string): Promise<void> {
    const driver = new Driver(this.#daemon, this.#random, this.#volumes);
    const known = new Set<Listed>();
    for (const subject of subjects) {
      const [one] = find(listed, subject);
      if (one !== undefined) known.add(one);
      const state = stateOf(one) as State;
      subject.possible = new Set([state]);
      subject.possibleNames = [one?.Names[0]?.slice(1) ?? subject.names[0]];
      if (one !== undefined) await driver.judge(subject, one.Id, state).catch((error: unknown) => fail(error, context));
    }
    assert.deepEqual(
      listed.filter((one) => !known.has(one)),
      [],
      context(),
    );
  }

  /** Who uses a volume is right after all that happened. */
  async countVolumeUsers(context: () => string): Promise<void> {
    await this.#volumes
      .countUsers(this.#shares.flat(), ({ possible }) => !possible.has("absent"), this.#random)
      .catch((error: unknown) => fail(error, context));
  }

  /** Counted by the harness itself, past the engine's own check: one of each per container, or none. */
  async countKernelState(context: () => string): Promise<void> {
    const { execRoot, dataRoot } = this.#daemon;
    const deadline = performance.now() + 20_000;
    for (;;) {
      const listed = (await this.#daemon.api("GET", "/containers/json?all=1")).json as readonly Listed[];
      const running = listed.filter((one) => ["running", "paused"].includes(one.State)).map((one) => one.Id);
      const all = listed.map((one) => one.Id);
      const differences = [
        difference("run directories", idsIn(join(execRoot, "containers")), running),
        difference("runtime states", idsIn(join(execRoot, "runtime")), running),
        difference("data directories", idsIn(join(dataRoot, "containers")), all),
        await this.#volumes.difference(this.#shares.flat(), listed),
      ].filter((text) => text !== "");
      if (differences.length === 0) return;
      assert.ok(performance.now() < deadline, `${differences.join("\n")}\n${context()}`);
      await sleep(50);
    }
  }
}

function fail(error: unknown, context: () => string): never {
  throw error instanceof Error ? new assert.AssertionError({ message: `${error.message}\n${context()}` }) : error;
}

function find(listed: readonly Listed[], subject: Subject): readonly Listed[] {
  return listed.filter((one) => one.Names.some((name) => subject.names.includes(name.slice(1))));
}

function stateOf(one: Listed | undefined): string {
  return one?.State ?? "absent";
}

/** What time, and a daemon that starts, make of the states that were possible. */
function withTime({ kind, possible }: Subject, restarted: boolean): ReadonlySet<State> {
  const states = new Set(possible);
  if (kind === "ending" || kind === "logger") {
    if (states.has("running")) states.add("exited");
  } else if (kind === "fleeting") {
    if (states.delete("running") || states.delete("exited")) states.add("absent");
  } else if (kind === "always" && restarted && states.delete("exited")) states.add("running");
  return states;
}

function isAlive(pid: number): boolean {
  try {
    return !/^State:\t[ZX]/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
  } catch {
    return false;
  }
}

function idsIn(directory: string): readonly string[] {
  try {
    return readdirSync(directory).filter((name) => /^[0-9a-f]{64}$/.test(name));
  } catch {
    return [];
  }
}

function difference(what: string, actual: readonly string[], wanted: readonly string[]): string {
  const more = actual.filter((id) => !wanted.includes(id));
  const fewer = wanted.filter((id) => !actual.includes(id));
  return more.length + fewer.length === 0 ? "" : `${what}: too many ${more.join(", ")}; missing ${fewer.join(", ")}`;
}
