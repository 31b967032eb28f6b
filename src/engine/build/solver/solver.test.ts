import assert from "node:assert/strict";
import { test } from "node:test";
import { chainIdsOf } from "../../../base/digest.ts";
import { EngineError } from "../../../base/errors.ts";
import type { Digest } from "../../../base/digest.ts";
import { GraphMaker, World, evaluate } from "./fixture.ts";
import { type JobContext, type Solution, VertexFailed } from "./index.ts";

const never = new AbortController().signal;

function treeOf(world: World, solution: Solution, target: Digest): unknown {
  const solved = solution.get(target);
  assert.ok(solved !== undefined);
  return world.treeOf(solved.snapshot);
}

async function solveOnce(world: World, make: GraphMaker, target: Digest, job: JobContext): Promise<unknown> {
  await using solution = await world.solver.solve(make.graph, [target], job, never);
  return treeOf(world, solution, target);
}

test("a step runs once and is found by its definition afterwards, without its inputs", async () => {
  const world = await World.create();
  const make = new GraphMaker();
  const base = make.image(world, "debian");
  const first = make.exec([base], "first");
  const second = make.exec([first], "second");
  const wanted = evaluate(world, make.graph, second, {});
  assert.deepEqual(await solveOnce(world, make, second, world.job("a")), wanted);
  const job = world.job("b");
  await using solution = await world.solver.solve(make.graph, [second], job, never);
  assert.deepEqual(treeOf(world, solution, second), wanted);
  assert.deepEqual(Object.fromEntries(world.ran), { debian: 1, first: 1, second: 1 });
  assert.equal(solution.get(second)?.cached, true);
  assert.deepEqual(
    [...job.progress.vertices.values()].map(({ name, cached, error }) => [name, cached, error]),
    [
      ["RUN first", true, ""],
      ["RUN second", true, ""],
      ["debian", true, ""],
    ],
  );
});

test("a cached build keeps the ids and times of its records, after a restart as well", async () => {
  const world = await World.create();
  const make = new GraphMaker();
  const step = make.exec([make.image(world, "debian")], "step");
  const first = await world.solver.solve(make.graph, [step], world.job("a"), never);
  const before = first.get(step);
  await first[Symbol.asyncDispose]();
  await world.restart();
  await using again = await world.solver.solve(make.graph, [step], world.job("b"), never);
  assert.deepEqual({ ...again.get(step), cached: false }, before);
  assert.equal(world.ranCount("step"), 1);
});

test("an image is not pulled when its only step is cached", async () => {
  const world = await World.create();
  const make = new GraphMaker();
  const base = make.image(world, "debian");
  const step = make.exec([base], "step");
  await solveOnce(world, make, step, world.job("a"));
  // The image's own record goes, as a prune may take it.
  const record = world.records.all().find(({ description }) => description === "pulled from debian");
  assert.ok(record !== undefined);
  await world.store.commit(world.records.remove([record.id]).changes);
  await solveOnce(world, make, step, world.job("b"));
  assert.equal(world.ranCount("debian"), 1);
});

test("COPY depends on what it copies: other files of the context may change, its own must not", async () => {
  const world = await World.create();
  const make = new GraphMaker();
  const copy = make.copy(make.image(world, "debian"), make.local(), "/main.c");
  const step = make.exec([copy], "cc");
  const name = "COPY /main.c /app";
  await solveOnce(world, make, step, world.job("a", { "/main.c": "1", "/README": "1" }));
  await solveOnce(world, make, step, world.job("b", { "/main.c": "1", "/README": "2" }));
  assert.deepEqual([world.ranCount(name), world.ranCount("cc")], [1, 1]);
  const files = { "/main.c": "2", "/README": "2" };
  const wanted = evaluate(world, make.graph, step, files);
  assert.deepEqual(await solveOnce(world, make, step, world.job("c", files)), wanted);
  assert.deepEqual([world.ranCount(name), world.ranCount("cc")], [2, 2]);
  await solveOnce(world, make, step, world.job("d", { "/main.c": "1" }));
  assert.deepEqual([world.ranCount(name), world.ranCount("cc")], [2, 2]);
});

