// Random graphs, builds at once, failures, hang-ups, prunes and a small quota: whatever is solved has what a naive evaluation of its
// graph has, and when all is over nothing is held, nothing runs, and no layer is there that nobody needs.

import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import * as fc from "fast-check";
import type { Digest } from "../../../base/digest.ts";
import { EngineError, isEngineError } from "../../../base/errors.ts";
import { GraphMaker, type Tree, World, evaluate, pause } from "./fixture.ts";
import { VertexFailed } from "./index.ts";

interface Step {
  readonly kind: "exec" | "copy" | "merge" | "bind";
  readonly base: number;
  readonly other: number;
  readonly name: number;
  readonly ignoreCache: boolean;
}

const step = fc.record({
  kind: fc.constantFrom("exec", "copy", "merge", "bind"),
  base: fc.nat(20),
  other: fc.nat(20),
  name: fc.nat(4),
  ignoreCache: fc.boolean(),
}) as fc.Arbitrary<Step>;

const build = fc.record({
  steps: fc.array(step, { minLength: 1, maxLength: 7 }),
  files: fc.nat(2),
  abortAfterMs: fc.option(fc.nat(6), { nil: undefined }),
  failsAt: fc.option(fc.nat(4), { nil: undefined }),
  startAfterMs: fc.nat(4),
});

const fileSets: readonly Tree[] = [
  { "/a": "1", "/b": "1" },
  { "/a": "2", "/b": "1" },
  { "/a": "1", "/b": "2" },
];

function makeGraph(world: World, steps: readonly Step[]): { readonly make: GraphMaker; readonly target: Digest } {
  const make = new GraphMaker();
  const stages: Digest[] = [make.image(world, "one"), make.image(world, "two", [{ "/a": "image" }, { "/c": "3" }])];
  const sources = [make.local(), make.http("http://host/file")];
  for (const { kind, base, other, name, ignoreCache } of steps) {
    const under = stages[base % stages.length] as Digest;
    const all = [...stages, ...sources];
    const from = all[other % all.length] as Digest;
    const path = ["/a", "/b", "/c", "/file", "/"][name] as string;
    if (kind === "exec") stages.push(make.exec([under], name === 4 ? "true" : `step${name}`, { ignoreCache }));
    else if (kind === "bind") stages.push(make.exec([under, from], `bind${name}`));
    else if (kind === "copy") stages.push(make.copy(under, from, path, `/copied${name}`));
    else stages.push(make.merge(under, stages[other % stages.length] as Digest));
  }
  return { make, target: stages.at(-1) as Digest };
}

test("what is solved is what a naive evaluation has, whatever else goes on", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(build, { minLength: 1, maxLength: 5 }),
      fc.record({
        parallel: fc.nat(3),
        quota: fc.constantFrom(15, 60, 1e9),
        prunes: fc.array(fc.nat(5), { maxLength: 3 }),
      }),
      async (builds, { parallel, quota, prunes }) => {
        const world = await World.create();
        world.maxParallelism = parallel;
        world.quotaBytes = quota;
        const failing = new Set<string>();
        world.behaviour = {
          inExec: async ({ args: [name = ""] }, { job }, signal) => {
            await pause(name.length % 3, signal);
            if (failing.has(`${job.ref} ${name}`)) throw new EngineError("Unknown", "exit code: 1");
          },
          inSource: (_op, signal) => pause(1, signal),
          sizeOf: () => 10,
        };
        const solving = builds.map(async ({ steps, files, abortAfterMs, failsAt, startAfterMs }, index) => {
          const { make, target } = makeGraph(world, steps);
          const tree = fileSets[files] as Tree;
          const job = world.job(`job ${index}`, tree);
          if (failsAt !== undefined) failing.add(`${job.ref} step${failsAt}`);
          const never = new AbortController();
          await pause(startAfterMs, never.signal);
          const stop = new AbortController();
          const timer = abortAfterMs === undefined ? undefined : setTimeout(() => stop.abort(), abortAfterMs);
          try {
            await using solution = await world.solver.solve(make.graph, [target], job, stop.signal);
            await turn();
            const solved = solution.get(target);
            assert.ok(solved !== undefined);
            const wanted = evaluate(world, make.graph, target, tree);
            assert.deepEqual(world.treeOf(solved.snapshot), wanted);
          } catch (error) {
            if (error instanceof VertexFailed) assert.equal(error.message, "exit code: 1");
            else if (!isEngineError(error, "Cancelled") || !stop.signal.aborted) throw error;
          } finally {
            clearTimeout(timer);
          }
          for (const { kind, ...event } of job.progress.events)
            if (kind === "vertex" && "vertex" in event && typeof event.vertex === "object")
              assert.notEqual(event.vertex.startedAt, undefined);
          for (const told of job.progress.vertices.values()) assert.notEqual(told.completedAt, undefined, told.name);
        });
        const pruning = prunes.map(async (afterMs) => {
          await pause(afterMs, new AbortController().signal);
          const bounds = { reservedBytes: 0, maxUsedBytes: 0, minFreeBytes: 0, keepDurationMs: 0 };
          await world.solver.cache.prune({ all: true, filters: new Map(), ...bounds }, new AbortController().signal);
        });
        await Promise.all([...solving, ...pruning]);
        assert.equal(world.holds, 0);
        assert.ok(world.layers.layers.size * 10 <= quota);
        const needed = world.layers.neededBy("builds");
        assert.deepEqual(
          [...world.layers.layers.keys()].filter((chainId) => !needed.has(chainId)),
          [],
        );
        assert.deepEqual(await world.solver.cache.check(false), []);
        const rows = await world.store.load("build_records");
        assert.equal(rows.length, world.records.size);
        assert.equal((await world.store.load("build_keys")).length, world.records.keyCount);
      },
    ),
    { numRuns: Number(process.env["GANTRY_RANDOM_RUNS"] ?? 150) },
  );
});
