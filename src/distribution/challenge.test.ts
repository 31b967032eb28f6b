import assert from "node:assert/strict";
import { test } from "node:test";
import { assert as check, constantFrom, property, string } from "fast-check";
import { parseChallenges } from "./challenge.ts";

function read(header: string): readonly unknown[] {
  return parseChallenges(header).map(({ scheme, parameters }) => [scheme, { ...parameters }]);
}

test("a challenge has a scheme and parameters, quoted or not, in any case", () => {
  assert.deepEqual(read(`Bearer realm="https://a/token?x=1,2",Service=reg, scope="repository:a/b:pull,push"`), [
    ["bearer", { realm: "https://a/token?x=1,2", service: "reg", scope: "repository:a/b:pull,push" }],
  ]);
  assert.deepEqual(read(`BASIC Realm = "a \\"b\\" \\\\c"`), [["basic", { realm: `a "b" \\c` }]]);
  assert.deepEqual(read("Bearer realm=https://a/token,service=b"), [
    ["bearer", { realm: "https://a/token", service: "b" }],
  ]);
});

test("several challenges are kept apart", () => {
  assert.deepEqual(read(`Negotiate, Basic realm="x", Bearer realm="y", error="invalid_token"`), [
    ["negotiate", {}],
    ["basic", { realm: "x" }],
    ["bearer", { realm: "y", error: "invalid_token" }],
  ]);
});

test("the first of two equal names counts, and no name reaches a prototype", () => {
  assert.deepEqual(read(`Bearer realm="a", realm="b", __proto__="c"`), [
    ["bearer", JSON.parse(`{"realm":"a","__proto__":"c"}`)],
  ]);
});

test("whatever comes in, reading it ends and throws nothing", () => {
  const characters = `"\\=, \tBearer;realm\u0000é`.split("");
  check(
    property(string({ unit: constantFrom(...characters) }), (text) => {
      assert.ok(parseChallenges(text).length <= 16);
    }),
    { numRuns: 2000 },
  );
  assert.deepEqual(read(`"unterminated`), [["unterminated", {}]]);
});

test("a string that never ends takes no longer than others of its length", () => {
  const millisecondsOf = (header: string): number => {
    const start = performance.now();
    parseChallenges(header);
    return performance.now() - start;
  };
  const quotes = '\\"'.repeat(8000);
  const terminated = millisecondsOf(`Bearer realm="${quotes}"`);
  // The square of the length is a second.
  assert.ok(millisecondsOf(`Bearer "${quotes}`) < 100 + 10 * terminated);
});
