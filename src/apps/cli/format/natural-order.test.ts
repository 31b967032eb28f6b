import assert from "node:assert/strict";
import { test } from "node:test";
import { compareNatural } from "./natural-order.ts";

test("numbers count by their value, other characters by their code", () => {
  const sorted = ["", "N1", "n", "n1", "n01", "n2", "n10", "n10a", "n[", "x-2", "x-10", "x.1", "ä"];
  const shuffled = sorted.toReversed();
  const result = shuffled.sort(compareNatural).map((name) => name.replace("n01", "n1"));
  assert.deepEqual(
    result,
    sorted.map((name) => name.replace("n01", "n1")),
  );
});

test("a host address comes before one in brackets", () => {
  assert.deepEqual(["80/tcp -> [::]:80", "80/tcp -> 0.0.0.0:80", "9/tcp -> [::]:9"].sort(compareNatural), [
    "9/tcp -> [::]:9",
    "80/tcp -> 0.0.0.0:80",
    "80/tcp -> [::]:80",
  ]);
});
