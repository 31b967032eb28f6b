import assert from "node:assert/strict";
import { test } from "node:test";
import { parseAddress, parseSubnet, renderAddress } from "./address.ts";
import { AddressSpace } from "./address-space.ts";

function valueOf(text: string): bigint {
  return parseAddress(text)?.value ?? assert.fail(text);
}

function allOf(space: AddressSpace): readonly string[] {
  const all: string[] = [];
  for (let next = space.takeNext(); next !== undefined; next = space.takeNext())
    all.push(renderAddress({ family: space.subnet.family, value: next }));
  return all;
}

test("what a subnet gives out: neither the network's address nor the broadcast address, where there are others", () => {
  for (const [subnet, expected] of [
    ["10.0.0.0/29", ["10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4", "10.0.0.5", "10.0.0.6"]],
    ["10.0.0.0/30", ["10.0.0.1", "10.0.0.2"]],
    ["10.0.0.0/31", ["10.0.0.0", "10.0.0.1"]],
    ["10.0.0.7/32", ["10.0.0.7"]],
    ["fd00::/126", ["fd00::1", "fd00::2", "fd00::3"]],
    ["fd00::/127", ["fd00::1"]],
    ["fd00::/128", []],
  ] as const)
    assert.deepEqual(allOf(new AddressSpace(parseSubnet(subnet))), expected, subnet);
});

test("an ip-range limits what is chosen, not what can be asked for", () => {
  const space = new AddressSpace(parseSubnet("10.0.0.0/24"), parseSubnet("10.0.0.252/30"));
  assert.equal(space.take(valueOf("10.0.0.7")), true);
  assert.deepEqual(allOf(space), ["10.0.0.252", "10.0.0.253", "10.0.0.254"]);
});

test("a freed address comes last", () => {
  const space = new AddressSpace(parseSubnet("10.0.0.0/29"));
  const first = space.takeNext() ?? assert.fail();
  space.takeNext();
  space.free(first);
  assert.deepEqual(allOf(space), ["10.0.0.3", "10.0.0.4", "10.0.0.5", "10.0.0.6", "10.0.0.1"]);
});

test("after a restart the choice goes on after the highest address in use", () => {
  const space = new AddressSpace(parseSubnet("10.0.0.0/29"));
  for (const text of ["10.0.0.4", "10.0.0.2"]) space.adopt(valueOf(text));
  assert.deepEqual(allOf(space), ["10.0.0.5", "10.0.0.6", "10.0.0.1", "10.0.0.3"]);
});

test("takes and frees by chance agree with a plain set, whatever the order", () => {
  const subnet = parseSubnet("10.0.0.0/26");
  for (let round = 0; round < 40; round++) {
    const space = new AddressSpace(subnet);
    const taken = new Set([subnet.base, subnet.base + 63n]);
    for (let i = 0; i < 400; i++) {
      const address = subnet.base + BigInt(1 + Math.floor(Math.random() * 62));
      const what = Math.random();
      if (what < 0.4) {
        const next = space.takeNext();
        assert.equal(next === undefined, taken.size === 64);
        if (next === undefined) continue;
        assert.ok(!taken.has(next) && next > subnet.base && next < subnet.base + 63n);
        taken.add(next);
      } else if (what < 0.6) {
        assert.equal(space.take(address), !taken.has(address));
        taken.add(address);
      } else {
        space.free(address);
        taken.delete(address);
      }
    }
    for (let offset = 1n; offset < 63n; offset++)
      assert.equal(space.take(subnet.base + offset), !taken.has(subnet.base + offset));
  }
});

test("a choice in a /8 or a /64 with 50,000 addresses taken looks at a few places only", () => {
  for (const text of ["10.0.0.0/8", "fd00::/64"]) {
    const space = new AddressSpace(parseSubnet(text));
    for (let i = 0; i < 50_000; i++) space.takeNext();
    const { base } = space.subnet;
    // Neighbours are one run: the last of them is found at once from the beginning.
    assert.equal(space.takeLowest(), base + 50_001n);
    space.free(base + 25_000n);
    assert.equal(space.takeNext(), base + 50_002n);
    assert.equal(space.takeLowest(), base + 25_000n);
  }
});
