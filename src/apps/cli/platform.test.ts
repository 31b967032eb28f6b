// --platform in docker's forms and words.

import assert from "node:assert/strict";
import { test } from "node:test";
import { parsePlatform, platformParameter } from "./platform.ts";

test("platforms in their normal form", () => {
  const cases: Readonly<Record<string, string>> = {
    "linux/amd64": '{"architecture":"amd64","os":"linux"}',
    "linux/arm/v7": '{"architecture":"arm","os":"linux","variant":"v7"}',
    "linux/arm": '{"architecture":"arm","os":"linux","variant":"v7"}',
    "linux/arm64/v8": '{"architecture":"arm64","os":"linux"}',
    aarch64: '{"architecture":"arm64","os":"linux"}',
    "Linux/x86_64": '{"architecture":"amd64","os":"linux"}',
  };
  for (const [text, json] of Object.entries(cases)) assert.equal(platformParameter(text), json, text);
  assert.equal(platformParameter(""), undefined);
});

test("what is none is refused in docker's words", () => {
  assert.throws(() => parsePlatform("foo"), {
    message: '"foo": unknown operating system or architecture: invalid argument',
  });
  assert.throws(() => parsePlatform("a/b/c/d"), {
    message: '"a/b/c/d": cannot parse platform specifier: invalid argument',
  });
  assert.throws(
    () => platformParameter("linux/a b"),
    /^Error: invalid platform: "a b" is an invalid component of "linux\/a b"/,
  );
});
