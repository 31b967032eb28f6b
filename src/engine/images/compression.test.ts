import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { test } from "node:test";
import { constants, gzipSync, zstdCompressSync } from "node:zlib";
import { isEngineError } from "../../base/errors.ts";
import { type Compression, detectCompression, openCompressed } from "./compression.ts";

// Something that compresses, and that no single chunk holds.
const plain = Buffer.concat(Array.from({ length: 64 }, () => Buffer.concat([randomBytes(1024), Buffer.alloc(8192)])));

function compressWith(program: string, ...args: readonly string[]): Buffer {
  const { status, stdout, stderr } = spawnSync(program, args, { input: plain, maxBuffer: 1 << 28 });
  if (status !== 0) throw new Error(`${program}: ${stderr.toString()}`);
  return stdout;
}

const compressed: Readonly<Record<Compression, Buffer>> = {
  none: plain,
  gzip: gzipSync(plain),
  zstd: zstdCompressSync(plain, { params: { [constants.ZSTD_c_checksumFlag]: 1 } }),
  xz: compressWith("xz", "-0"),
  bzip2: compressWith("bzip2"),
};

async function open(bytes: Uint8Array, chunkBytes = 10_000): Promise<Buffer> {
  const chunks = (async function* () {
    for (let at = 0; at < bytes.length; at += chunkBytes) yield bytes.subarray(at, at + chunkBytes);
  })();
  const out: Uint8Array[] = [];
  for await (const chunk of await openCompressed(chunks)) out.push(chunk);
  return Buffer.concat(out);
}

for (const [compression, bytes] of Object.entries(compressed)) {
  test(`${compression} is recognised and taken off`, async () => {
    assert.equal(detectCompression(bytes), compression);
    assert.ok(plain.equals(await open(bytes)));
    assert.ok(plain.equals(await open(bytes, 501)));
  });
}

for (const compression of ["gzip", "zstd", "xz", "bzip2"] as const) {
  const bytes = compressed[compression];
  test(`${compression} that is cut off is an unexpected EOF`, async () => {
    await assert.rejects(
      open(bytes.subarray(0, bytes.length - 100)),
      (error) => isEngineError(error, "InvalidParameter") && error.message === `${compression}: unexpected EOF`,
    );
  });

  test(`${compression} that is damaged is refused`, async () => {
    const damaged = Buffer.from(bytes);
    damaged.fill(0xff, bytes.length >> 1, (bytes.length >> 1) + 64);
    await assert.rejects(
      open(damaged),
      (error) => isEngineError(error, "InvalidParameter") && error.message.startsWith(`${compression}: `),
    );
  });
}

test("an xz archive whose window needs too much memory is refused", async () => {
  const huge = compressWith("xz", "--lzma2=preset=0,dict=512MiB");
  await assert.rejects(open(huge), { message: "xz: Memory usage limit reached" });
});
