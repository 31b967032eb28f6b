import assert from "node:assert/strict";
import { test } from "node:test";
import { overlaps, parseSubnet, renderSubnet, type Subnet } from "./address.ts";
import { chooseSubnet, complainAboutPool, parsePools } from "./pools.ts";

function chooseAll(pools: ReturnType<typeof parsePools>, family: 4 | 6, used: Subnet[], most: number): string[] {
  const chosen: string[] = [];
  for (let subnet = chooseSubnet(pools, family, used); subnet !== undefined && chosen.length < most; ) {
    assert.ok(!used.some((other) => overlaps(other, subnet as Subnet)));
    used.push(subnet);
    chosen.push(renderSubnet(subnet));
    subnet = chooseSubnet(pools, family, used);
  }
  return chosen;
}

test("the default pools are dockerd's, in its order", () => {
  const all = chooseAll(parsePools([], "engine"), 4, [], 100);
  assert.deepEqual(all, [
    ...Array.from({ length: 15 }, (_, i) => `172.${17 + i}.0.0/16`),
    ...Array.from({ length: 16 }, (_, i) => `192.168.${i * 16}.0/20`),
  ]);
});

test("IPv6 subnets come out of a /48 of the engine's own", () => {
  const [a = "", b = ""] = chooseAll(parsePools([], "engine"), 6, [], 2);
  assert.match(a, /^fd[0-9a-f]{2}:[0-9a-f:]+::\/64$/);
  assert.equal(renderSubnet(parseSubnet(b.replace("/64", "/48"))), a.replace("/64", "/48"));
  assert.notEqual(chooseAll(parsePools([], "other"), 6, [], 1)[0], a);
});

test("configured pools replace the defaults of their family alone", () => {
  const pools = parsePools([{ base: "10.10.0.0/22", size: 24 }], "engine");
  assert.deepEqual(chooseAll(pools, 4, [parseSubnet("10.10.1.128/25")], 100), [
    "10.10.0.0/24",
    "10.10.2.0/24",
    "10.10.3.0/24",
  ]);
  assert.equal(chooseAll(pools, 6, [], 3).length, 3);
});

test("a subnet in use of any size is gone around", () => {
  const pools = parsePools([{ base: "10.0.0.0/8", size: 16 }], "engine");
  const used = ["10.0.0.0/12", "10.16.7.0/24", "10.17.0.0/16", "10.17.3.0/24"].map(parseSubnet);
  assert.equal(renderSubnet(chooseSubnet(pools, 4, used) ?? assert.fail()), "10.18.0.0/16");
});

test("a pool of 2^56 subnets is not walked", () => {
  const pools = parsePools([{ base: "fd00::/8", size: 64 }], "engine");
  assert.equal(renderSubnet(chooseSubnet(pools, 6, [parseSubnet("fd00::/9")]) ?? assert.fail()), "fd80::/64");
});

test("pools that cannot be are refused", () => {
  for (const [base, size, message] of [
    ["10.0.0.0/33", 24, 'invalid base pool "10.0.0.0/33": invalid CIDR address'],
    ["10.0.0.0/16", 8, 'invalid pool size 8 for "10.0.0.0/16": subnets would be larger than the pool'],
    ["10.0.0.0/16", 33, 'invalid pool size 33 for "10.0.0.0/16": it must be between 1 and 32'],
    ["fd00::/48", 129, 'invalid pool size 129 for "fd00::/48": it must be between 1 and 128'],
    ["10.0.0.5/16", 24, 'invalid base pool "10.0.0.5/16": it should be 10.0.0.0/16'],
  ] as const) {
    assert.equal(complainAboutPool({ base, size }), message);
    assert.throws(() => parsePools([{ base, size }], "engine"), { kind: "InvalidParameter", message });
  }
});
