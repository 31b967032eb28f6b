import assert from "node:assert/strict";
import { test } from "node:test";
import { cleanPath } from "./archive.ts";

test("paths are cleaned from the root, and keep what says that a directory is meant", () => {
  const paths: readonly (readonly [string, string])[] = [
    ["/a/b", "/a/b"],
    ["a/b", "/a/b"],
    ["//a//b", "/a/b"],
    ["/a/../../b", "/b"],
    ["../b", "/b"],
    ["/a/", "/a/"],
    ["/a/.", "/a/."],
    [".", "/."],
    ["/", "/"],
    ["/a/..", "/"],
    ["./", "/"],
  ];
  for (const [path, clean] of paths) assert.equal(cleanPath(path), clean, path);
});
