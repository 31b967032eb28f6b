import assert from "node:assert/strict";
import { isIPv4, isIPv6 } from "node:net";
import { test } from "node:test";
import {
  contains,
  lastOf,
  overlaps,
  parseAddress,
  parseCidr,
  parseSubnet,
  renderAddress,
  renderSubnet,
} from "./address.ts";

test("addresses are printed as Go prints them", () => {
  for (const [text, canonical] of [
    ["172.17.0.2", "172.17.0.2"],
    ["0.0.0.0", "0.0.0.0"],
    ["255.255.255.255", "255.255.255.255"],
    ["::", "::"],
    ["::1", "::1"],
    ["1::", "1::"],
    ["FD00:0:0::0:A", "fd00::a"],
    ["fd00:0:1:0:0:0:2:3", "fd00:0:1::2:3"],
    // The first of two runs of one length; a single zero group stays.
    ["1:0:0:2:0:0:3:4", "1::2:0:0:3:4"],
    ["1:0:2:3:4:5:6:7", "1:0:2:3:4:5:6:7"],
    ["1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0"],
    ["::ffff:10.0.0.1", "::ffff:10.0.0.1"],
    ["64:ff9b::192.0.2.1", "64:ff9b::c000:201"],
    ["0001:0db8:00a0::", "1:db8:a0::"],
  ] as const) {
    const address = parseAddress(text);
    assert.ok(address !== undefined, text);
    assert.equal(renderAddress(address), canonical, text);
  }
});

test("what is no address is none", () => {
  for (const text of [
    "",
    "1.2.3",
    "1.2.3.4.5",
    "01.2.3.4",
    "256.1.1.1",
    "1.2.3.4/8",
    " 1.2.3.4",
    "1.2.3.-4",
    ":",
    ":::",
    "1::2::3",
    "12345::",
    "1:2:3:4:5:6:7",
    "1:2:3:4:5:6:7:8:9",
    "1:2:3:4:5:6:7:8::",
    "::1.2.3",
    "1.2.3.4::",
    "::1.2.3.4:5",
    "fe80::1%eth0",
    "::g",
    "banana",
  ])
    assert.equal(parseAddress(text), undefined, text);
});

test("random texts are read exactly where Node takes them for addresses", () => {
  const alphabet = "0123456789abcdef::..";
  for (let i = 0; i < 20_000; i++) {
    const text = Array.from({ length: 1 + Math.floor(Math.random() * 12) }, () =>
      alphabet.charAt(Math.floor(Math.random() * alphabet.length)),
    ).join("");
    assert.equal(parseAddress(text) !== undefined, isIPv4(text) || isIPv6(text), text);
  }
});

test("every address is read back as it was printed", () => {
  for (let i = 0; i < 5_000; i++) {
    const zeros = Math.floor(Math.random() * 256);
    const groups = Array.from({ length: 8 }, (_, n) =>
      (zeros >> n) & 1 ? 0n : BigInt(Math.floor(Math.random() * 65536)),
    );
    const address = { family: 6, value: groups.reduce((sum, group) => (sum << 16n) | group, 0n) } as const;
    assert.deepEqual(parseAddress(renderAddress(address)), address);
  }
});

test("subnets know their ends, what they contain and what they overlap", () => {
  const subnet = parseSubnet("10.5.3.7/22");
  assert.equal(renderSubnet(subnet), "10.5.0.0/22");
  assert.equal(renderAddress({ family: 4, value: lastOf(subnet) }), "10.5.3.255");
  assert.equal(renderSubnet(parseSubnet("fd00:1:2:3:4::/64")), "fd00:1:2:3::/64");
  assert.equal(renderSubnet(parseSubnet("255.1.2.3/0")), "0.0.0.0/0");
  const is = (a: string, b: string): boolean => overlaps(parseSubnet(a), parseSubnet(b));
  assert.deepEqual(
    [
      is("10.0.0.0/8", "10.5.0.0/24"),
      is("10.5.0.0/24", "10.0.0.0/8"),
      is("10.5.0.0/24", "10.5.1.0/24"),
      is("0.0.0.0/0", "::/0"),
      is("fd00::/48", "fd00:0:0:1::/64"),
    ],
    [true, true, false, false, true],
  );
  const address = parseAddress("10.5.0.9");
  assert.ok(address !== undefined && contains(parseSubnet("10.5.0.8/29"), address));
});

test("what is no CIDR is none", () => {
  for (const text of ["10.0.0.0/33", "10.0.0.0", "10.0.0.0/", "10.0.0.0/-1", "10.0.0.0/08", "fd00::/129", "/8", "a/b"])
    assert.equal(parseCidr(text), undefined, text);
  assert.throws(() => parseSubnet("10.0.0.0/33"), { message: "invalid CIDR address: 10.0.0.0/33" });
});
