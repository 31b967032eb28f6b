import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { readArchive } from "../../../../test/support/read-archive.ts";
import { directory, file, tarOf } from "../../../../test/support/tar.ts";
import { setTarTimes } from "./tar-times.ts";

async function* pieces(bytes: Buffer, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

async function changed(tar: Buffer, size: number): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  for await (const part of setTarTimes(pieces(tar, size), 1_700_000_000)) parts.push(Buffer.from(part));
  return Buffer.concat(parts);
}

describe("times of a tar", () => {
  const long = "x".repeat(90);
  const tar = tarOf(
    directory("d/"),
    { ...file("d/a", "hello"), pax: { mtime: "1.5", "SCHILY.xattr.user.a": "v" } },
    { ...file("d/b", "b".repeat(2000)), pax: { mtime: "2.5" } },
    file(`d/${long}`, ""),
  );

  it("are all the same one, and nothing else changes, however the bytes come", async () => {
    const whole = await changed(tar, tar.length);
    for (const size of [1, 511, 513]) assert.deepEqual(await changed(tar, size), whole);
    const tree = readArchive(whole);
    assert.deepEqual([...new Set(tree.times.values())], [1_700_000_000]);
    assert.deepEqual(tree.files.get("d/b")?.toString(), "b".repeat(2000));
    assert.ok(whole.includes("SCHILY.xattr.user.a=v"));
    assert.ok(!whole.includes("mtime="));
    assert.deepEqual(await changed(whole, 4096), whole);
  });

  it("a tar that is cut off is an error", async () => {
    await assert.rejects(changed(tar.subarray(0, 1000), 100), { kind: "InvalidParameter" });
  });
});
