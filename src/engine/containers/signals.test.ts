import assert from "node:assert/strict";
import { test } from "node:test";
import { parseSignal } from "./signals.ts";

test("names with and without SIG, in any case, numbers, and real-time signals", () => {
  const rows: readonly [string, number][] = [
    ["SIGTERM", 15],
    ["term", 15],
    ["9", 9],
    ["WINCH", 28],
    ["RTMIN", 34],
    ["SIGRTMIN+3", 37],
    ["RTMAX-14", 50],
    ["64", 64],
  ];
  for (const [text, number] of rows) assert.equal(parseSignal(text), number, text);
});

test("anything else is refused in dockerd's words", () => {
  for (const text of ["FOO", "0", "", "SIG", "RTMIN+31", "RTMAX+1", "9x", "1.5"]) {
    assert.throws(() => parseSignal(text), { kind: "InvalidParameter", message: `invalid signal: ${text}` });
  }
  for (const number of [-1, 65, 99]) {
    const message = `the linux daemon does not support signal ${number}`;
    assert.throws(() => parseSignal(String(number)), { kind: "InvalidParameter", message });
  }
});
