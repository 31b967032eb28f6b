import assert from "node:assert/strict";
import { test } from "node:test";
import { parseAddress } from "./ipam/index.ts";
import { macOfAddress, parseMac, randomMac } from "./mac.ts";

test("a MAC comes from the address; a given one is brought to one form, and must be unicast", () => {
  assert.equal(macOfAddress(parseAddress("172.17.0.2") ?? assert.fail()), "02:42:ac:11:00:02");
  assert.equal(macOfAddress(parseAddress("fd00::1:2") ?? assert.fail()), "02:42:00:01:00:02");
  assert.equal(parseMac("02-42-AC-11-00-09"), "02:42:ac:11:00:09");
  assert.equal(parseMac("0242.ac11.0009"), "02:42:ac:11:00:09");
  for (const text of [
    "x",
    "02:42",
    "03:42:ac:11:00:09",
    "00:00:00:00:00:00",
    "02:42:ac:11:00:09\n",
    "02:42-ac:11:00:09",
  ])
    assert.equal(parseMac(text), undefined, text);
  assert.equal(parseMac(randomMac())?.length, 17);
});
