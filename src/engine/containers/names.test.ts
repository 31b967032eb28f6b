import assert from "node:assert/strict";
import { test } from "node:test";
import { adjectives, surnames } from "./name-words.ts";
import { inventName, parseName } from "./names.ts";

test("a name begins with a letter or digit and has at least two characters of the set", () => {
  for (const name of ["ab", "a-b", "0.x", "a_", "/ab", "A".repeat(300)])
    assert.equal(parseName(name), name.replace("/", ""));
  for (const name of ["", "a", "-a", ".a", "_a", "a b", "a*b", "ä1", "//ab", "a/b", "ab\n"]) {
    const message = `Invalid container name (${name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed`;
    assert.throws(() => parseName(name), { kind: "InvalidParameter", message });
  }
});

test("invented names are valid, of two words, and never taken ones", () => {
  const taken = new Set<string>();
  for (let n = 0; n < 2_000; n++) {
    const name = inventName((candidate) => taken.has(candidate));
    assert.match(name, /^[a-z]+_[a-z]+\d*$/);
    assert.equal(parseName(name), name);
    taken.add(name);
  }
  assert.equal(taken.size, 2_000);
});

test("numbers come when the plain names run out", () => {
  assert.match(
    inventName((name) => !/\d{2}$/.test(name)),
    /^[a-z]+_[a-z]+\d{2,}$/,
  );
});

test("no word stands twice in a list", () => {
  for (const words of [adjectives, surnames]) assert.equal(new Set(words).size, words.length);
});
