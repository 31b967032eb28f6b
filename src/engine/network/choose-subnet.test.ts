import assert from "node:assert/strict";
import { test } from "node:test";
import { chooseBridgeAddress, parseBip } from "./choose-subnet.ts";
import { parseSubnet } from "./ipam/index.ts";

test("bip is the bridge's own address", () => {
  assert.deepEqual(parseBip("10.9.0.1/24"), { subnet: "10.9.0.0/24", gateway: "10.9.0.1" });
  for (const text of ["x", "10.9.0.1", "10.9.0.0/24", "10.9.0.255/24", "10.9.0.1/31", "10.9.0.1/4", "fd00::1/64"])
    assert.throws(() => parseBip(text), { kind: "InvalidParameter", message: /^invalid bip/ }, text);
});

const pooled = { subnet: "172.17.0.0/16", gateway: "172.17.0.1" };
const choice = {
  bip: undefined,
  before: undefined,
  held: false,
  existing: undefined,
  used: [],
  choose: () => pooled,
};

test("bip wins over what was, running containers over bip, what was over a bridge that is there, all of them over the pools", () => {
  const before = { subnet: "172.19.0.0/16", gateway: "172.19.0.1" };
  assert.deepEqual(chooseBridgeAddress(choice), pooled);
  assert.equal(chooseBridgeAddress({ ...choice, before, bip: "10.9.0.1/24" }).gateway, "10.9.0.1");
  assert.deepEqual(chooseBridgeAddress({ ...choice, before, held: true, bip: "10.9.0.1/24" }), before);
  assert.deepEqual(chooseBridgeAddress({ ...choice, before, existing: "172.30.0.1/16" }), before);
  assert.equal(chooseBridgeAddress({ ...choice, existing: "172.30.0.1/16" }).gateway, "172.30.0.1");
  const used = [parseSubnet("172.19.0.0/24")];
  assert.deepEqual(chooseBridgeAddress({ ...choice, before, used }), pooled);
});
