import assert from "node:assert/strict";
import { test } from "node:test";
import type { Digest } from "../../../base/digest.ts";
import { GraphMaker, World } from "./fixture.ts";

const never = new AbortController().signal;

async function build(world: World, make: GraphMaker, target: Digest, files = {}): Promise<void> {
  await using _ = await world.solver.solve(make.graph, [target], world.job("build", files), never);
}

/** By the vertices' names, in the graph's order. */
function known(world: World, make: GraphMaker): readonly (readonly [string, boolean | undefined])[] {
  const states = world.solver.cache.known(make.graph, undefined);
  return [...states].map(([digest, state]) => [make.vertices.get(digest)?.name ?? "", state] as const);
}

test("a look-up tells steps that are cached from those that would run, and does nothing", async () => {
  const world = await World.create();
  const make = new GraphMaker();
  const base = make.image(world, "debian");
  const first = make.exec([base], "first");
  make.exec([first], "second");
  assert.deepEqual(known(world, make), [
    ["RUN first", false],
    ["RUN second", false],
  ]);
  assert.equal(world.ran.size, 0);
  await build(world, make, first);
  const rows = await world.store.load("build_records");
  assert.deepEqual(known(world, make), [
    ["RUN first", true],
    ["RUN second", false],
  ]);
  assert.deepEqual(await world.store.load("build_records"), rows);
  assert.deepEqual(Object.fromEntries(world.ran), { debian: 1, first: 1 });
});

test("where only content tells, nothing is said; a step that must run anew runs, and so does what follows", async () => {
  const world = await World.create();
  const make = new GraphMaker();
  const base = make.image(world, "debian");
  const copy = make.copy(base, make.local(), "/main.c");
  const cc = make.exec([copy], "cc");
  const anew = make.exec([base], "anew", { ignoreCache: true });
  const after = make.exec([anew], "after");
  for (const target of [cc, after]) await build(world, make, target, { "/main.c": "1" });
  assert.deepEqual(known(world, make), [
    ["[internal] load build context", undefined],
    ["COPY /main.c /app", undefined],
    ["RUN cc", undefined],
    ["RUN anew", false],
    ["RUN after", false],
  ]);
});

test("a record whose layers are gone is none", async () => {
  const world = await World.create();
  const make = new GraphMaker();
  const step = make.exec([make.image(world, "debian")], "step");
  await build(world, make, step);
  world.layers.layers.clear();
  assert.deepEqual(known(world, make), [["RUN step", false]]);
});
