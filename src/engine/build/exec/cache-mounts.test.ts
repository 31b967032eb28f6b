import assert from "node:assert/strict";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { silentLogger } from "../../../base/log.ts";
import { openStore, type Store } from "../../store/index.ts";
import { CacheMounts } from "./cache-mounts.ts";

const never = new AbortController().signal;
const plain = { mode: 0o755, uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };
let dataRoot: string;
let store: Store;
let mounts: CacheMounts;

before(async () => {
  dataRoot = mkdtempSync(join(tmpdir(), "cache-mounts-"));
  store = await openStore({ directory: dataRoot, logger: silentLogger });
  mounts = await CacheMounts.open(store, dataRoot, silentLogger);
});
after(async () => {
  await mounts.settled();
  await store.close();
  rmSync(dataRoot, { recursive: true });
});

test("shared uses have one directory, private ones each their own, also beside a shared one", async () => {
  using a = await mounts.take("s", "shared", plain, never);
  using b = await mounts.take("s", "shared", plain, never);
  using c = await mounts.take("s", "private", plain, never);
  using d = await mounts.take("s", "private", plain, never);
  assert.equal(a.path, b.path);
  assert.equal(new Set([a.path, c.path, d.path]).size, 3);
});

test("a private directory that is free is used again", async () => {
  let path: string;
  {
    using a = await mounts.take("p", "private", plain, never);
    path = a.path;
  }
  using b = await mounts.take("p", "private", plain, never);
  assert.equal(b.path, path);
});

test("a locked use waits for the one before, and an abort ends the wait", async () => {
  const first = await mounts.take("l", "locked", plain, never);
  const order: string[] = [];
  const second = mounts.take("l", "locked", plain, never).then((held) => {
    order.push("second");
    return held;
  });
  const aborted = new AbortController();
  const third = mounts.take("l", "locked", plain, aborted.signal);
  aborted.abort(new Error("gone"));
  await assert.rejects(third, /gone/);
  order.push("release");
  first[Symbol.dispose]();
  using held = await second;
  assert.deepEqual(order, ["release", "second"]);
  assert.equal(held.path, first.path);
});

test("a new directory has its mode and is filled once; a failed filling leaves none", async () => {
  await assert.rejects(
    mounts.take("f", "shared", { ...plain, fill: () => Promise.reject(new Error("no")) }, never),
    /no/,
  );
  const fill = (path: string): Promise<void> => Promise.resolve(writeFileSync(join(path, "x"), "1"));
  using held = await mounts.take("f", "shared", { ...plain, mode: 0o1770, fill }, never);
  assert.equal(statSync(held.path).mode & 0o7777, 0o1770);
  assert.deepEqual(readdirSync(held.path), ["x"]);
  assert.equal(await mounts.fill("f", () => Promise.reject(new Error("never called")), never), false);
});

test("a directory in use is not removed; one that is free is, with its row", async () => {
  const held = await mounts.take("r", "shared", plain, never);
  writeFileSync(join(held.path, "big"), Buffer.alloc(100_000));
  const entry = (await mounts.list()).find(({ description }) => description === "cached mount r");
  assert.equal(entry?.inUse, true);
  assert.equal(entry.usageCount, 1);
  assert.ok(entry.sizeBytes >= 100_000);
  assert.equal(await mounts.remove(entry.id), 0);
  held[Symbol.dispose]();
  assert.ok((await mounts.remove(entry.id)) >= 100_000);
  assert.equal(existsSync(held.path), false);
  assert.equal(
    (await store.load("build_mounts")).some(({ id }) => id === entry.id),
    false,
  );
});

test("after a restart the directories with rows are there, those without are deleted", async () => {
  using held = await mounts.take("again", "shared", plain, never);
  await mounts.settled();
  mkdirSync(join(dataRoot, "build/mounts/999"));
  const reopened = await CacheMounts.open(store, dataRoot, silentLogger);
  using same = await reopened.take("again", "shared", plain, never);
  await reopened.settled();
  assert.equal(same.path, held.path);
  assert.equal(existsSync(join(dataRoot, "build/mounts/999")), false);
});
