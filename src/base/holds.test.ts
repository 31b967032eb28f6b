import assert from "node:assert/strict";
import { test } from "node:test";
import { Holds } from "./holds.ts";

test("whoever waits goes on when the last hold is disposed, and a second disposal counts for nothing", async () => {
  const holds = new Holds<string>();
  await holds.released("free");
  const [first, second] = [holds.hold("a"), holds.hold("a")];
  let gone = false;
  const waiting = (async () => {
    await holds.released("a");
    gone = true;
  })();
  first[Symbol.dispose]();
  first[Symbol.dispose]();
  await Promise.resolve();
  assert.deepEqual([holds.isHeld("a"), holds.isHeld("b"), gone], [true, false, false]);
  second[Symbol.dispose]();
  await waiting;
  assert.equal(holds.isHeld("a"), false);
});
