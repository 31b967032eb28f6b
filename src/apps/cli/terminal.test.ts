// Detach keys: what they are, and that looking for them never loses or reorders a byte.

import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { DetachFilter, parseDetachKeys } from "./terminal.ts";

test("key sequences are read as docker reads them", () => {
  assert.deepEqual([...parseDetachKeys("ctrl-p,ctrl-q")], [16, 17]);
  assert.deepEqual([...parseDetachKeys("a,ctrl-@,ctrl-[,ctrl-_,Z")], [97, 0, 27, 31, 90]);
  for (const text of ["bogus", "ctrl-", "ctrl-1", "", "ctrl-p,"])
    assert.throws(() => parseDetachKeys(text), /Unknown character/);
});

test("the sequence detaches, and the keys of a false start are passed on", () => {
  const filter = new DetachFilter(parseDetachKeys("ctrl-p,ctrl-q"));
  assert.deepEqual(filter.feed(Buffer.from("a\x10")), { bytes: Buffer.from("a"), detached: false });
  assert.deepEqual(filter.feed(Buffer.from("b")), { bytes: Buffer.from("\x10b"), detached: false });
  assert.deepEqual(filter.feed(Buffer.from("\x10\x10\x11rest")), { bytes: Buffer.from("\x10"), detached: true });
});

test("without the sequence every byte arrives in order", () => {
  fc.assert(
    fc.property(fc.array(fc.array(fc.constantFrom(16, 17, 97), { maxLength: 6 }), { maxLength: 8 }), (chunks) => {
      const typed = chunks.flat();
      const filter = new DetachFilter(Buffer.from([16, 17]));
      const seen: number[] = [];
      for (const chunk of chunks) {
        const { bytes, detached } = filter.feed(Buffer.from(chunk));
        seen.push(...bytes);
        if (detached) {
          const at = typed.findIndex((byte, index) => byte === 16 && typed[index + 1] === 17);
          assert.deepEqual(seen, typed.slice(0, at));
          return;
        }
      }
      const held = typed.at(-1) === 16 ? 1 : 0;
      assert.deepEqual(seen, typed.slice(0, typed.length - held));
    }),
  );
});
