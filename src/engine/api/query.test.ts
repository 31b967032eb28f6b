import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { isEngineError } from "../../base/errors.ts";
import { parseFilters } from "./filters.ts";
import { parseTimestamp, Query } from "./query.ts";

function refusal(action: () => unknown): string {
  try {
    action();
  } catch (error) {
    assert.ok(isEngineError(error, "InvalidParameter"));
    return error.message;
  }
  return "accepted";
}

test("booleans are true but for a few words", () => {
  const values = ["", "0", "no", "false", "none", "FALSE", " no ", "1", "true", "t", "f", "yes", "foo", "00"];
  assert.deepEqual(
    values.map((value) => new Query(`a=${encodeURIComponent(value)}`).bool("a")),
    [false, false, false, false, false, false, false, true, true, true, true, true, true, true],
  );
  assert.equal(new Query("a").bool("a"), false);
  assert.equal(new Query("").boolOr("a", true), true);
  assert.equal(new Query("a=0").boolOr("a", true), false);
});

test("integers are strconv's", () => {
  assert.equal(new Query("n=-5").int("n"), -5);
  assert.equal(new Query("n=%2B5").int("n"), 5);
  assert.equal(new Query("n=").int("n"), undefined);
  assert.deepEqual(
    ["abc", "1.5", "0x1", "99999999999999999999", "9".repeat(4000)].map((n) =>
      refusal(() => new Query(`n=${n}`).int("n")),
    ),
    [
      'strconv.Atoi: parsing "abc": invalid syntax',
      'strconv.Atoi: parsing "1.5": invalid syntax',
      'strconv.Atoi: parsing "0x1": invalid syntax',
      'strconv.Atoi: parsing "99999999999999999999": value out of range',
      `strconv.Atoi: parsing "${"9".repeat(256)}": value out of range`,
    ],
  );
});

test("the first value counts, plus is a space, escapes are decoded", () => {
  const query = new Query("a=1&a=2&b=x+y%2Bz&%63=d&e==&&f");
  assert.equal(query.text("a"), "1");
  assert.deepEqual(query.all("a"), ["1", "2"]);
  assert.equal(query.text("b"), "x y+z");
  assert.equal(query.text("c"), "d");
  assert.equal(query.text("e"), "=");
  assert.equal(query.has("f"), true);
  assert.equal(query.text("constructor"), "");
  assert.equal(new Query("a=%ff").text("a"), "\ufffd");
});

test("bad escapes and semicolons are refused", () => {
  assert.equal(
    refusal(() => new Query("a=%zz")),
    'invalid URL escape "%zz"',
  );
  assert.equal(
    refusal(() => new Query("a=1;b=2")),
    "invalid semicolon separator in query",
  );
});

test("times are unix seconds with nanoseconds, RFC 3339 or durations before now", () => {
  assert.equal(parseTimestamp("1"), 1_000_000_000n);
  assert.equal(parseTimestamp("1.5"), 1_500_000_000n);
  assert.equal(parseTimestamp("1136073600.000000001"), 1_136_073_600_000_000_001n);
  assert.equal(parseTimestamp("1.1234567899"), 1_123_456_789n);
  assert.equal(parseTimestamp("-1.5"), -1_500_000_000n);
  assert.equal(parseTimestamp("2006-01-01T00:00:00.000000001Z"), 1_136_073_600_000_000_001n);
  const tenMinutesAgo = BigInt(Date.now()) * 1_000_000n - 600_000_000_000n;
  const difference = parseTimestamp("10m") - tenMinutesAgo;
  assert.ok(difference >= 0n && difference < 10_000_000_000n, `${difference}`);
  assert.ok(parseTimestamp("1h30m1.5s") < tenMinutesAgo);
  assert.deepEqual(
    ["abc", "1.", ".5", "1e400", "1.abc", "2020-13-45", "99999999999999999999"].map((text) =>
      refusal(() => parseTimestamp(text)),
    ),
    [
      'strconv.ParseInt: parsing "abc": invalid syntax',
      'strconv.ParseInt: parsing "1.": invalid syntax',
      'strconv.ParseInt: parsing ".5": invalid syntax',
      'strconv.ParseInt: parsing "1e400": invalid syntax',
      'strconv.ParseInt: parsing "1.abc": invalid syntax',
      'strconv.ParseInt: parsing "2020-13-45": invalid syntax',
      'strconv.ParseInt: parsing "99999999999999999999": value out of range',
    ],
  );
});

test("filters come in two forms", () => {
  const expected = new Map([["status", ["running", "paused"]]]);
  assert.deepEqual(parseFilters('{"status":["running","paused","running"]}', ["status"]), expected);
  assert.deepEqual(parseFilters('{"status":{"running":true,"paused":true}}', ["status"]), expected);
  for (const empty of ["", "null", "{}"]) assert.equal(parseFilters(empty, []).size, 0);
});

test("filters that are none, or not for this operation, are refused", () => {
  const bad = [
    "abc",
    "[]",
    "{",
    '""',
    '{"a":1}',
    '{"a":"b"}',
    '{"a":{"b":"c"}}',
    '{"a":[1]}',
    '{"a":[["b"]]}',
    '{"a":["b"]} x',
  ];
  for (const text of bad)
    assert.equal(
      refusal(() => parseFilters(text)),
      "invalid filter",
      text,
    );
  assert.equal(
    refusal(() => parseFilters('{"foo":["x"]}', ["status"])),
    "invalid filter 'foo'",
  );
  assert.equal(
    refusal(() => parseFilters('{"__proto__":["x"]}', ["status"])),
    "invalid filter '__proto__'",
  );
});

test("any text is a query, a time and a filter, or refused", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary", maxLength: 60 }), (text) => {
      refusal(() => new Query(text));
      refusal(() => new Query(`n=${text}`).int("n"));
      refusal(() => parseTimestamp(text));
      refusal(() => parseFilters(text));
    }),
    { numRuns: 5_000 },
  );
});