test("COPY from a stage that made the same file again is cached by content, and remembered by definition", async () => {
  const world = await World.create();
  const make = new GraphMaker();
  const source = make.copy(make.image(world, "gcc"), make.local(), "/main.c");
  const copy = make.copy(make.image(world, "debian"), source, "/app/main.c", "/dest");
  const name = "COPY /app/main.c /dest";
  await solveOnce(world, make, copy, world.job("a", { "/main.c": "1" }));
  const fresh = new GraphMaker();
  const again = fresh.copy(fresh.image(world, "gcc"), fresh.local(), "/main.c", "/app", true);
  const target = fresh.copy(fresh.image(world, "debian"), again, "/app/main.c", "/dest");
  await solveOnce(world, fresh, target, world.job("b", { "/main.c": "1" }));
  assert.deepEqual([world.ranCount("COPY /main.c /app"), world.ranCount(name)], [2, 1]);
  assert.equal(world.records.keysOf(world.records.all().find((r) => r.description === name)?.id ?? "").length, 3);
});

test("a step that must run anew does so in every build, and what follows it as well", async () => {
  const world = await World.create();
  const make = new GraphMaker();
  const anew = make.exec([make.image(world, "debian")], "anew", { ignoreCache: true });
  for (const ref of ["a", "b"]) await solveOnce(world, make, anew, world.job(ref));
  assert.equal(world.ranCount("anew"), 2);
});

test("values of proxies do not count, others do", async () => {
  const world = await World.create();
  const solve = async (env: readonly string[]): Promise<void> => {
    const make = new GraphMaker();
    const step = make.exec([make.image(world, "debian")], "step", { env });
    await solveOnce(world, make, step, world.job(env.join()));
  };
  await solve(["http_proxy=a", "A=1"]);
  await solve(["http_proxy=b", "A=1"]);
  assert.equal(world.ranCount("step"), 1);
  await solve(["http_proxy=b", "A=2"]);
  assert.equal(world.ranCount("step"), 2);
});

test("thirty builds at once run each step once, and all hear what it says", async () => {
  const world = await World.create();
  world.maxParallelism = 2;
  const make = new GraphMaker();
  const copy = make.copy(make.image(world, "debian"), make.local(), "/main.c");
  const target = make.exec([copy], "make");
  const gate = Promise.withResolvers<void>();
  world.behaviour = {
    ...world.behaviour,
    inExec: async (_op, { report }) => {
      report.log(1, Buffer.from("begin\n"));
      await gate.promise;
      report.log(1, Buffer.from("end\n"));
    },
  };
  const jobs = Array.from({ length: 30 }, (_, index) => world.job(`job ${index}`, { "/main.c": "1" }));
  const solving = jobs.map((job) => world.solver.solve(make.graph, [target], job, never));
  while (jobs.some((job) => job.progress.logOf(target) === "")) await new Promise(setImmediate);
  gate.resolve();
  const solutions = await Promise.all(solving);
  assert.deepEqual([world.ranCount("COPY /main.c /app"), world.ranCount("make")], [1, 1]);
  for (const job of jobs) assert.equal(job.progress.logOf(target), "begin\nend\n");
  assert.equal(new Set(solutions.map((solution) => solution.get(target)?.recordId)).size, 1);
  for (const solution of solutions) await solution[Symbol.asyncDispose]();
  assert.equal(world.holds, 0);
});

test("a shared step goes on when the build that began it leaves, and stops with the last one", async () => {
  const world = await World.create();
  const make = new GraphMaker();
  const copy = make.copy(make.image(world, "debian"), make.local(), "/main.c");
  const target = make.exec([copy], "make");
  const gate = Promise.withResolvers<void>();
  const running = Promise.withResolvers<AbortSignal>();
  world.behaviour = {
    ...world.behaviour,
    inExec: async (_op, _context, signal) => {
      running.resolve(signal);
      await Promise.race([gate.promise, new Promise((resolve) => signal.addEventListener("abort", resolve))]);
    },
  };
  const [first, second] = [new AbortController(), new AbortController()];
  const files = { "/main.c": "1" };
  const one = world.solver.solve(make.graph, [target], world.job("a", files), first.signal);
  const signal = await running.promise;
  const other = world.job("b", files);
  const two = world.solver.solve(make.graph, [target], other, second.signal);
  while (other.progress.vertices.get("RUN make") === undefined) await new Promise(setImmediate);
  first.abort();
  await assert.rejects(one, { kind: "Cancelled" });
  assert.equal(signal.aborted, false);
  second.abort();
  await assert.rejects(two, { kind: "Cancelled" });
  assert.equal(signal.aborted, true);
  assert.equal(other.progress.vertices.get("RUN make")?.error, "context canceled");
  assert.equal(world.holds, 0);
});

