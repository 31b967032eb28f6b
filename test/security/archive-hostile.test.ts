// gantry-archive over hostile tars and trees: nothing outside of the tree is read, made or changed, nothing is opened that has effects,
// and what it packs it unpacks again. GANTRY_ARCHIVE names another build of it (with sanitizers). Needs root.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import {
  linkSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { createFiles } from "../../src/engine/files/index.ts";
import { randomTar, seededRandom } from "../support/random-tar.ts";
import { directory, file, member, paxHeader, tarOf } from "../support/tar.ts";
import { describeTree } from "../support/tree.ts";

const program = process.env["GANTRY_ARCHIVE"] ?? join(import.meta.dirname, "../../shim/build/gantry-archive");

/** A tree with a directory /d, and a canary beside it. */
class Bench implements Disposable {
  readonly dir = mkdtempSync(join(tmpdir(), "gantry-archive-"));
  readonly root = join(this.dir, "root");
  readonly canary = join(this.dir, "canary");

  constructor() {
    for (const path of [this.root, join(this.root, "d"), this.canary]) mkdirSync(path);
    writeFileSync(join(this.canary, "secret"), "content of the canary");
  }

  run(mode: string, path: string, args: readonly string[] = [], input?: Uint8Array) {
    const argv = [mode, "directory", this.root, mode === "extract" ? "rw" : "ro", path, ...args];
    const { status, stdout, stderr } = spawnSync(program, argv, {
      input: input ?? "",
      maxBuffer: 256 << 20,
      timeout: 60_000,
    });
    return { status, out: stdout, said: stderr.toString().trim() };
  }

  extract(tar: Uint8Array, path = "/d", how = "replace") {
    return this.run("extract", path, [how, "-", "-"], tar);
  }

  /** The tar behind the stat. */
  pack(path: string): Buffer {
    const { status, out, said } = this.run("pack", path);
    assert.equal(status, 0, said);
    let at = 0;
    for (let word = 0; word < 5; word++) at = out.indexOf(0, at) + 1;
    return out.subarray(at);
  }

  [Symbol.dispose](): void {
    rmSync(this.dir, { recursive: true, force: true });
  }
}

const link = (name: string, to: string) => member({ name, type: "2", link: to });

test("no archive leads out of the tree, whatever links are in it or come with it", () => {
  using bench = new Bench();
  const outside = bench.canary;
  symlinkSync(outside, join(bench.root, "d", "absolute"));
  symlinkSync("../../canary", join(bench.root, "d", "relative"));
  symlinkSync("/proc/self/root", join(bench.root, "d", "magic"));
  const before = describeTree(bench.canary);
  const archives: readonly Uint8Array[] = [
    tarOf(file("absolute/new", "x")),
    tarOf(file("relative/new", "x")),
    tarOf(file(`magic${outside}/new`, "x")),
    tarOf(file("../../canary/new", "x")),
    tarOf(file(`${outside}/new`, "x")),
    tarOf(link("l", outside), file("l/new", "x")),
    tarOf(link("l", "../../canary"), file("l/secret", "x")),
    tarOf(link("l", ".."), link("l/m", ".."), file("l/m/canary/new", "x")),
    tarOf(member({ name: "h", type: "1", link: `${outside}/secret` }), file("h", "x")),
    tarOf(member({ name: "h", type: "1", link: "../../canary/secret" }), file("h", "x")),
    tarOf(directory("absolute"), file("absolute/secret", "x")),
    tarOf(directory("relative", { mode: 0o777 })),
  ];
  for (const [n, archive] of archives.entries()) {
    for (const path of ["/d", "/d/absolute", "/d/relative", "/d/magic"]) {
      const { status, said } = bench.extract(archive, path);
      assert.ok(status !== null && status < 10, `archive ${n}: ${status} ${said}`);
      assert.deepEqual(describeTree(bench.canary), before, `archive ${n} into ${path}`);
    }
  }
});

test("names of whiteouts are ordinary, and both kinds of a clash of types are refused where they are asked to be", () => {
  using bench = new Bench();
  assert.equal(bench.extract(tarOf(file(".wh.x", "1"), file("a/.wh..wh..opq", "2"))).status, 0);
  assert.equal(readFileSync(join(bench.root, "d/.wh.x"), "utf8"), "1");
  assert.equal(readFileSync(join(bench.root, "d/a/.wh..wh..opq"), "utf8"), "2");
  const clashes: readonly (readonly [Uint8Array, string])[] = [
    [tarOf(file("a", "x")), 'cannot overwrite directory "a" with non-directory "/d"'],
    [tarOf(directory(".wh.x")), 'cannot overwrite non-directory ".wh.x" with directory "/d"'],
    [tarOf(link("a", "b")), 'cannot overwrite directory "a" with non-directory "/d"'],
  ];
  for (const [archive, said] of clashes)
    assert.deepEqual(bench.extract(archive, "/d", "keep"), { status: 3, out: Buffer.from("."), said });
  assert.equal(bench.extract(tarOf(file("a", "x"))).status, 0);
  assert.equal(readFileSync(join(bench.root, "d/a"), "utf8"), "x");
});

