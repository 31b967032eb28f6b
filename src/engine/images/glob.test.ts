import assert from "node:assert/strict";
import { test } from "node:test";
import { parseGlob } from "./glob.ts";

test("patterns match as Go's path.Match does", () => {
  const cases: readonly (readonly [string, string, boolean])[] = [
    ["app", "app", true],
    ["app", "apps", false],
    ["*", "", true],
    ["*", "a/b", false],
    ["*/*", "a/b", true],
    ["**/b", "a/b", true],
    ["**", "a/b", false],
    ["a?p", "app", true],
    ["a?b", "a/b", false],
    ["a*b*c", "a-bb-c", true],
    ["a*b*c", "a/bc", false],
    ["*a*a", "aXaa", true],
    ["*:[0-9]", "x:3", true],
    ["[^a-c]pp", "app", false],
    ["[^a-c]pp", "dpp", true],
    ["a[p-a]p", "app", false],
    ["[ab-d]", "c", true],
    [String.raw`a\pp`, "app", true],
    [String.raw`\*`, "*", true],
    [String.raw`\*`, "x", false],
    [String.raw`[\-x]`, "-", true],
    ["[é]", "é", true],
    ["a]", "a]", true],
    ["", "", true],
    ["", "a", false],
    ["[^/]", "/", false],
    ["[^x]", "/", true],
  ];
  for (const [pattern, text, expected] of cases)
    assert.equal(parseGlob(pattern)(text), expected, `${pattern} against ${text}`);
});

test("malformed patterns are refused, whatever they would be matched against", () => {
  for (const pattern of ["[", "[a", "[]", "[]a]", "[^]", "[^]a]", "[-x]", "[x-]", "[a-b-c]", "a[", "a\\", "[\\", "x["])
    assert.throws(() => parseGlob(pattern), { kind: "InvalidParameter", message: "syntax error in pattern" }, pattern);
});

test("a pattern of many stars takes no time that grows with their number", () => {
  assert.equal(parseGlob("a*".repeat(200) + "b")("a".repeat(1000)), false);
});
