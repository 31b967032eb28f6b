import assert from "node:assert/strict";
import { test } from "node:test";
import { isEngineError } from "../base/errors.ts";
import {
  bigInt,
  bool,
  bytes,
  field,
  int,
  mapOf,
  mapOfMessages,
  message,
  nested,
  optional,
  repeated,
  repeatedMessage,
  string,
  uint,
} from "./message.ts";

const Inner = message("test.Inner", { line: field(1, int), text: optional(2, string) });
const Outer = message("test.Outer", {
  name: field(1, string),
  data: field(2, bytes),
  on: field(3, bool),
  count: field(4, int),
  big: field(5, bigInt),
  size: field(6, uint),
  inner: nested(7, Inner),
  list: repeatedMessage(8, Inner),
  numbers: repeated(9, int),
  texts: repeated(10, string),
  labels: mapOf(11, string),
  byName: mapOfMessages(12, Inner),
});
const empty = {
  name: "",
  data: new Uint8Array(0),
  on: false,
  count: 0,
  big: 0n,
  size: 0,
  inner: undefined,
  list: [],
  numbers: [],
  texts: [],
  labels: new Map(),
  byName: new Map(),
};

test("what was encoded is decoded", () => {
  const value = {
    name: "Zür\u{1f600}ich",
    data: new Uint8Array([1, 2, 3]),
    on: true,
    count: -5,
    big: 1_700_000_000_123_456_789n,
    size: 2 ** 40,
    inner: { line: 3, text: "" },
    list: [
      { line: 1, text: undefined },
      { line: 0, text: "x".repeat(300) },
    ],
    numbers: [1, -1, 300],
    texts: ["a", "", "b"],
    labels: new Map([
      ["__proto__", "polluted"],
      ["k", ""],
    ]),
    byName: new Map([["n", { line: 9, text: undefined }]]),
  };
  assert.deepEqual(Outer.decode(Outer.encode(value)), value);
});

test("an empty message has the defaults, and defaults make an empty message", () => {
  assert.deepEqual(Outer.decode(new Uint8Array(0)), empty);
  assert.equal(Outer.encode(empty).length, 0);
  assert.equal(Outer.encode({}).length, 0);
});

test("the bytes are those of the encoding's own examples", () => {
  const Example = message("Test1", {
    a: field(1, int),
    b: field(2, string),
    c: nested(3, message("T", { a: field(1, int) })),
    f: repeated(6, int),
  });
  assert.equal(Buffer.from(Example.encode({ a: 150 })).toString("hex"), "089601");
  assert.equal(Buffer.from(Example.encode({ b: "testing" })).toString("hex"), "120774657374696e67");
  assert.equal(Buffer.from(Example.encode({ c: { a: 150 } })).toString("hex"), "1a03089601");
  assert.equal(Buffer.from(Example.encode({ f: [3, 270, 86942] })).toString("hex"), "3206038e029ea705");
});

test("repeated numbers are read packed and one by one", () => {
  const Numbers = message("N", { f: repeated(6, int) });
  assert.deepEqual(Numbers.decode(Buffer.from("3206038e029ea705", "hex")).f, [3, 270, 86942]);
  assert.deepEqual(Numbers.decode(Buffer.from("3003308e02", "hex")).f, [3, 270]);
});

test("unknown members, and those of another wire type, are skipped", () => {
  const Other = message("O", {
    a: field(1, int),
    z: field(90, string),
    big: field(91, bigInt),
    inner: nested(92, Inner),
  });
  const One = message("O", { a: field(1, int) });
  const encoded = Other.encode({ a: 7, z: "skip me", big: -1n, inner: { line: 2 } });
  assert.deepEqual(One.decode(encoded), { a: 7 });
  const Text = message("O", { a: field(1, string) });
  assert.deepEqual(Text.decode(encoded), { a: "" });
});

test("bytes are views of what was decoded", () => {
  const encoded = Outer.encode({ data: new Uint8Array([1, 2, 3]) });
  assert.equal(Outer.decode(encoded).data.buffer, encoded.buffer);
});

test("a headroom stays free in front of the message", () => {
  const encoded = Outer.encode({ name: "x".repeat(200) }, 5);
  assert.deepEqual(Outer.decode(encoded.subarray(5)).name, "x".repeat(200));
  assert.equal(encoded.length, 5 + 3 + 200);
});

test("no cut or mangled message passes for a whole one, and none ends but by an error of its own kind", () => {
  const whole = Outer.encode({
    name: "name",
    inner: { line: 300, text: "t" },
    labels: { a: "b" },
    big: 5n,
    numbers: [1, 2],
  });
  const clean = new Set([0]);
  // A cut between two members leaves a message; all others must be told.
  const ends = [
    { name: "name" },
    { name: "name", big: 5n },
    { name: "name", big: 5n, inner: { line: 300, text: "t" } },
  ];
  for (const part of ends) clean.add(Outer.encode(part).length);
  clean.add(Outer.encode({ name: "name", big: 5n, inner: { line: 300, text: "t" }, numbers: [1, 2] }).length);
  for (let length = 0; length < whole.length; length++) {
    if (clean.has(length)) continue;
    assert.throws(
      () => Outer.decode(whole.subarray(0, length)),
      (error) => isEngineError(error, "InvalidParameter"),
      `cut at ${length}`,
    );
  }
  for (let i = 0; i < whole.length; i++)
    for (const byte of [0, 0x7f, 0x80, 0xff]) {
      const mangled = Uint8Array.from(whole);
      mangled[i] = byte;
      try {
        Outer.decode(mangled);
      } catch (error) {
        assert.ok(isEngineError(error, "InvalidParameter"), String(error));
      }
    }
});
