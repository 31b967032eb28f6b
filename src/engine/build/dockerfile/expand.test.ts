// Expansion of words against BuildKit 0.25.

import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { isEngineError } from "../../../base/errors.ts";
import { expandHeredoc, expandWord, expandWords } from "./expand.ts";
import type { Lookup } from "./index.ts";

const values: Readonly<Record<string, string>> = {
  a: "x y",
  empty: "",
  path: "foo/bar/baz.tar.gz",
  lines: "a\nb",
  stars: "a*b*c",
};
const lookup: Lookup = (name) => (Object.hasOwn(values, name) ? values[name] : undefined);

const cases: readonly (readonly [word: string, text: string])[] = [
  ["$a", "x y"],
  ["${a}b", "x yb"],
  ["$ab", ""],
  ["'$a'", "$a"],
  ['"$a"', "x y"],
  ["\\$a", "$a"],
  ['"\\$a \\" \\n"', '$a " \\n'],
  ["$", "$"],
  ["a$", "a$"],
  ["$/x", "$/x"],
  ["${none:-d}", "d"],
  ["${empty:-d}", "d"],
  ["${empty-d}", ""],
  ["${none-d}", "d"],
  ["${none+w}", ""],
  ["${empty+w}", "w"],
  ["${empty:+w}", ""],
  ["${a:+w}", "w"],
  ["${a:?m}", "x y"],
  ["${none:-${empty:-$a}}", "x y"],
  ["${none:-'}'}", "}"],
  ["${path#*/}", "bar/baz.tar.gz"],
  ["${path##*/}", "baz.tar.gz"],
  ["${path%.*}", "foo/bar/baz.tar"],
  ["${path%%.*}", "foo/bar/baz"],
  ["${path#x}", "foo/bar/baz.tar.gz"],
  ["${path%?z}", "foo/bar/baz.tar."],
  ["${path/a/Z}", "foo/bZr/baz.tar.gz"],
  ["${path//a/Z}", "foo/bZr/bZz.tZr.gz"],
  ["${path//\\//-}", "foo-bar-baz.tar.gz"],
  ["${path/b*z/_}", "foo/_"],
  ["${path//[/x}", "foo/bar/baz.tar.gz"],
  ["${stars//\\*/+}", "a+b+c"],
  ["${stars#a\\*}", "b*c"],
  ["${lines//*/x}", "x\nx"],
  ["${none/a/b}", ""],
  ["$1${2}", ""],
  ["$$", ""],
  ["a\\", "a"],
];

test("every operator", () => {
  for (const [word, text] of cases) assert.equal(expandWord(word, lookup, "\\").text, text, word);
});

test("the escape character is the file's", () => {
  assert.equal(expandWord("`$a \\x", lookup, "`").text, "$a \\x");
});

test("what is wrong is told in BuildKit's words", () => {
  for (const [word, reason] of [
    ["${b:?oops}", "b: oops"],
    ["${b?}", "b: is not allowed to be unset"],
    ["${empty:?}", "empty: is not allowed to be empty"],
    ["${b@x}", "unsupported modifier (@) in substitution"],
    ["${b", "unsupported modifier (\ufffd) in substitution"],
    ["${", "syntax error: missing '}'"],
    ["${}", "syntax error: bad substitution"],
    ["${b:=x}", "unsupported modifier (:=) in substitution"],
    ["${b/x}", "syntax error: missing '/' in ${}"],
    ["${b/x/y", "syntax error: missing '}'"],
    ["${b:}", "syntax error: missing '}'"],
    ["'x", "unexpected end of statement while looking for matching single-quote"],
    ['"x', "unexpected end of statement while looking for matching double-quote"],
    ["${b#\\x}", "invalid pattern (\\x) in substitution: invalid escape '\\x'"],
  ] as const)
    assert.throws(() => expandWord(word, lookup, "\\"), {
      kind: "InvalidParameter",
      message: `failed to process ${JSON.stringify(word)}: ${reason}`,
    });
});

test("names that were used and not set are told", () => {
  const { used, unset } = expandWord("$a ${b:-$c} $b ${a:+$d}", lookup, "\\");
  assert.deepEqual(
    [used, unset],
    [
      ["a", "c", "b", "d"],
      ["c", "b", "d"],
    ],
  );
});

test("words are split at spaces outside of quotes, also those of values", () => {
  assert.deepEqual(expandWords(`$a "$a" b\\ c  'd e'f ""`, lookup, "\\"), ["x", "y", "x y", "b c", "d ef"]);
});

test("a heredoc keeps its quotes", () => {
  assert.equal(expandHeredoc(`"$a" '$a' \\$a it's\n`, lookup).text, `"x y" 'x y' $a it's\n`);
});

test("expansion is total, and bounded for hostile patterns and nesting", () => {
  const part = fc.constantFrom(
    "$",
    "{",
    "}",
    "a",
    "path",
    ":",
    "-",
    "+",
    "?",
    "#",
    "%",
    "/",
    "*",
    "\\",
    '"',
    "'",
    " ",
    "`",
    "𝔘",
  );
  const total = (run: () => unknown) => {
    try {
      run();
    } catch (error) {
      assert.ok(isEngineError(error, "InvalidParameter"), String(error));
    }
  };
  fc.assert(
    fc.property(fc.array(part, { maxLength: 40 }), fc.constantFrom("\\" as const, "`" as const), (parts, escape) => {
      total(() => expandWord(parts.join(""), lookup, escape));
      total(() => expandHeredoc(parts.join(""), lookup));
    }),
    { numRuns: 3000 },
  );
  total(() => expandWord("${a:-".repeat(100_000), lookup, "\\"));
  const long = "a".repeat(20_000);
  total(() => expandWord(`\${v//${"*a".repeat(50)}b/x}`, () => long, "\\"));
  total(() => expandWord(`\${v%${"*a".repeat(50)}b}`, () => long, "\\"));
});
