// Docker's rules of where a copy goes, case by case; each was compared with the docker CLI 28.

import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import {
  checkLocalDestination,
  type CopySide,
  findLocalDestination,
  findLocalSource,
  followLink,
  planCopy,
  rebase,
  resolveLocal,
  splitCopyArgument,
  splitEntry,
} from "./paths.ts";

let dir = "";

before(() => {
  dir = mkdtempSync(join(tmpdir(), "cli-copy-paths-"));
  mkdirSync(join(dir, "d/sub"), { recursive: true });
  writeFileSync(join(dir, "f"), "x");
  symlinkSync("d", join(dir, "ld"));
  symlinkSync("f", join(dir, "lf"));
  symlinkSync("nowhere", join(dir, "ln"));
  symlinkSync("loop", join(dir, "loop"));
});

after(() => rmSync(dir, { recursive: true, force: true }));

test("a container is what stands before the first colon, unless the path is absolute or begins with a dot", () => {
  assert.deepEqual(splitCopyArgument("web:/etc/hosts"), { container: "web", path: "/etc/hosts" });
  assert.deepEqual(splitCopyArgument("web:a:b"), { container: "web", path: "a:b" });
  assert.deepEqual(splitCopyArgument("web:"), { container: "web", path: "" });
  for (const path of ["/a:b", "./a:b", "../a:b", "plain", "-"])
    assert.deepEqual(splitCopyArgument(path), { container: "", path });
});

test("a path keeps the end that says it is a directory, or what a directory holds", () => {
  assert.equal(resolveLocal("/a/b/"), "/a/b/");
  assert.equal(resolveLocal("/a/b/."), "/a/b/.");
  assert.equal(resolveLocal("/a/./b/.."), "/a");
  assert.equal(resolveLocal("/"), "/");
  assert.equal(resolveLocal("/."), "/.");
  assert.equal(resolveLocal("."), `${process.cwd()}/.`);
  assert.deepEqual(splitEntry("/a/b/"), { directory: "/a", name: "b" });
  assert.deepEqual(splitEntry("/a/b/."), { directory: "/a/b", name: "." });
  assert.deepEqual(splitEntry("/"), { directory: "/", name: "/" });
  assert.deepEqual(splitEntry("rel"), { directory: ".", name: "rel" });
});

test("links lead on from their own directory, and the typed name is kept", () => {
  assert.equal(followLink("/a/link", "../b"), "/b");
  assert.equal(followLink("/a/link", "/b"), "/b");
  assert.deepEqual(rebase("/a/link", "/b"), { path: "/b", rebaseName: "link" });
  assert.deepEqual(rebase("/a/link/.", "/b"), { path: "/b/.", rebaseName: "" });
  assert.deepEqual(rebase("/a/b/", "/x/b"), { path: "/x/b/", rebaseName: "" });
});

test("a local source is a link itself, unless it is followed or ends in a slash", () => {
  const at = (name: string): string => join(dir, name);
  assert.deepEqual(findLocalSource(at("ld"), false), {
    path: at("ld"),
    exists: true,
    isDirectory: false,
    rebaseName: "",
  });
  assert.deepEqual(findLocalSource(at("ld"), true), {
    path: at("d"),
    exists: true,
    isDirectory: true,
    rebaseName: "ld",
  });
  assert.deepEqual(findLocalSource(`${at("ld")}/`, false), {
    path: `${at("d")}/`,
    exists: true,
    isDirectory: true,
    rebaseName: "ld",
  });
  assert.deepEqual(findLocalSource(`${at("d")}/.`, false).isDirectory, true);
  assert.throws(() => findLocalSource(`${at("f")}/`, false), { message: "not a directory" });
  assert.throws(() => findLocalSource(at("nope"), false), { code: "ENOENT" });
  assert.throws(() => findLocalSource(at("ln"), true), { code: "ENOENT", path: at("nowhere") });
});

test("a local destination is what a link leads to, which need not be there", () => {
  const at = (name: string): string => join(dir, name);
  assert.deepEqual(findLocalDestination(at("ld")), {
    path: at("d"),
    exists: true,
    isDirectory: true,
    rebaseName: "",
  });
  assert.deepEqual(findLocalDestination(at("ln")), {
    path: at("nowhere"),
    exists: false,
    isDirectory: false,
    rebaseName: "",
  });
  assert.throws(() => findLocalDestination(at("loop")), /too many symlinks in /);
  assert.throws(() => findLocalDestination(at("nope/x")), { code: "ENOENT" });
  assert.throws(() => checkLocalDestination("/dev/null"), /must be a directory or a regular file: got a device$/);
  assert.throws(() => checkLocalDestination(at("nope/x")), /invalid output path: directory .* does not exist$/);
  assert.throws(() => checkLocalDestination(`${at("f")}/`), { code: "ENOTDIR" });
  checkLocalDestination(at("new"));
});

const file: CopySide = { path: "/s/file", exists: true, isDirectory: false, rebaseName: "" };
const tree: CopySide = { path: "/s/tree", exists: true, isDirectory: true, rebaseName: "" };

function to(path: string, kind: "missing" | "file" | "directory"): CopySide {
  return { path, exists: kind !== "missing", isDirectory: kind === "directory", rebaseName: "" };
}

test("a copy goes into a directory, or gets the name that was asked for", () => {
  const cases: readonly (readonly [CopySide, CopySide, object | string])[] = [
    [file, to("/d", "directory"), { directory: "/d", name: "file" }],
    [file, to("/d/x", "file"), { directory: "/d", name: "x" }],
    [file, to("/d/x", "missing"), { directory: "/d", name: "x" }],
    [file, to("/d/x/", "missing"), "no such directory"],
    [file, to("/d/x/.", "missing"), "no such directory"],
    [tree, to("/d", "directory"), { directory: "/d", name: "tree" }],
    [tree, to("/d/x", "file"), "cannot copy directory"],
    [tree, to("/d/x", "missing"), { directory: "/d", name: "x" }],
    [tree, to("/d/x/", "missing"), { directory: "/d", name: "x" }],
    [tree, to("/d/x/.", "missing"), { directory: "/d", name: "x" }],
    [{ ...tree, path: "/s/tree/." }, to("/d", "directory"), { directory: "/d", name: "." }],
    [{ ...tree, path: "/s/tree/." }, to("/d/x", "missing"), { directory: "/d", name: "x" }],
    [{ ...tree, path: "/" }, to("/d", "directory"), { directory: "/d", name: "." }],
    [{ ...file, rebaseName: "link" }, to("/d", "directory"), { directory: "/d", name: "link" }],
    [{ ...file, rebaseName: "link" }, to("/d/x", "missing"), { directory: "/d", name: "x" }],
  ];
  for (const [source, destination, expected] of cases)
    if (typeof expected === "string") assert.throws(() => planCopy(source, destination), { message: expected });
    else assert.deepEqual(planCopy(source, destination), expected, `${source.path} → ${destination.path}`);
});
