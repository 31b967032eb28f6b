import assert from "node:assert/strict";
import { test } from "node:test";
import { checkPath, parseChanges, parseStat, rootWords } from "./words.ts";

test("a root is words in the order in which gantry-archive reads them", () => {
  assert.deepEqual(rootWords({ kind: "live", pid: 7, startTime: "99" }, false), ["live", "7", "99"]);
  assert.deepEqual(rootWords({ kind: "directory", path: "/v" }, true), ["directory", "/v", "rw"]);
  const dirs = { lower: ["/l2", "/l1"], upper: "/u", work: "/w" };
  const mounts = [{ source: "/s", subpath: "", target: "/t", readOnly: true }];
  assert.deepEqual(
    rootWords({ kind: "stopped", dirs, mounts, readOnly: false }, true),
    "stopped rw /u /w 2 /l2 /l1 1 /s  /t ro".split(" "),
  );
});

test("a path with a NUL is refused: the program would see another one", () => {
  assert.throws(() => checkPath("/a\0b"), { kind: "InvalidParameter" });
  assert.equal(checkPath("/a b"), "/a b");
});

test("the stat in front of a tar is read when all of it is there, whatever the name holds", () => {
  const bytes = Buffer.from("12\x0033188\x00-5\x00new\nline\x00/target\x00rest");
  for (let length = 0; length < bytes.length - "rest".length; length++)
    assert.equal(parseStat(bytes.subarray(0, length)), undefined);
  assert.deepEqual(parseStat(bytes), {
    stat: { name: "new\nline", sizeBytes: 12, mode: 0o100644, modifiedNs: -5n, linkTarget: "/target" },
    end: bytes.length - 4,
  });
});

test("changes are sorted by path; a damaged answer is an error", () => {
  assert.deepEqual(parseChanges(Buffer.from("A/b\0D/a/x\0C/a\0")), [
    { path: "/a", kind: "modified" },
    { path: "/a/x", kind: "deleted" },
    { path: "/b", kind: "added" },
  ]);
  assert.deepEqual(parseChanges(Buffer.alloc(0)), []);
  for (const damaged of ["A/b", "X/b\0"]) assert.throws(() => parseChanges(Buffer.from(damaged)), { kind: "System" });
});
