// .dockerignore against moby/patternmatcher's own expectations.

import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { isEngineError } from "../../../base/errors.ts";
import { createIgnoreMatcher, parseIgnoreFile } from "./ignore.ts";

const cases: readonly (readonly [patterns: readonly string[], path: string, ignored: boolean])[] = [
  [["**"], "file", true],
  [["**"], "dir/file", true],
  [["**/"], "file", true],
  [["**/**"], "dir/file", true],
  [["dir/**"], "dir/file", true],
  [["dir/**"], "dir", false],
  [["dir/**"], "dir/dir2/file", true],
  [["**/dir"], "dir", true],
  [["**/dir"], "dir/file", true],
  [["**/dir2/*"], "dir/dir2/file", true],
  [["**/dir2/*"], "dir/dir2/dir2/file", true],
  [["**file"], "file", true],
  [["**file"], "dir/file", true],
  [["**/file"], "dir/file", true],
  [["**file"], "dir/dir/file", true],
  [["**/file*"], "dir/dir/file.txt", true],
  [["**/file*txt"], "dir/dir/file.txt", true],
  [["**/file*.txt*"], "dir/dir/file.txt", true],
  [["**/**/*.txt"], "dir/dir/file.txt", true],
  [["**/**/*.txt2"], "dir/dir/file.txt", false],
  [["**/*.txt"], "file.txt", true],
  [["a**/*.txt"], "a/file.txt", true],
  [["a**/*.txt"], "a/dir/file.txt", true],
  [["a/*.txt"], "a/dir/file.txt", false],
  [["a/*.txt**"], "a/file.txt", true],
  [["a[b-d]e"], "ae", false],
  [["a[b-d]e"], "ace", true],
  [["a[^b-d]e"], "aze", true],
  [["a[^b-d]e"], "ace", false],
  [["abc.def"], "abcdef", false],
  [["a.|)$(}+{bc"], "a.|)$(}+{bc", true],
  [["a\\*b"], "a*b", true],
  [["a\\*b"], "axb", false],
  [["dir*"], "dir1/file", true],
  [["*", "!dir"], "dir/file", false],
  [["*", "!dir", "dir/file"], "dir/file", true],
  [["dir", "!dir/keep"], "dir/keep", false],
  [["dir", "!dir/keep"], "dir/keep/x", false],
  [["dir", "!dir/keep"], "dir/other", true],
  [["!a", "a"], "a", true],
  [["*.md", "!README*.md", "README-secret.md"], "README-secret.md", true],
  [["*/temp*"], "a/temporary.txt", true],
  [["*/temp*"], "temporary", false],
  [["temp?"], "tempa", true],
  [["temp?"], "temp/", false],
  [["."], "a", false],
  [["/a"], "a", false],
];

test("the last pattern that matches a path or one of its parents decides", () => {
  for (const [patterns, path, ignored] of cases)
    assert.equal(createIgnoreMatcher(patterns).ignores(path), ignored, `${JSON.stringify(patterns)} of ${path}`);
});

test("a .dockerignore loses comments, blanks, its mark and leading slashes; its patterns are cleaned", () => {
  const text = "\ufeff# no\n\n  a/b/../c/ \r\n/d\n! /e\n#x\n  #y\n!\n/\n";
  assert.deepEqual(parseIgnoreFile(text), ["a/c", "d", "!e", "#y", "!", "/"]);
});

test("malformed patterns are named", () => {
  for (const pattern of ["a[", "a\\", "[]a]", "[-x]", "[x-]"])
    assert.throws(
      () => createIgnoreMatcher([pattern]),
      { kind: "InvalidParameter", message: /^syntax error in pattern: / },
      pattern,
    );
  assert.throws(() => createIgnoreMatcher(["!"]), { message: 'illegal exclusion pattern: "!"' });
});

test("a directory is left out as a whole only when nothing below can come back", () => {
  const whole = (patterns: readonly string[], directory: string) => createIgnoreMatcher(patterns).ignoresAll(directory);
  assert.equal(whole(["dir"], "dir"), true);
  assert.equal(whole(["dir", "!dir/keep"], "dir"), false);
  assert.equal(whole(["dir", "!other"], "dir"), true);
  assert.equal(whole(["dir", "!**/keep"], "dir"), false);
  assert.equal(whole(["dir", "!d*"], "dir/sub"), false);
  assert.equal(whole(["other"], "dir"), false);
});

test("what is ignored as a whole has nothing below that is not", () => {
  const name = fc.constantFrom("a", "b", "ab");
  const part = fc.constantFrom("a", "b", "*", "**", "a*", "?");
  const pattern = fc
    .tuple(fc.boolean(), fc.array(part, { minLength: 1, maxLength: 3 }))
    .map(([exclusion, parts]) => (exclusion ? "!" : "") + parts.join("/"));
  fc.assert(
    fc.property(
      fc.array(pattern, { maxLength: 5 }),
      fc.array(name, { minLength: 2, maxLength: 4 }),
      (patterns, names) => {
        const matcher = createIgnoreMatcher(patterns);
        const directory = names[0] ?? "";
        if (matcher.ignoresAll(directory)) assert.equal(matcher.ignores(names.join("/")), true);
      },
    ),
  );
});

test("any pattern compiles or is refused, and long ones match in good time", () => {
  fc.assert(
    fc.property(fc.array(fc.string()), fc.string(), (patterns, path) => {
      try {
        createIgnoreMatcher(patterns).ignores(path);
      } catch (error) {
        assert.ok(isEngineError(error, "InvalidParameter"));
      }
    }),
  );
  const matcher = createIgnoreMatcher([`${"*a".repeat(100)}b?`, `${"**/a".repeat(50)}/b`]);
  assert.equal(matcher.ignores("a".repeat(4000)), false);
});
