import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { isEngineError } from "../../base/errors.ts";
import { JsonNumber, type JsonValue, parseJson } from "./json.ts";

function plain(value: JsonValue): unknown {
  if (value instanceof JsonNumber) return Number(value.text);
  if (Array.isArray(value)) return value.map(plain);
  if (value instanceof Map) {
    const object = Object.create(null) as Record<string, unknown>;
    for (const [key, member] of value as ReadonlyMap<string, JsonValue>) object[key] = plain(member);
    return object;
  }
  return value;
}

function messageFor(text: string): string {
  try {
    parseJson(text);
  } catch (error) {
    assert.ok(isEngineError(error, "InvalidParameter"));
    return error.message;
  }
  return "accepted";
}

test("whatever JSON.stringify writes is read back the same", () => {
  fc.assert(
    fc.property(fc.jsonValue({ maxDepth: 6 }), (value) => {
      const text = JSON.stringify(value);
      assert.equal(JSON.stringify(plain(parseJson(text))), JSON.stringify(JSON.parse(text)));
    }),
    { numRuns: 2_000 },
  );
});

test("accepts exactly what JSON.parse accepts, within the limits", () => {
  const pieces = [
    "{",
    "}",
    "[",
    "]",
    ":",
    ",",
    '"a"',
    '"',
    "1",
    "-",
    ".5",
    "e9",
    "0",
    "tru",
    "true",
    "null",
    " ",
    "\\",
    "\n",
    "\u0001",
  ];
  fc.assert(
    fc.property(fc.array(fc.constantFrom(...pieces), { maxLength: 9 }), (parts) => {
      const text = parts.join("");
      let accepted = true;
      try {
        JSON.parse(text);
      } catch {
        accepted = false;
      }
      assert.equal(messageFor(text) === "accepted", accepted, text);
    }),
    { numRuns: 5_000 },
  );
});

test("errors have Go's texts", () => {
  assert.deepEqual(
    [
      "{",
      '{"a":1,}',
      "{'a':1}",
      '{"a":"\\x"}',
      '{"a" "x"}',
      '{"a":tru}',
      '{"a":"x',
      '{"a":01}',
      "\ufeff{}",
      '{"a":"a\tb"}',
      "[1 2]",
      "{} x",
    ].map(messageFor),
    [
      "unexpected EOF",
      "invalid character '}' looking for beginning of object key string",
      String.raw`invalid character '\'' looking for beginning of object key string`,
      String.raw`invalid escape sequence ${"`"}\x${"`"} in string`,
      `invalid character '"' after object key`,
      "invalid character '}' in literal true (expecting 'e')",
      "unexpected EOF",
      "invalid character '1' after object key:value pair",
      String.raw`invalid character '\ufeff' looking for beginning of value`,
      String.raw`invalid character '\t' in string`,
      "invalid character '2' after array element",
      "unexpected content after JSON",
    ],
  );
});

test("depth and counts are bounded without recursion running away", () => {
  assert.equal(messageFor("[".repeat(64) + "]".repeat(64)), "accepted");
  assert.equal(messageFor("[".repeat(65) + "]".repeat(65)), "exceeded max depth");
  assert.equal(messageFor("[".repeat(1_000_000)), "exceeded max depth");
  assert.equal(messageFor('{"a":'.repeat(1_000_000)), "exceeded max depth");
  assert.match(messageFor(`[${"1,".repeat(100_001)}1]`), /more than 100000 elements/);
  const keys = Array.from({ length: 10_001 }, (_, i) => `"k${i}":1`).join(",");
  assert.match(messageFor(`{${keys}}`), /more than 10000 keys/);
});

test("__proto__ is a key like any other and reaches no prototype", () => {
  const value = parseJson('{"__proto__":{"polluted":true}}');
  assert.ok(value instanceof Map);
  assert.deepEqual([...value.keys()], ["__proto__"]);
  assert.equal(({} as { polluted?: boolean }).polluted, undefined);
});

test("surrogates that have no partner become U+FFFD", () => {
  assert.equal(parseJson(String.raw`"\ud800x"`), "\ufffdx");
  assert.equal(parseJson(String.raw`"\ud83d\ude00"`), "\u{1f600}");
});
