import assert from "node:assert/strict";
import { test } from "node:test";
import { OutputReader } from "./output.ts";

function frame(stream: number, text: string): Buffer {
  const header = Buffer.alloc(8);
  header[0] = stream;
  header.writeUInt32BE(Buffer.byteLength(text), 4);
  return Buffer.concat([header, Buffer.from(text)]);
}

test("frames are taken apart whatever pieces they come in", () => {
  const all = Buffer.concat([frame(1, "out"), frame(2, ""), frame(2, "err\n"), frame(1, "more")]);
  for (let size = 1; size <= all.length; size++) {
    const got: Record<number, string> = { 1: "", 2: "" };
    const reader = new OutputReader((stream, data) => {
      got[stream] += Buffer.from(data).toString();
    });
    for (let at = 0; at < all.length; at += size) reader.push(all.subarray(at, at + size));
    assert.deepEqual(got, { 1: "outmore", 2: "err\n" });
  }
});