test("steps with secrets are shared in one session only", async () => {
  const world = await World.create();
  const make = new GraphMaker();
  const secret = {
    type: "secret",
    id: "token",
    target: "/t",
    env: undefined,
    required: true,
    mode: 0o400,
    uid: 0,
    gid: 0,
  };
  const target = make.exec([make.image(world, "debian")], "login", { mounts: [secret as never] });
  const gate = Promise.withResolvers<void>();
  world.behaviour = { ...world.behaviour, inExec: () => gate.promise };
  const jobs = [world.job("a", {}, "one"), world.job("b", {}, "one"), world.job("c", {}, "two")];
  const solving = jobs.map((job) => world.solver.solve(make.graph, [target], job, never));
  while (jobs.some((job) => job.progress.vertices.get("RUN login") === undefined)) await new Promise(setImmediate);
  assert.equal(world.ranCount("login"), 2);
  gate.resolve();
  for (const solution of await Promise.all(solving)) await solution[Symbol.asyncDispose]();
});

test("the first failure names its vertex, stops the others, and all have ended when solve rejects", async () => {
  const world = await World.create();
  const make = new GraphMaker();
  const base = make.image(world, "debian");
  const bad = make.exec([base], "bad");
  const slow = make.exec([base], "slow");
  const after = make.exec([make.merge(bad, slow)], "after");
  let running = 0;
  world.behaviour = {
    ...world.behaviour,
    inExec: async ({ args: [name] }, _context, signal) => {
      running++;
      try {
        if (name === "slow") await new Promise((resolve) => signal.addEventListener("abort", resolve));
        else await new Promise(setImmediate);
        await new Promise(setImmediate);
        if (name === "bad") throw new EngineError("Unknown", "exit code: 1");
      } finally {
        running--;
      }
    },
  };
  const job = world.job("a");
  await assert.rejects(world.solver.solve(make.graph, [after], job, never), (error: unknown) => {
    assert.ok(error instanceof VertexFailed);
    assert.deepEqual([error.vertex, error.message, error.kind], [bad, "exit code: 1", "Unknown"]);
    return true;
  });
  assert.equal(running, 0);
  const told = job.progress.vertices;
  assert.equal(told.get("RUN bad")?.error, "exit code: 1");
  assert.equal(told.get("RUN slow")?.error, "context canceled");
  assert.equal(told.get("RUN after"), undefined);
  assert.equal(world.holds, 0);
  world.behaviour = { ...world.behaviour, inExec: () => Promise.resolve() };
  const wanted = evaluate(world, make.graph, after, {});
  assert.deepEqual(await solveOnce(world, make, after, world.job("b")), wanted);
});

test("a vertex tells the same start in all its messages", async () => {
  const world = await World.create();
  const make = new GraphMaker();
  const target = make.exec([make.http("http://a/b")], "step");
  const job = world.job("a");
  await solveOnce(world, make, target, job);
  const starts = new Map<string, Set<bigint | undefined>>();
  for (const event of job.progress.events)
    if (event.kind === "vertex")
      starts.set(event.vertex.digest, (starts.get(event.vertex.digest) ?? new Set()).add(event.vertex.startedAt));
  assert.deepEqual(
    [...starts.values()].map((set) => set.size),
    [1, 1],
  );
});

test("no more steps run at once than allowed", async () => {
  const world = await World.create();
  world.maxParallelism = 2;
  const make = new GraphMaker();
  const base = make.image(world, "debian");
  const steps = Array.from({ length: 6 }, (_, index) => make.exec([base], `step${index}`));
  let running = 0;
  let most = 0;
  world.behaviour = {
    ...world.behaviour,
    inExec: async () => {
      most = Math.max(most, ++running);
      for (let turns = 0; turns < 3; turns++) await new Promise(setImmediate);
      running--;
    },
  };
  const solution = await world.solver.solve(make.graph, steps, world.job("a"), never);
  await solution[Symbol.asyncDispose]();
  assert.equal(most, 2);
});

