// The chunked transfer coding gives back what was sent, however the bytes are cut.

import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { ChunkedDecoder } from "./chunked.ts";

function decode(pieces: readonly Buffer[]): { readonly text: string; readonly isDone: boolean } {
  const decoder = new ChunkedDecoder();
  const out = pieces.flatMap((piece) => decoder.push(piece));
  return { text: Buffer.concat(out).toString("latin1"), isDone: decoder.isDone };
}

test("chunks arrive whole however the bytes are cut", () => {
  const chunks = fc.array(fc.string({ minLength: 1, maxLength: 40, unit: "binary-ascii" }));
  fc.assert(
    fc.property(chunks, fc.integer({ min: 1, max: 9 }), fc.boolean(), (list, step, extras) => {
      const encoded = list.map((text) => `${text.length.toString(16)}${extras ? ";a=b" : ""}\r\n${text}\r\n`).join("");
      const bytes = Buffer.from(`${encoded}0\r\n${extras ? "Trailer: x\r\n" : ""}\r\n`, "latin1");
      const pieces: Buffer[] = [];
      for (let at = 0; at < bytes.length; at += step) pieces.push(bytes.subarray(at, at + step));
      assert.deepEqual(decode(pieces), { text: list.join(""), isDone: true });
      assert.equal(decode([bytes.subarray(0, -1)]).isDone, false);
    }),
  );
});

test("what is no chunked coding is an error", () => {
  for (const text of ["x\r\n", "\r\n", "3\r\nabcd\r\n", `${"f".repeat(13)}\r\n`, `1;${"x".repeat(70_000)}`])
    assert.throws(() => decode([Buffer.from(text)]), /malformed chunked encoding/, text.slice(0, 20));
});
