import assert from "node:assert/strict";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { removeSmallTree } from "./small-tree.ts";

const root = mkdtempSync(join(tmpdir(), "gantry-small-tree-"));
after(() => rmSync(root, { recursive: true }));

test("a small tree is deleted, and what its links point to is not", () => {
  const tree = join(root, "small");
  mkdirSync(join(tree, "a/b"), { recursive: true });
  writeFileSync(join(tree, "a/file"), "text");
  const outside = join(root, "outside");
  mkdirSync(outside);
  writeFileSync(join(outside, "kept"), "kept");
  symlinkSync(outside, join(tree, "a/link"));
  symlinkSync("/nowhere", join(tree, "dangling"));
  assert.equal(removeSmallTree(tree), true);
  assert.equal(existsSync(tree), false);
  assert.equal(readFileSync(join(outside, "kept"), "utf8"), "kept");
});

test("nothing is deleted already", () => {
  assert.equal(removeSmallTree(join(root, "absent")), true);
});

test("many entries and large files are left to others", () => {
  const many = join(root, "many");
  mkdirSync(many);
  for (let i = 0; i < 65; i++) writeFileSync(join(many, String(i)), "");
  assert.equal(removeSmallTree(many), false);
  const large = join(root, "large");
  mkdirSync(large);
  writeFileSync(join(large, "log"), Buffer.alloc((1 << 20) + 1));
  assert.equal(removeSmallTree(large), false);
  assert.equal(existsSync(join(large, "log")), true);
});

test("a path that is no directory is not deleted", () => {
  const file = join(root, "file");
  writeFileSync(file, "");
  assert.equal(removeSmallTree(file), false);
  assert.equal(existsSync(file), true);
});
