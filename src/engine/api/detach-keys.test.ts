import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { isEngineError } from "../../base/errors.ts";
import { DetachScanner, parseDetachKeys } from "./detach-keys.ts";

test("keys are single characters and ctrl-x", () => {
  assert.deepEqual([...parseDetachKeys("")], [16, 17]);
  assert.deepEqual(
    [...parseDetachKeys("a,ctrl-a,ctrl-z,ctrl-@,ctrl-[,ctrl-\\,ctrl-],ctrl-^,ctrl-_,DEL")],
    [97, 1, 26, 0, 27, 28, 29, 30, 31, 127],
  );
});

test("other keys are refused by name", () => {
  for (const text of ["zz", "ctrl-", "ctrl-1", "ctrl-A", "a,,b", ",", "é", "ctrl-ab"]) {
    assert.throws(
      () => parseDetachKeys(text),
      (error) => isEngineError(error, "InvalidParameter") && error.message === `Invalid detach keys (${text}) provided`,
    );
  }
});

function feed(keys: string, chunks: readonly Buffer[]): { forwarded: string; detached: boolean } {
  const scanner = new DetachScanner(Buffer.from(keys, "latin1"));
  let forwarded = "";
  for (const chunk of chunks) {
    const scanned = scanner.scan(chunk);
    forwarded += scanned.forward.toString("latin1");
    if (scanned.detached) return { forwarded, detached: true };
  }
  return { forwarded, detached: false };
}

test("the sequence is found however the bytes are cut, and everything before it passes", () => {
  fc.assert(
    fc.property(
      fc.string({ unit: fc.constantFrom("a", "b"), minLength: 1, maxLength: 4 }),
      fc.string({ unit: fc.constantFrom("a", "b", "c"), maxLength: 30 }),
      fc.array(fc.nat(30), { maxLength: 6 }),
      (keys, typed, cuts) => {
        const places = [0, ...cuts.map((cut) => Math.min(cut, typed.length)).sort((a, b) => a - b), typed.length];
        const chunks = places.slice(1).map((end, i) => Buffer.from(typed.slice(places[i], end), "latin1"));
        const at = typed.indexOf(keys);
        const result = feed(keys, chunks);
        assert.equal(result.detached, at >= 0);
        if (at >= 0) assert.equal(result.forwarded, typed.slice(0, at));
        else assert.ok(typed.startsWith(result.forwarded) && typed.length - result.forwarded.length < keys.length);
      },
    ),
    { numRuns: 5_000 },
  );
});

test("a key that starts the sequence again is not lost", () => {
  assert.deepEqual(feed("\u0010\u0011", [Buffer.from([16]), Buffer.from([16]), Buffer.from([17])]), {
    forwarded: "\u0010",
    detached: true,
  });
});
