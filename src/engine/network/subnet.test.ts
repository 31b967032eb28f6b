import assert from "node:assert/strict";
import { test } from "node:test";
import { chooseBridgeAddress, parseBip, parseRoutes } from "./choose-subnet.ts";
import { AddressPool } from "./ipam.ts";
import {
  contains,
  macOfAddress,
  overlaps,
  parseAddress,
  parseCidr,
  parseMac,
  parseSubnet,
  renderAddress,
  renderSubnet,
} from "./subnet.ts";

test("addresses are read and written; what is none is refused", () => {
  for (const text of ["0.0.0.0", "172.17.0.2", "255.255.255.255"])
    assert.equal(renderAddress(parseAddress(text) ?? 1), text);
  for (const text of ["", "1.2.3", "1.2.3.4.5", "256.1.1.1", "01.2.3.4", "1.2.3.x", "1.2.3.4\n"])
    assert.equal(parseAddress(text), undefined, JSON.stringify(text));
});

test("a subnet is masked, and knows what is in it and what it overlaps", () => {
  const subnet = parseSubnet("172.17.3.9/16");
  assert.equal(renderSubnet(subnet), "172.17.0.0/16");
  assert.equal(contains(subnet, parseAddress("172.17.255.255") ?? 0), true);
  assert.equal(contains(subnet, parseAddress("172.18.0.0") ?? 0), false);
  assert.equal(overlaps(subnet, parseSubnet("172.16.0.0/12")), true);
  assert.equal(overlaps(subnet, parseSubnet("172.17.9.0/24")), true);
  assert.equal(overlaps(subnet, parseSubnet("172.18.0.0/16")), false);
  assert.equal(overlaps(subnet, parseSubnet("0.0.0.0/0")), true);
  assert.equal(parseCidr("1.2.3.4/33"), undefined);
});

test("a MAC comes from the address; a given one is brought to one form, and must be unicast", () => {
  assert.equal(macOfAddress(parseAddress("172.17.0.2") ?? 0), "02:42:ac:11:00:02");
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
});

test("bip is the bridge's own address", () => {
  assert.deepEqual(parseBip("10.9.0.1/24"), { subnet: "10.9.0.0/24", gateway: "10.9.0.1" });
  for (const text of ["x", "10.9.0.1", "10.9.0.0/24", "10.9.0.255/24", "10.9.0.1/31", "10.9.0.1/4"])
    assert.throws(() => parseBip(text), { kind: "InvalidParameter", message: /^invalid bip/ }, text);
});

const choice = { bip: undefined, before: undefined, held: false, existing: undefined, used: [] };

test("the first range that the host does not use is taken", () => {
  assert.deepEqual(chooseBridgeAddress(choice), { subnet: "172.17.0.0/16", gateway: "172.17.0.1" });
  const used = [parseSubnet("172.17.5.0/24"), parseSubnet("172.18.0.0/15")];
  assert.equal(chooseBridgeAddress({ ...choice, used }).subnet, "172.20.0.0/16");
  assert.equal(chooseBridgeAddress({ ...choice, used: [parseSubnet("172.16.0.0/12")] }).subnet, "192.168.0.0/20");
  const all = [parseSubnet("172.16.0.0/12"), parseSubnet("192.168.0.0/16")];
  assert.throws(() => chooseBridgeAddress({ ...choice, used: all }), { kind: "Unavailable" });
});

test("bip wins over what was, running containers over bip, what was over a bridge that is there", () => {
  const before = { subnet: "172.19.0.0/16", gateway: "172.19.0.1" };
  assert.equal(chooseBridgeAddress({ ...choice, before, bip: "10.9.0.1/24" }).gateway, "10.9.0.1");
  assert.deepEqual(chooseBridgeAddress({ ...choice, before, held: true, bip: "10.9.0.1/24" }), before);
  assert.deepEqual(chooseBridgeAddress({ ...choice, before, existing: "172.30.0.1/16" }), before);
  assert.equal(chooseBridgeAddress({ ...choice, existing: "172.30.0.1/16" }).gateway, "172.30.0.1");
  const used = [parseSubnet("172.19.0.0/24")];
  assert.equal(chooseBridgeAddress({ ...choice, before, used }).subnet, "172.17.0.0/16");
});

test("routes of the host count, but not the default one, unreachable ones, and the bridge's own", () => {
  const text = [
    "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT",
    "eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0",
    "eth0\t000200C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0",
    "*\t000010AC\t00000000\t0201\t0\t0\t4096\t0000F0FF\t0\t0\t0",
    "gantry0\t000011AC\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0",
    "tun0\t010011AC\t00000000\t0005\t0\t0\t0\tFFFFFFFF\t0\t0\t0",
    "",
  ].join("\n");
  assert.deepEqual(parseRoutes(text, "gantry0").map(renderSubnet), ["192.0.2.0/24", "172.17.0.1/32"]);
});

test("addresses are given out in order, and a freed one comes last", () => {
  const pool = new AddressPool(parseSubnet("10.0.0.0/29"), [parseAddress("10.0.0.1") ?? 0]);
  const next = (): string => renderAddress(pool.allocate());
  assert.deepEqual([next(), next()], ["10.0.0.2", "10.0.0.3"]);
  pool.free(parseAddress("10.0.0.2") ?? 0);
  assert.deepEqual([next(), next(), next(), next()], ["10.0.0.4", "10.0.0.5", "10.0.0.6", "10.0.0.2"]);
  assert.throws(next, { kind: "Unavailable", message: /no available IPv4 addresses/ });
});

test("adopted addresses are not given out again", () => {
  const pool = new AddressPool(parseSubnet("10.0.0.0/29"), [parseAddress("10.0.0.1") ?? 0]);
  pool.adopt(parseAddress("10.0.0.5") ?? 0);
  assert.equal(renderAddress(pool.allocate()), "10.0.0.6");
  assert.equal(renderAddress(pool.allocate()), "10.0.0.2");
  assert.equal(pool.size, 3);
});
