import assert from "node:assert/strict";
import { test } from "node:test";
import { type ChainId, type DiffId } from "../../base/digest.ts";
import type { Layer } from "./records.ts";
import { findUnneeded } from "./unneeded.ts";

function layersOf(parents: Readonly<Record<string, string | undefined>>): ReadonlyMap<ChainId, Layer> {
  return new Map(
    Object.entries(parents).map(([name, parent], dir) => [
      name as ChainId,
      {
        chainId: name as ChainId,
        parent: parent as ChainId | undefined,
        diffId: `sha256:${name}` as DiffId,
        dir,
        sizeBytes: 1,
        tarBytes: 1,
      },
    ]),
  );
}

test("a layer stays with whatever lies on it, and goes before what it lies on", () => {
  const layers = layersOf({ a: undefined, b: "a", c: "b", d: "c", x: "a", y: "x", z: undefined });
  const unneeded = (...tops: readonly string[]): readonly string[] =>
    findUnneeded(layers, tops as readonly ChainId[]).map(({ chainId }) => chainId);
  assert.deepEqual(unneeded("d", "y", "z"), []);
  assert.deepEqual(unneeded("c"), ["d", "y", "x", "z"]);
  assert.deepEqual(unneeded("y", "y", "gone"), ["d", "c", "b", "z"]);
  assert.deepEqual(unneeded().slice(0, 2), ["d", "c"]);
  assert.deepEqual(new Set(unneeded()), new Set(layers.keys()));
});

test("a layer whose parent's row is gone is in nobody's way", () => {
  const layers = layersOf({ b: "gone", c: "b" });
  assert.deepEqual(
    findUnneeded(layers, []).map(({ chainId }) => chainId),
    ["c", "b"],
  );
});
