import assert from "node:assert/strict";
import { lstatSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import { digestOf } from "../../../base/digest.ts";
import { silentLogger } from "../../../base/log.ts";
import { comparePaths } from "../../../filesync/index.ts";
import { createSourceDirectories } from "./directories.ts";
import type { SourceDirectories, SourceDirectory } from "./index.ts";
import type { EntryInit } from "./tree-writer.ts";

const signal = new AbortController().signal;
let root: string;
let directories: SourceDirectories;

beforeEach(async () => {
  root = mkdtempSync(join(tmpdir(), "gantry-contexts-"));
  directories = await createSourceDirectories({ root, logger: silentLogger });
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

type Tree = Readonly<Record<string, Partial<EntryInit> & { readonly data?: string }>>;

function entryOf(path: string, { data, ...rest }: Tree[string]): EntryInit {
  return {
    path,
    type: "file",
    mode: 0o644,
    uid: 0,
    gid: 0,
    size: data?.length ?? 0,
    mtimeNs: 1_700_000_000_000_000_000n,
    linkName: "",
    xattrs: {},
    ...rest,
  };
}

/** @returns what was sent, and the directory */
async function send(
  key: string,
  tree: Tree,
  from = directories,
): Promise<{ sent: string[]; directory: SourceDirectory }> {
  await using transfer = await from.begin(key, signal);
  for (const [path, file] of Object.entries(tree)) transfer.entry(entryOf(path, file));
  const sent: string[] = [];
  for (const path of await transfer.settle()) {
    sent.push(path);
    await transfer.write(path, Buffer.from(tree[path]?.data ?? ""));
    await transfer.end(path);
  }
  return { sent, directory: await transfer.finish() };
}

function contentOf(directory: SourceDirectory): Record<string, string> {
  return Object.fromEntries(
    directory.entries.map(({ path, type }) => {
      const at = join(directory.path, path);
      const stat = lstatSync(at);
      const mode = (stat.mode & 0o7777).toString(8);
      if (type === "symlink") return [path, `-> ${readlinkSync(at)}`];
      return [path, type === "file" ? `${mode} ${readFileSync(at, "utf8")}` : `${mode} ${type}`];
    }),
  );
}

const first: Tree = {
  a: { data: "one" },
  d: { type: "directory", mode: 0o755 },
  "d/e": { type: "directory", mode: 0o700 },
  "d/e/f": { data: "deep", mode: 0o4755 },
  "d/empty": {},
  "d/h": { linkName: "a" },
  l: { type: "symlink", mode: 0o777, linkName: "/etc/passwd" },
};

test("a first transfer is sent all files, an equal one none, a changed one what changed", async () => {
  const one = await send("k", first);
  assert.deepEqual(one.sent, ["a", "d/e/f"]);
  const expected = {
    a: "644 one",
    d: "755 directory",
    "d/e": "700 directory",
    "d/e/f": "4755 deep",
    "d/empty": "644 ",
    "d/h": "644 one",
    l: "-> /etc/passwd",
  };
  assert.deepEqual(contentOf(one.directory), expected);
  assert.equal(one.directory.entries.find(({ path }) => path === "d/h")?.digest, digestOf("one"));
  assert.equal(lstatSync(join(one.directory.path, "a")).mtimeMs, 1_700_000_000_000);
  await one.directory[Symbol.asyncDispose]();

  const two = await send("k", first);
  assert.deepEqual(two.sent, []);
  assert.equal(two.directory.path, one.directory.path);
  await two.directory[Symbol.asyncDispose]();

  const { a: _, ...rest } = first;
  const three = await send("k", { ...rest, "d/h": { data: "new" } });
  assert.deepEqual(three.sent, ["d/h"]);
  const { a: __, ...remaining } = expected;
  assert.deepEqual(contentOf(three.directory), { ...remaining, "d/h": "644 new" });
  await three.directory[Symbol.asyncDispose]();
  assert.equal(readdirSync(root).length, 1);
});

test("a tree that is held does not change: the next one is another", async () => {
  const one = await send("k", first);
  const before = contentOf(one.directory);
  const two = await send("k", { ...first, a: { data: "other" }, "d/e/f": { type: "directory", mode: 0o755 } });
  assert.deepEqual(two.sent, ["a"]);
  assert.notEqual(two.directory.path, one.directory.path);
  assert.deepEqual(contentOf(one.directory), before);
  assert.equal(contentOf(two.directory)["d/h"], "644 other");
  assert.equal((await directories.list()).length, 2);
  await one.directory[Symbol.asyncDispose]();
  assert.deepEqual(readdirSync(root), ["2"]);
  await two.directory[Symbol.asyncDispose]();
  assert.deepEqual(readdirSync(root), ["2"]);
});

test("of thirty equal transfers at once one is sent the files, and all have one tree", async () => {
  const all = await Promise.all(Array.from({ length: 30 }, () => send("k", first)));
  assert.equal(all.flatMap(({ sent }) => sent).length, 2);
  assert.equal(new Set(all.map(({ directory }) => directory.path)).size, 1);
  for (const { directory } of all) await directory[Symbol.asyncDispose]();
});

test("kinds change into each other", async () => {
  const trees: Tree[] = [
    { x: { type: "directory", mode: 0o755 }, "x/y": { type: "directory", mode: 0o755 }, "x/y/z": { data: "z" } },
    { x: { data: "file" } },
    { x: { type: "symlink", mode: 0o777, linkName: "." } },
    { x: { type: "directory", mode: 0o755 }, "x/y": { type: "symlink", mode: 0o777, linkName: "/" } },
    { x: { type: "directory", mode: 0o755 }, "x/y": { type: "directory", mode: 0o755 }, "x/y/z": { data: "again" } },
    { x: { type: "fifo", mode: 0o600 } },
    {},
  ];
  const seen = [];
  for (const tree of trees) {
    const { directory } = await send("k", tree);
    seen.push(contentOf(directory));
    await directory[Symbol.asyncDispose]();
  }
  assert.deepEqual(seen, [
    { x: "755 directory", "x/y": "755 directory", "x/y/z": "644 z" },
    { x: "644 file" },
    { x: "-> ." },
    { x: "755 directory", "x/y": "-> /" },
    { x: "755 directory", "x/y": "755 directory", "x/y/z": "644 again" },
    { x: "600 fifo" },
    {},
  ]);
});

test("a transfer that ends early leaves what is complete; the next one is sent the rest", async () => {
  {
    await using transfer = await directories.begin("k", signal);
    const data = Buffer.alloc(300_000, 1);
    transfer.entry(entryOf("big", { size: data.length }));
    transfer.entry(entryOf("done", { data: "done" }));
    transfer.entry(entryOf("half", { data: "half" }));
    await transfer.settle();
    await transfer.write("done", Buffer.from("done"));
    await transfer.end("done");
    await transfer.write("big", data.subarray(0, 1000));
    await transfer.write("half", Buffer.from("ha"));
  }
  const next = await send("k", { done: { data: "done" }, half: { data: "half" } });
  assert.deepEqual(next.sent, ["half"]);
  assert.deepEqual(contentOf(next.directory), { done: "644 done", half: "644 half" });
  await next.directory[Symbol.asyncDispose]();
});

test("nothing is kept without a key", async () => {
  const one = await send("", first);
  assert.equal(contentOf(one.directory)["a"], "644 one");
  assert.equal((await directories.list())[0]?.inUse, true);
  await one.directory[Symbol.asyncDispose]();
  assert.deepEqual(readdirSync(root), []);
});

test("a start takes over sound trees and deletes what is none", async () => {
  for (const key of ["sound", "cut", "lost"]) await (await send(key, first)).directory[Symbol.asyncDispose]();
  const cut = readFileSync(join(root, "2/index"), "utf8");
  writeFileSync(join(root, "2/index"), cut.slice(0, -200));
  rmSync(join(root, "3/index"));
  const again = await createSourceDirectories({ root, logger: silentLogger });
  assert.deepEqual(readdirSync(root), ["1", "2"]);
  assert.deepEqual((await send("sound", first, again)).sent, []);
  assert.deepEqual((await send("cut", first, again)).sent, ["a", "d/e/f"]);
});

test("what is in use is not removed, the rest is, and says its bytes", async () => {
  const one = await send("shared\0named", first);
  const [entry] = await directories.list();
  assert.deepEqual(
    { description: entry?.description, type: entry?.type, inUse: entry?.inUse, sizeBytes: entry?.sizeBytes },
    { description: "local source for named", type: "source.local", inUse: true, sizeBytes: 7 },
  );
  assert.equal(await directories.remove(entry?.id ?? ""), 0);
  await one.directory[Symbol.asyncDispose]();
  assert.equal(await directories.remove(entry?.id ?? ""), 7);
  assert.deepEqual(readdirSync(root), []);
  assert.deepEqual((await send("shared\0named", first)).sent, ["a", "d/e/f"]);
});

test("names that lead elsewhere, and what has no place, are refused", async () => {
  const bad: Tree[] = [
    { "..": {} },
    { "../x": {} },
    { "/x": {} },
    { "": {} },
    { "a/./b": {} },
    { "a//b": {} },
    { "a\0": {} },
    { ["n".repeat(256)]: {} },
    { "a/b": {} },
    { a: {}, "a/b": {} },
    { l: { type: "symlink", linkName: "/", mode: 0o777 }, "l/b": {} },
    { h: { linkName: "../../etc/passwd" } },
    { h: { linkName: "later" }, later: {} },
    { a: { mode: 0o100644 } },
    { a: { size: -1 } },
  ];
  for (const tree of bad) await assert.rejects(send("k", tree), { kind: "InvalidParameter" }, JSON.stringify(tree));
  await using transfer = await directories.begin("k", signal);
  transfer.entry(entryOf("a", {}));
  assert.throws(() => transfer.entry(entryOf("a", {})), { kind: "InvalidParameter" });
});

test("more content than was told, and content that nobody wants, is refused; less is what there is", async () => {
  await using transfer = await directories.begin("k", signal);
  transfer.entry(entryOf("a", { size: 3 }));
  transfer.entry(entryOf("b", { size: 3 }));
  await transfer.write("b", Buffer.from("xy"));
  await transfer.end("b");
  await transfer.write("a", Buffer.from("abc"));
  await assert.rejects(async () => transfer.write("a", Buffer.from("d")), { kind: "InvalidParameter" });
  await assert.rejects(async () => transfer.write("b", Buffer.from("d")), { kind: "InvalidParameter" });
  await assert.rejects(async () => transfer.write("c", Buffer.from("d")), { kind: "InvalidParameter" });
});

test("paths are sorted as a walk of sorted directories gives them, by UTF-8", () => {
  const paths = ["a", "a/b", "a/b/c", "a/é", "a-b", "a.b", "ab", "\u{ffee}", "\u{1f600}"];
  assert.deepEqual(paths.toReversed().sort(comparePaths), paths);
});
