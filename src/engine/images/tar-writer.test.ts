import assert from "node:assert/strict";
import { test } from "node:test";
import { ByteSource } from "./byte-source.ts";
import { isTarHeader, readTar } from "./tar-reader.ts";
import { renderTarHeader, tarPadding } from "./tar-writer.ts";

async function read(header: Buffer): Promise<{ name: string; type: string; sizeBytes: number } | undefined> {
  const chunks = (async function* () {
    yield header;
  })();
  for await (const { name, type, sizeBytes } of readTar(new ByteSource(chunks))) return { name, type, sizeBytes };
  return undefined;
}

test("a header is read back as it was written", async () => {
  const header = renderTarHeader({ path: "blobs/sha256/ab", sizeBytes: 1_996_800, mtimeSeconds: 1_000_000_000 });
  assert.equal(header.length, 512);
  assert.ok(isTarHeader(header));
  assert.equal(header.toString("latin1", 136, 148), "07346545000\0");
  assert.deepEqual(await read(header), { name: "blobs/sha256/ab", type: "file", sizeBytes: 1_996_800 });
  const directory = renderTarHeader({ path: "blobs/", sizeBytes: 0, mtimeSeconds: -5 });
  assert.deepEqual(await read(directory), { name: "blobs/", type: "directory", sizeBytes: 0 });
});

test("a size beyond eleven octal digits is in an extended header", async () => {
  const sizeBytes = 8 ** 11;
  const header = renderTarHeader({ path: `blobs/sha256/${"f".repeat(64)}`, sizeBytes, mtimeSeconds: 0 });
  assert.equal(header.length, 3 * 512);
  assert.match(header.toString("latin1", 512), /^19 size=8589934592\n/);
  assert.deepEqual(await read(header), { name: `blobs/sha256/${"f".repeat(64)}`, type: "file", sizeBytes });
});

test("data is filled up to whole blocks", () => {
  assert.deepEqual(
    [0, 1, 511, 512, 513].map((size) => tarPadding(size).length),
    [0, 511, 1, 0, 511],
  );
});
