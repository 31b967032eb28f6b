import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { compileFilter, encodeFilter, returns } from "./bpf.ts";
import type { Decision } from "./bpf.ts";
import { runProgram } from "./interpreter.ts";

function evaluate(decision: Decision, args: readonly bigint[]): number {
  if ("returns" in decision) return decision.returns;
  const mask = decision.width === 32 ? 0xffff_ffffn : 0xffff_ffff_ffff_ffffn;
  const value = (args[decision.argument] ?? 0n) & mask;
  const wanted = decision.value & mask;
  const hit = decision.test === "equals" ? value === wanted : (value & wanted) !== 0n;
  return evaluate(hit ? decision.yes : decision.no, args);
}

const word = fc.oneof(
  fc.bigInt(0n, 0xffff_ffff_ffff_ffffn),
  fc.constantFrom(0n, 1n, 0x8000_0000n, 0xffff_ffffn, 0x1_0000_0000n, 0x7e02_0000n, 0xffff_ffff_ffff_ffffn),
);
const ret: fc.Arbitrary<Decision> = fc.integer({ min: 0, max: 40 }).map((code) => ({ returns: returns.errno(code) }));
const { decision } = fc.letrec<{ decision: Decision }>((tie) => ({
  decision: fc.oneof(
    { depthSize: "small", withCrossShrink: true },
    ret,
    fc.record({
      argument: fc.integer({ min: 0, max: 5 }),
      width: fc.constantFrom(32 as const, 64 as const),
      test: fc.constantFrom("equals" as const, "anyBitOf" as const),
      value: word,
      yes: tie("decision"),
      no: tie("decision"),
    }),
  ),
}));

test("a compiled program answers what its decisions say, for any number, architecture and arguments", () => {
  const table = fc
    .array(fc.tuple(fc.integer({ min: 0, max: 600 }), decision), { maxLength: 60 })
    .map((entries) => new Map(entries));
  fc.assert(
    fc.property(
      table,
      table,
      ret,
      fc.array(
        fc.tuple(
          fc.oneof(fc.integer({ min: 0, max: 620 }), fc.constant(0x4000_0001)),
          fc.integer({ min: 1, max: 3 }),
          fc.array(word, { minLength: 6, maxLength: 6 }),
        ),
        { minLength: 1, maxLength: 30 },
      ),
      (one, two, otherwise, calls) => {
        const code = compileFilter([
          { audit: 1, decisions: one, otherwise },
          { audit: 2, decisions: two, otherwise },
        ]);
        for (const [number, audit, args] of calls) {
          const expected =
            audit === 3 ? returns.killProcess : evaluate((audit === 1 ? one : two).get(number) ?? otherwise, args);
          assert.equal(runProgram(code, { number, audit, args }), expected);
        }
      },
    ),
    { numRuns: 300 },
  );
});

test("jumps over more than 255 instructions arrive", () => {
  const decisions = new Map(Array.from({ length: 900 }, (_, n) => [n, { returns: returns.errno(n % 300) }] as const));
  const code = compileFilter([{ audit: 7, decisions, otherwise: { returns: returns.allow } }]);
  const args = [0n, 0n, 0n, 0n, 0n, 0n];
  for (let number = 0; number < 900; number++) {
    assert.equal(runProgram(code, { number, audit: 7, args }), returns.errno(number % 300));
  }
  assert.equal(runProgram(code, { number: 900, audit: 7, args }), returns.allow);
  assert.equal(runProgram(code, { number: 5, audit: 8, args }), returns.killProcess);
});

test("a program that the kernel would refuse for its length is refused", () => {
  const decisions = new Map(Array.from({ length: 3000 }, (_, n) => [n, { returns: returns.errno(n) }] as const));
  assert.throws(() => compileFilter([{ audit: 7, decisions, otherwise: { returns: 0 } }]), RangeError);
});

test("instructions are written as struct sock_filter, little-endian", () => {
  assert.equal(encodeFilter([{ code: 0x15, jt: 1, jf: 2, k: 0xc000_003e }]).toString("hex"), "150001023e0000c0");
});
