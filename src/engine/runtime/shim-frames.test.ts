import assert from "node:assert/strict";
import { test } from "node:test";
import { isEngineError } from "../../base/errors.ts";
import { FrameReader, parseFrame, renderFrame } from "./shim-frames.ts";

test("a frame is its body's length in big-endian and NUL-terminated key=value strings; undefined values are left out", () => {
  const frame = renderFrame([
    ["op", "run"],
    ["n", 7],
    ["none", undefined],
    ["empty", ""],
  ]);
  assert.deepEqual([...frame.subarray(0, 4)], [0, 0, 0, 18]);
  assert.equal(frame.toString("utf8", 4), "op=run\0n=7\0empty=\0");
});

test("a value with NUL is refused, not cut", () => {
  assert.throws(
    () => renderFrame([["a", "x\0b=y"]]),
    (error) => isEngineError(error, "InvalidParameter"),
  );
});

test("the first value and all values of a key are found; a value may contain =", () => {
  const frame = parseFrame(Buffer.from("exec=a 1 -\0x=1=2\0exec=b 2 0\0"));
  assert.equal(frame.get("exec"), "a 1 -");
  assert.deepEqual(frame.all("exec"), ["a 1 -", "b 2 0"]);
  assert.equal(frame.get("x"), "1=2");
  assert.equal(frame.get("absent"), undefined);
});

test("malformed bodies and absurd lengths are DataLoss", () => {
  for (const body of ["", "op=run", "op\0", "=x\0"])
    assert.throws(
      () => parseFrame(Buffer.from(body)),
      (error) => isEngineError(error, "DataLoss"),
      JSON.stringify(body),
    );
  for (const header of [
    [0, 0, 0, 0],
    [255, 0, 0, 0],
  ])
    assert.throws(
      () => new FrameReader().push(Buffer.from(header)),
      (error) => isEngineError(error, "DataLoss"),
    );
});

test("frames are cut out of a stream in any pieces, in order", () => {
  const texts = ["1", "two", "ü".repeat(300), ""];
  const stream = Buffer.concat(texts.map((text) => renderFrame([["t", text]])));
  for (const size of [1, 2, 3, 5, 7, 64, stream.length]) {
    const reader = new FrameReader();
    const got: (string | undefined)[] = [];
    for (let at = 0; at < stream.length; at += size)
      for (const frame of reader.push(stream.subarray(at, at + size))) got.push(frame.get("t"));
    assert.deepEqual(got, texts, `pieces of ${size}`);
  }
});