test("a record whose layers are gone is dropped, and its step runs again", async () => {
  const world = await World.create();
  const make = new GraphMaker();
  const target = make.exec([make.image(world, "debian")], "step");
  await solveOnce(world, make, target, world.job("a"));
  const record = world.records.all().find(({ description }) => description === "RUN step");
  world.layers.layers.delete(record?.chain.at(-1) as never);
  const wanted = evaluate(world, make.graph, target, {});
  assert.deepEqual(await solveOnce(world, make, target, world.job("b")), wanted);
  assert.equal(world.ranCount("step"), 2);
  assert.equal(world.records.all().length, 2);
});

test("a step whose record cannot be written has failed, and the next build makes it again", async () => {
  const world = await World.create();
  const make = new GraphMaker();
  const target = make.exec([make.image(world, "debian")], "step");
  world.behaviour = {
    ...world.behaviour,
    inExec: () => {
      world.store.failure = new EngineError("Unavailable", "no space left on device");
      return Promise.resolve();
    },
  };
  await assert.rejects(world.solver.solve(make.graph, [target], world.job("a"), never), {
    message: "no space left on device",
    vertex: target,
  });
  world.store.failure = undefined;
  world.behaviour = { ...world.behaviour, inExec: () => Promise.resolve() };
  await solveOnce(world, make, target, world.job("b"));
  assert.equal(world.ranCount("step"), 2);
  assert.equal(world.holds, 0);
});

test("the quota is kept while nothing is used: the longest unused records go first, users before what they use", async () => {
  const world = await World.create();
  const make = new GraphMaker();
  const base = make.image(world, "debian");
  const old = make.exec([make.exec([base], "old1")], "old2");
  const recent = make.exec([base], "recent");
  await solveOnce(world, make, old, world.job("a"));
  await solveOnce(world, make, recent, world.job("b"));
  world.quotaBytes = 30;
  await solveOnce(world, make, recent, world.job("c"));
  // A build that found everything does not wait for it.
  while (world.layers.layers.size > 3) await new Promise(setImmediate);
  const left = world.records.all().map(({ description }) => description);
  assert.deepEqual(left.sort(), ["RUN old1", "RUN recent", "pulled from debian"]);
  assert.equal(world.layers.layers.size, 3);
});

test("a build larger than the quota goes on, and its records are dropped at its end", async () => {
  const world = await World.create();
  world.quotaBytes = 25;
  const make = new GraphMaker();
  let target = make.image(world, "debian");
  for (const name of ["a", "b", "c", "d"]) target = make.exec([target], name);
  const solution = await world.solver.solve(make.graph, [target], world.job("a"), never);
  assert.equal(world.layers.layers.size, 5);
  await solution[Symbol.asyncDispose]();
  assert.equal(world.layers.layers.size, 2);
});

test("layers of images do not count, and are not collected with their records", async () => {
  const world = await World.create();
  const make = new GraphMaker();
  const target = make.exec([make.image(world, "debian")], "step");
  const solution = await world.solver.solve(make.graph, [target], world.job("a"), never);
  const snapshot = solution.get(target)?.snapshot;
  assert.ok(snapshot?.kind === "layers");
  world.layers.imageTops = chainIdsOf(snapshot.layers).slice(-1);
  await solution[Symbol.asyncDispose]();
  world.quotaBytes = 1;
  await world.solver.cache.prune(
    { all: false, filters: new Map(), reservedBytes: 0, maxUsedBytes: 0, minFreeBytes: 0, keepDurationMs: 0 },
    never,
  );
  assert.equal(world.records.all().length, 2);
  const pruned = await world.solver.cache.prune(
    { all: true, filters: new Map(), reservedBytes: 0, maxUsedBytes: 0, minFreeBytes: 0, keepDurationMs: 0 },
    never,
  );
  assert.deepEqual(
    pruned.removed.map(({ shared, reason }) => [shared, reason]),
    [
      [true, "not in use"],
      [true, "not in use"],
    ],
  );
  assert.equal(pruned.freedBytes, 0);
  assert.equal(world.layers.layers.size, 2);
});