test("malformed archives end with an error, never with a crash", () => {
  const random = seededRandom(20_260_601);
  for (let n = 0; n < 60; n++) {
    using bench = new Bench();
    const before = describeTree(bench.canary);
    const archive = randomTar(random);
    for (let flips = 0; flips < n % 4; flips++)
      archive[Math.floor(random() * archive.length)] = Math.floor(random() * 256);
    const { status, said } = bench.extract(archive, "/d", n % 2 === 0 ? "keep" : "replace");
    assert.ok(status !== null && status < 10, `run ${n}: ${status} ${said}`);
    assert.deepEqual(describeTree(bench.canary), before);
    if (status === 0) bench.pack("/");
  }
});

test("a tree that is packed and unpacked again is the same; FIFOs are not opened, holes not read, sockets left out", () => {
  using bench = new Bench();
  const tree = join(bench.root, "d");
  mkdirSync(join(tree, "sub"));
  writeFileSync(join(tree, "file"), "content", { mode: 0o640 });
  linkSync(join(tree, "file"), join(tree, "sub", "hard"));
  symlinkSync("../file", join(tree, "sub", "link"));
  symlinkSync(join(bench.canary, "secret"), join(tree, "canary"));
  writeFileSync(join(tree, "n".repeat(200)), "long");
  writeFileSync(join(tree, "sparse"), "begin");
  truncateSync(join(tree, "sparse"), 40 << 20);
  assert.equal(spawnSync("mkfifo", [join(tree, "fifo")]).status, 0);
  const attribute = paxHeader({ "SCHILY.xattr.user.a": "value of a" });
  assert.equal(bench.extract(Buffer.concat([attribute, tarOf(file("attributed", "x"))])).status, 0);
  const tar = bench.pack("/d/.");
  assert.ok(!tar.includes("content of the canary"));
  assert.ok(tar.includes("SCHILY.xattr.user.a=value of a"));
  mkdirSync(join(bench.root, "again"));
  const { status, said } = bench.extract(tar, "/again");
  assert.equal(status, 0, said);
  // Times in whole seconds, as dockerd has them; the directory itself is left as it is.
  const { ".": _was, ...before } = describeTree(tree);
  const { ".": _is, ...after } = describeTree(join(bench.root, "again"));
  const seconds = (description: string): string => description.replace(/\d{9}(?= |$)/, "000000000");
  const expected = Object.entries(before).map(([path, description]) => [path, seconds(description)]);
  assert.deepEqual(after, Object.fromEntries(expected));
});

test("a file of which 1 TiB is a hole costs no time before its data comes", () => {
  using bench = new Bench();
  writeFileSync(join(bench.root, "d", "huge"), "");
  truncateSync(join(bench.root, "d", "huge"), 2 ** 40);
  const { status, out } = bench.run("stat", "/d/huge");
  assert.deepEqual([status, out.toString().split("\0")[0]], [0, String(2 ** 40)]);
  // The reader goes after a megabyte: so does the program, without a word.
  const script = '"$0" pack directory "$1" ro /d/huge | head -c 1000000 | wc -c';
  const run = spawnSync("sh", ["-c", script, program, bench.root], { encoding: "utf8", timeout: 30_000 });
  assert.deepEqual([run.stdout.trim(), run.stderr], ["1000000", ""]);
});

test("a tree that cannot be packed ends who asks for it, not the daemon, though nobody reads its tar yet", async () => {
  using bench = new Bench();
  // Too deep for a path, and too small for a pipe that nobody reads to hold up its end.
  const script = 'n=$(printf %0250d 0); i=0; while [ $i -lt 20 ]; do mkdir "$n" && cd -P "$n"; i=$((i + 1)); done';
  assert.equal(spawnSync("sh", ["-c", script], { cwd: join(bench.root, "d"), stdio: "ignore" }).status, 0);
  const { signal } = new AbortController();
  const { tar } = await createFiles({ archivePath: program }).pack(
    { kind: "directory", path: bench.root },
    "/d",
    signal,
  );
  // Nobody listens: an error that nobody meets would end this process.
  while (!tar.destroyed) await sleep(5);
  assert.match(tar.errored?.message ?? "", /a path is longer than/);
});
