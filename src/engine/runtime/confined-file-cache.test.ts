import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, renameSync, rmSync, statSync, symlinkSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { ConfinedFileCache } from "./confined-file-cache.ts";

const dir = mkdtempSync(join(tmpdir(), "gantry-confined-cache-"));
after(() => rmSync(dir, { recursive: true }));

/** A directory of this process as a running container's root is named. */
async function liveRoot(name: string): Promise<string> {
  const root = join(dir, name);
  mkdirSync(join(root, "etc"), { recursive: true });
  writeFileSync(join(root, "etc/passwd"), "first");
  await sleep(2_100);
  return `/proc/${process.pid}/root${root}`;
}

test("a remembered file is read again when it is written, replaced, or led elsewhere by a link", async () => {
  const cache = new ConfinedFileCache();
  const read = async (root: string): Promise<string | undefined> =>
    (await cache.read([root], "/etc/passwd", 1 << 20))?.toString();
  const root = await liveRoot("changing");
  const { atime, mtime } = statSync(join(root, "etc/passwd"));
  assert.equal(await read(root), "first");
  const again = (): Promise<Buffer | undefined> => cache.read([root], "/etc/passwd", 1 << 20);
  assert.equal(await again(), await again(), "the same buffer: it was not read twice");
  // Of the same length, and with its old time put back.
  writeFileSync(join(root, "etc/passwd"), "other");
  utimesSync(join(root, "etc/passwd"), atime, mtime);
  assert.equal(await read(root), "other");
  writeFileSync(join(root, "etc/new"), "third");
  renameSync(join(root, "etc/new"), join(root, "etc/passwd"));
  assert.equal(await read(root), "third");
  writeFileSync(join(dir, "outside"), "host's");
  rmSync(join(root, "etc/passwd"));
  symlinkSync(join(dir, "outside"), join(root, "etc/passwd"));
  assert.equal(await read(root), undefined);
});

test("a file that is not there is not remembered", async () => {
  const cache = new ConfinedFileCache();
  const root = await liveRoot("absent");
  assert.equal(await cache.read([root], "/etc/group", 1 << 20), undefined);
  writeFileSync(join(root, "etc/group"), "there");
  assert.equal((await cache.read([root], "/etc/group", 1 << 20))?.toString(), "there");
});
