import assert from "node:assert/strict";
import { test } from "node:test";
import { gzipSync } from "node:zlib";
import { openBounded } from "./inflation.ts";

const limits = { freeBytes: 1 << 20, maxRatio: 100 };

async function sizeOf(bytes: Buffer): Promise<number> {
  let size = 0;
  const chunks = async function* (): AsyncGenerator<Uint8Array> {
    for (let at = 0; at < bytes.length; at += 1000) yield bytes.subarray(at, at + 1000);
  };
  for await (const chunk of await openBounded(chunks(), limits)) size += chunk.length;
  return size;
}

test("a small archive may become whatever it wants, a large one a hundred times its size", async () => {
  assert.equal(await sizeOf(gzipSync(Buffer.alloc(1 << 20))), 1 << 20);
  await assert.rejects(sizeOf(gzipSync(Buffer.alloc(8 << 20))), /more than 100 times larger/);
});

test("what is not compressed has no bound", async () => {
  assert.equal(await sizeOf(Buffer.alloc(4 << 20)), 4 << 20);
});
