// The demultiplexer gives back what was framed, however the bytes are cut.

import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { StdcopyDemuxer } from "./stdcopy.ts";

function frame(stream: number, payload: Buffer): Buffer {
  const header = Buffer.alloc(8);
  header.writeUInt8(stream, 0);
  header.writeUInt32BE(payload.length, 4);
  return Buffer.concat([header, payload]);
}

test("frames arrive on their streams in order however the bytes are cut", () => {
  const frames = fc.array(fc.tuple(fc.constantFrom(0, 1, 2), fc.uint8Array({ maxLength: 40 })), { maxLength: 12 });
  fc.assert(
    fc.property(frames, fc.array(fc.integer({ min: 1, max: 20 }), { minLength: 1 }), (list, cuts) => {
      const bytes = Buffer.concat(list.map(([stream, payload]) => frame(stream, Buffer.from(payload))));
      const seen: Record<1 | 2, Buffer[]> = { 1: [], 2: [] };
      const demuxer = new StdcopyDemuxer((stream, chunk) => seen[stream].push(Buffer.from(chunk)));
      for (let offset = 0, turn = 0; offset < bytes.length; turn++) {
        const size = cuts[turn % cuts.length] ?? 1;
        demuxer.push(bytes.subarray(offset, offset + size));
        offset += size;
      }
      const expected = (wanted: readonly number[]): Buffer =>
        Buffer.concat(list.filter(([stream]) => wanted.includes(stream)).map(([, payload]) => Buffer.from(payload)));
      assert.deepEqual(Buffer.concat(seen[1]), expected([0, 1]));
      assert.deepEqual(Buffer.concat(seen[2]), expected([2]));
      assert.ok(demuxer.isComplete());
    }),
  );
});

test("an error frame of the daemon and an unknown stream are errors", () => {
  const demuxer = new StdcopyDemuxer(() => undefined);
  assert.throws(() => demuxer.push(frame(3, Buffer.from("disk full"))), {
    message: "error from daemon in stream: disk full",
  });
  assert.throws(() => new StdcopyDemuxer(() => undefined).push(frame(9, Buffer.from("x"))), {
    message: "Unrecognized input header: 9",
  });
});

test("a stream that ends inside a frame is incomplete", () => {
  const demuxer = new StdcopyDemuxer(() => undefined);
  demuxer.push(frame(1, Buffer.from("abc")).subarray(0, 9));
  assert.equal(demuxer.isComplete(), false);
});
