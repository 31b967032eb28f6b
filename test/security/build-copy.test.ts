// B09's class: links that a step, a context or an archive made lead file ops nowhere but into their own tree. Needs root.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, it } from "node:test";

const copyPath = process.env["GANTRY_COPY"] ?? fileURLToPath(new URL("../../shim/build/gantry-copy", import.meta.url));

describe("gantry-copy", () => {
  let room: string;
  const at = (...names: readonly string[]): string => join(room, ...names);
  beforeEach(() => {
    room = mkdtempSync(join(tmpdir(), "gantry-copy-"));
    for (const name of ["up", "work", "src", "outside"]) mkdirSync(at(name));
    writeFileSync(at("outside", "secret"), "secret");
    writeFileSync(at("src", "f"), "f");
  });
  afterEach(() => rmSync(room, { recursive: true, force: true }));

  const apply = (...actions: readonly string[]): ReturnType<typeof spawnSync> => {
    const words = ["none", "0", at("up"), at("work"), "1", "1", at("src"), ...actions];
    return spawnSync(copyPath, ["apply"], { input: `${words.join("\0")}\0`, encoding: "utf8" });
  };
  const copy = (from: string, to: string, flags = "wfr"): readonly string[] => [
    "copy",
    "0",
    from,
    flags,
    "0",
    to,
    "",
    "",
  ];
  const untouched = (): void => assert.deepEqual(readdirSync(at("outside")), ["secret"]);

  it("takes absolute links and .. in the destination as paths of the tree", () => {
    symlinkSync(at("outside"), at("up", "abs"));
    symlinkSync("../../../../../../../../../../tmp", at("up", "dots"));
    const result = apply(
      ...copy("/f", "/abs/"),
      ...copy("/f", "/dots/../../../x"),
      "mkfile",
      "/abs/made",
      "644",
      "",
      "",
      "2",
      "x",
    );
    assert.equal(result.status, 0, String(result.stderr));
    untouched();
    assert.equal(readFileSync(join(at("up"), at("outside"), "f"), "utf8"), "f");
    assert.equal(readFileSync(at("up", "x"), "utf8"), "f");
  });

  it("reads nothing outside of a source, whatever its links say", () => {
    symlinkSync(at("outside", "secret"), at("src", "link"));
    symlinkSync(at("outside"), at("src", "dir"));
    for (const path of ["/link", "/dir/secret", "/../outside/secret", "/dir"]) {
      const result = apply(...copy(path, "/taken/"));
      assert.equal(result.status, 5, `${path}: ${String(result.stderr)}`);
      assert.match(String(result.stderr), /not found/);
    }
    assert.equal(apply(...copy("/", "/all/")).status, 0);
    assert.equal(spawnSync("find", [at("up"), "-type", "f"], { encoding: "utf8" }).stdout, `${at("up", "all", "f")}\n`);
  });

  it("ends loops of links, and refuses patterns and names that are none", () => {
    symlinkSync("b", at("up", "a"));
    symlinkSync("a", at("up", "b"));
    for (const action of [copy("/f", "/a/x"), copy("/f", `/${"n".repeat(300)}`), copy("/[a", "/")]) {
      const result = apply(...action);
      assert.equal(result.status, 1, String(result.stderr));
    }
    assert.equal(existsSync(at("up", "x")), false);
  });

  it("replaces a link that a directory's content meets, and does not write through it", () => {
    symlinkSync(at("outside", "secret"), at("up", "f"));
    assert.equal(apply(...copy("/", "/")).status, 0);
    assert.equal(readFileSync(at("up", "f"), "utf8"), "f");
    assert.equal(readFileSync(at("outside", "secret"), "utf8"), "secret");
  });

  it("answers patterns that are made to take for ever at once", () => {
    writeFileSync(at("src", "a".repeat(250)), "");
    mkdirSync(at("src", ...Array.from({ length: 60 }, () => "a")), { recursive: true });
    const began = performance.now();
    for (const pattern of ["*a".repeat(60), "**/a/".repeat(40), "**a".repeat(60), "**/*a*a".repeat(30)]) {
      assert.equal(apply(...copy(`/${"*a".repeat(60)}b`, "/")).status, 5);
      const result = apply("copy", "0", "/", "wfr", "1", `${pattern}b`, "/to/", "", "");
      assert.equal(result.status, 0, String(result.stderr));
    }
    assert.ok(performance.now() - began < 20_000);
    assert.equal(apply(...copy("/", "/x/"), "copy", "0", "/", "wfr", "1", "*".repeat(5000), "/", "", "").status, 2);
  });

  it("searches a tree as deep as a path can be", () => {
    const script = 'cd "$1"; for i in $(seq 900); do mkdir d && cd -P d || exit 1; done; touch end';
    assert.equal(spawnSync("sh", ["-c", script, "sh", at("src")]).status, 0);
    const result = apply("copy", "0", "/**/end", "wfpr", "0", "/p/", "", "");
    assert.equal(result.status, 0, String(result.stderr));
    const found = spawnSync("find", [at("up", "p"), "-name", "end", "-printf", "%d"], { encoding: "utf8" });
    assert.equal(found.stdout, "901");
    for (const top of [at("src", "d"), at("up", "p")]) spawnSync("rm", ["-rf", top]);
  });

  it("copies thousands of files with two names each, as such", () => {
    const script =
      'import os,sys\nos.chdir(sys.argv[1])\nfor i in range(8000):\n open(f"f{i}","w").close(); os.link(f"f{i}",f"g{i}")';
    assert.equal(spawnSync("python3", ["-c", script, at("src")]).status, 0);
    const began = performance.now();
    assert.equal(apply(...copy("/", "/all/")).status, 0);
    assert.ok(performance.now() - began < 20_000);
    assert.equal(statSync(at("up/all/f7999")).ino, statSync(at("up/all/g7999")).ino);
    assert.equal(readdirSync(at("up/all")).length, 16_001);
  });

  it("refuses requests that are cut off", () => {
    const cut = ["none", "0", at("up"), at("work"), "1", "1", at("src"), "copy", "0"].join("\0");
    for (const input of ["", "none\0", ["none", "9999", ""].join("\0"), cut])
      assert.notEqual(spawnSync(copyPath, ["apply"], { input }).status, 0);
  });
});
