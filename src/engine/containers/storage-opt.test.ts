import assert from "node:assert/strict";
import { test } from "node:test";
import { parseStorageOpt } from "./storage-opt.ts";

test("a size is read as docker reads sizes, its key in any case, and 0 is no limit", () => {
  assert.deepEqual(parseStorageOpt(undefined), { errors: [], isSized: false, sizeBytes: undefined });
  assert.deepEqual(parseStorageOpt({ size: "10G" }), { errors: [], isSized: true, sizeBytes: 10 * 2 ** 30 });
  assert.deepEqual(parseStorageOpt({ SIZE: "1.5m" }), { errors: [], isSized: true, sizeBytes: 1.5 * 2 ** 20 });
  assert.deepEqual(parseStorageOpt({ size: "0" }), { errors: [], isSized: true, sizeBytes: undefined });
});

test("unknown options and bad sizes are all complained about, in dockerd's words", () => {
  assert.deepEqual(parseStorageOpt({ Foo: "1", size: "much" }).errors, ["Unknown option foo", "invalid size: 'much'"]);
  assert.deepEqual(parseStorageOpt({ size: "" }).errors, ["invalid size: ''"]);
  assert.deepEqual(parseStorageOpt({ size: "-1" }).errors, ["invalid size: '-1'"]);
});