test("prune leaves what a running build uses", async () => {
  const world = await World.create();
  const make = new GraphMaker();
  const target = make.exec([make.image(world, "debian")], "step");
  const options = { filters: new Map(), reservedBytes: 0, maxUsedBytes: 0, minFreeBytes: 0, keepDurationMs: 0 };
  const solution = await world.solver.solve(make.graph, [target], world.job("a"), never);
  assert.deepEqual((await world.solver.cache.prune({ ...options, all: true }, never)).removed, []);
  assert.deepEqual(
    (await world.solver.cache.entries()).map(({ inUse }) => inUse),
    [true, true],
  );
  await solution[Symbol.asyncDispose]();
  const { removed, freedBytes } = await world.solver.cache.prune({ ...options, all: true }, never);
  assert.deepEqual(
    removed.map(({ description }) => description),
    ["RUN step", "pulled from debian"],
  );
  assert.equal(freedBytes, 20);
  assert.equal(world.layers.layers.size, 0);
  assert.deepEqual(await world.store.load("build_keys"), []);
});

test("check finds records whose layers are gone, and repairs them", async () => {
  const world = await World.create();
  const make = new GraphMaker();
  await solveOnce(world, make, make.exec([make.image(world, "debian")], "step"), world.job("a"));
  assert.deepEqual(await world.solver.cache.check(true), []);
  world.layers.layers.clear();
  const found = await world.solver.cache.check(true);
  assert.deepEqual(
    found.map(({ detail, repaired }) => [detail, repaired]),
    [
      ["its layers are gone", true],
      ["its layers are gone", true],
    ],
  );
  assert.deepEqual(await world.solver.cache.check(true), []);
});

test("an offered record is taken in place of running, and fetched only when it is needed", async () => {
  const source = await World.create();
  const make = new GraphMaker();
  const copy = make.copy(make.image(source, "debian"), make.local(), "/main.c");
  const target = make.exec([copy], "make");
  const files = { "/main.c": "1" };
  const built = await source.solver.solve(make.graph, [target], source.job("a", files), never);
  const exported = source.solver.cache.exportRecords(make.graph, built, "max");
  assert.equal(exported.length, 2);
  const world = await World.create();
  const again = new GraphMaker();
  const same = again.exec([again.copy(again.image(world, "debian"), again.local(), "/main.c")], "make");
  const job = world.job("b", files);
  const fetched: string[] = [];
  world.solver.cache.offer(
    job,
    exported.map((record) => ({
      ...record,
      fetch: () => {
        fetched.push(record.description);
        let layers: readonly never[] = [];
        for (const chainId of chainIdsOf(record.layers)) {
          layers = world.layers.add(layers, source.layers.layers.get(chainId)?.delta ?? {}) as readonly never[];
          world.layers.keep(layers)[Symbol.dispose]();
        }
        return Promise.resolve(world.layers.keep(record.layers));
      },
    })),
  );
  const wanted = evaluate(world, again.graph, same, files);
  assert.deepEqual(await solveOnce(world, again, same, job), wanted);
  assert.deepEqual(fetched, ["RUN make"]);
  assert.deepEqual([world.ranCount("make"), world.ranCount("debian")], [0, 0]);
  await built[Symbol.asyncDispose]();
  assert.equal(world.holds, 0);
});

test("offered layers that cannot be had are made", async () => {
  const source = await World.create();
  const make = new GraphMaker();
  const target = make.exec([make.exec([make.image(source, "debian")], "one")], "two");
  const built = await source.solver.solve(make.graph, [target], source.job("a"), never);
  const exported = source.solver.cache.exportRecords(make.graph, built, "max");
  for (const hasLayers of [true, false]) {
    const world = await World.create();
    const again = new GraphMaker();
    const same = again.exec([again.exec([again.image(world, "debian")], "one")], "two");
    const job = world.job("b");
    const fetch = () => Promise.reject(new Error("the registry is gone"));
    world.solver.cache.offer(
      job,
      exported.map((record) => ({ ...record, hasLayers, fetch })),
    );
    assert.deepEqual(await solveOnce(world, again, same, job), evaluate(world, again.graph, same, {}));
    assert.deepEqual([world.ranCount("one"), world.ranCount("two")], [1, 1]);
    assert.equal(world.holds, 0);
  }
});
