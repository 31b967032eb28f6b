// What a container with CAP_NET_RAW may put on its network (security.md's N08 and N10; CVE-2020-13401, CVE-2025-52889, -52890): frames
// of its own addresses, and nothing that speaks for somebody else. Each frame is sent as bytes and looked for at its neighbour.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { type Container, Frames, NetworkWorld, networkOf } from "./network-world.ts";

let world: NetworkWorld;
let frames: Frames;
let attacker: Container;
let victim: Container;
let plain: Container;
let plainVictim: Container;
let free: Container;
let freeVictim: Container;

before(async () => {
  world = new NetworkWorld("gspoof");
  frames = new Frames();
  const one = world.addNetwork(networkOf(1));
  const two = world.addNetwork(networkOf(2, { subnets: ["10.2.0.0/24"], gateways: ["10.2.0.1"] }));
  const three = world.addNetwork(networkOf(3, { antiSpoofing: false }));
  attacker = world.addContainer(one, 2);
  victim = world.addContainer(one, 3);
  plain = world.addContainer(two, 2);
  plainVictim = world.addContainer(two, 3);
  free = world.addContainer(three, 2);
  freeVictim = world.addContainer(three, 3);
  await world.firewall.replace();
});

after(async () => {
  frames[Symbol.dispose]();
  await world[Symbol.asyncDispose]();
});

const broadcast = "ff:ff:ff:ff:ff:ff";
const allNodes = "33:33:00:00:00:01";

function mac(text: string): Buffer {
  return Buffer.from(text.replaceAll(":", ""), "hex");
}

function ip4(text: string): Buffer {
  return Buffer.from(text.split(".").map(Number));
}

function ip6(text: string): Buffer {
  const [left = "", right] = text.split("::");
  const groups = (side: string | undefined): string[] => (side === undefined || side === "" ? [] : side.split(":"));
  const [before, after] = [groups(left), groups(right)];
  const all = [...before, ...Array.from({ length: 8 - before.length - after.length }, () => "0"), ...after];
  return Buffer.from(all.map((group) => group.padStart(4, "0")).join(""), "hex");
}

function u16(value: number): Buffer {
  return Buffer.from([value >>> 8, value & 255]);
}

/** RFC 1071. */
function sum(...parts: readonly Uint8Array[]): Buffer {
  const bytes = Buffer.concat(parts);
  let total = 0;
  for (let i = 0; i < bytes.length; i += 2) total += (bytes[i] ?? 0) * 256 + (bytes[i + 1] ?? 0);
  while (total > 0xffff) total = (total & 0xffff) + (total >>> 16);
  return u16(~total & 0xffff);
}

function ether(to: string, from: string, type: number, payload: Uint8Array): Buffer {
  return Buffer.concat([mac(to), mac(from), u16(type), payload]);
}

let serial = 0;

function udp4(from: string, to: string, sport = 4000, dport = 9): Buffer {
  const payload = Buffer.from(`frame ${serial++}`);
  const udp = Buffer.concat([u16(sport), u16(dport), u16(8 + payload.length), u16(0), payload]);
  const head = (check: Uint8Array): Buffer =>
    Buffer.concat([
      Buffer.from([0x45, 0]),
      u16(20 + udp.length),
      u16(1),
      u16(0),
      Buffer.from([64, 17]),
      check,
      ip4(from),
      ip4(to),
    ]);
  return Buffer.concat([head(sum(head(u16(0)))), udp]);
}

function packet6(from: string, to: string, next: number, hops: number, payload: Uint8Array): Buffer {
  const head = Buffer.concat([Buffer.from([0x60, 0, 0, 0]), u16(payload.length), Buffer.from([next, hops])]);
  return Buffer.concat([head, ip6(from), ip6(to), payload]);
}

function pseudo(from: string, to: string, next: number, length: number): Buffer {
  return Buffer.concat([ip6(from), ip6(to), Buffer.from([0, 0]), u16(length), Buffer.from([0, 0, 0, next])]);
}

function udp6(from: string, to: string, sport = 4000, dport = 9): Buffer {
  const payload = Buffer.from(`frame ${serial++}`);
  const udp = (check: Uint8Array): Buffer =>
    Buffer.concat([u16(sport), u16(dport), u16(8 + payload.length), check, payload]);
  const check = sum(pseudo(from, to, 17, 8 + payload.length), udp(u16(0)));
  return packet6(from, to, 17, 64, udp(check));
}

/** An ICMPv6 message of neighbour discovery; `extension` puts an empty hop-by-hop header before it. */
function icmp6(from: string, to: string, type: number, body: Uint8Array, extension = false): Buffer {
  const message = (check: Uint8Array): Buffer => Buffer.concat([Buffer.from([type, 0]), check, body]);
  const whole = message(sum(pseudo(from, to, 58, 4 + body.length), message(u16(0))));
  if (!extension) return packet6(from, to, 58, 255, whole);
  return packet6(from, to, 0, 255, Buffer.concat([Buffer.from([58, 0, 1, 4, 0, 0, 0, 0]), whole]));
}

function option(type: number, address: string): Buffer {
  return Buffer.concat([Buffer.from([type, 1]), mac(address)]);
}

function advert(target: string, ...options: readonly Uint8Array[]): Buffer {
  return Buffer.concat([Buffer.from([0x20, 0, 0, 0]), ip6(target), ...options]);
}

function solicit(target: string, ...options: readonly Uint8Array[]): Buffer {
  return Buffer.concat([Buffer.from([0, 0, 0, 0]), ip6(target), ...options]);
}

function arp(operation: 1 | 2, senderMac: string, sender: string, target: string): Buffer {
  const head = Buffer.from([0, 1, 8, 0, 6, 4, 0, operation]);
  return Buffer.concat([head, mac(senderMac), ip4(sender), mac("00:00:00:00:00:00"), ip4(target)]);
}

function linkLocal({ mac: text }: Container): string {
  const bytes = [...mac(text)];
  bytes[0] = (bytes[0] ?? 0) ^ 2;
  const hex = Buffer.from([...bytes.slice(0, 3), 0xff, 0xfe, ...bytes.slice(3)]).toString("hex");
  return `fe80::${hex.replaceAll(/(....)(?=.)/g, "$1:")}`;
}

interface Cases {
  readonly [what: string]: Buffer;
}

/** Which of the frames that the first sends arrive at the second. */
async function arriving(from: Container, to: Container, cases: Cases): Promise<readonly string[]> {
  const sent = Object.entries(cases);
  const heard = await frames.hear(to.netns, "eth0", () => frames.send(from.netns, "eth0", ...Object.values(cases)));
  return sent
    .filter(([, frame]) => heard.some((line) => line.includes(frame.subarray(14).toString("hex"))))
    .map(([what]) => what);
}

/** What only an owner of the addresses may say. */
function honest(from: Container, to: Container): Cases {
  const own6 = from.ip6 === "" ? {} : honest6(from, to);
  return {
    "IPv4 of its own": ether(to.mac, from.mac, 0x0800, udp4(from.ip, to.ip)),
    "broadcast of its own": ether(broadcast, from.mac, 0x0800, udp4(from.ip, "255.255.255.255")),
    "DHCP as a client with an address": ether(broadcast, from.mac, 0x0800, udp4(from.ip, "255.255.255.255", 68, 67)),
    "ARP request": ether(broadcast, from.mac, 0x0806, arp(1, from.mac, from.ip, to.ip)),
    "ARP answer": ether(to.mac, from.mac, 0x0806, arp(2, from.mac, from.ip, to.ip)),
    "ARP probe": ether(broadcast, from.mac, 0x0806, arp(1, from.mac, "0.0.0.0", from.ip)),
    ...own6,
  };
}

function honest6(from: Container, to: Container): Cases {
  const local = linkLocal(from);
  return {
    "IPv6 of its own": ether(to.mac, from.mac, 0x86dd, udp6(from.ip6, to.ip6)),
    "IPv6 of its link-local address": ether(to.mac, from.mac, 0x86dd, udp6(local, linkLocal(to))),
    solicitation: ether(to.mac, from.mac, 0x86dd, icmp6(from.ip6, to.ip6, 135, solicit(to.ip6, option(1, from.mac)))),
    "solicitation without option": ether(to.mac, from.mac, 0x86dd, icmp6(from.ip6, to.ip6, 135, solicit(to.ip6))),
    "duplicate address detection": ether(allNodes, from.mac, 0x86dd, icmp6("::", "ff02::1", 135, solicit(from.ip6))),
    "duplicate address detection with a nonce": ether(
      allNodes,
      from.mac,
      0x86dd,
      icmp6("::", "ff02::1", 135, solicit(from.ip6, Buffer.from([14, 1, 1, 2, 3, 4, 5, 6]))),
    ),
    advertisement: ether(
      allNodes,
      from.mac,
      0x86dd,
      icmp6(from.ip6, "ff02::1", 136, advert(from.ip6, option(2, from.mac))),
    ),
    "advertisement of its link-local address": ether(
      to.mac,
      from.mac,
      0x86dd,
      icmp6(local, linkLocal(to), 136, advert(local, option(2, from.mac))),
    ),
    "echo request": ether(to.mac, from.mac, 0x86dd, icmp6(from.ip6, to.ip6, 128, Buffer.from([0, 1, 0, 1]))),
  };
}

/** What speaks for somebody else, or for a router, a DHCP server, another LAN. */
function forged(from: Container, to: Container, gateway: string, gateway6: string): Cases {
  const strange = "02:42:99:99:99:99";
  const nd = (source: string, type: number, body: Uint8Array, extension = false): Buffer =>
    ether(to.mac, from.mac, 0x86dd, icmp6(source, to.ip6 === "" ? "fe80::1" : to.ip6, type, body, extension));
  const own = from.ip6 === "" ? linkLocal(from) : from.ip6;
  const tagged = Buffer.concat([u16(5), u16(0x0800), udp4(from.ip, to.ip)]);
  return {
    "IPv4 of the gateway": ether(to.mac, from.mac, 0x0800, udp4(gateway, to.ip)),
    "IPv4 of a stranger": ether(to.mac, from.mac, 0x0800, udp4("192.0.2.9", to.ip)),
    "IPv4 without an address": ether(broadcast, from.mac, 0x0800, udp4("0.0.0.0", "255.255.255.255", 68, 67)),
    "own IPv4 with another MAC": ether(to.mac, strange, 0x0800, udp4(from.ip, to.ip)),
    "ARP answer for the gateway": ether(to.mac, from.mac, 0x0806, arp(2, from.mac, gateway, to.ip)),
    "ARP answer with another MAC inside": ether(to.mac, from.mac, 0x0806, arp(2, strange, from.ip, to.ip)),
    "ARP answer with another MAC outside": ether(to.mac, strange, 0x0806, arp(2, from.mac, from.ip, to.ip)),
    "ARP probe with another MAC": ether(broadcast, strange, 0x0806, arp(1, strange, "0.0.0.0", to.ip)),
    "ARP answer from nobody": ether(to.mac, from.mac, 0x0806, arp(2, from.mac, "0.0.0.0", to.ip)),
    "IPv6 of the gateway": ether(to.mac, from.mac, 0x86dd, udp6(gateway6, "ff02::1")),
    "IPv6 of a foreign link-local address": ether(to.mac, from.mac, 0x86dd, udp6("fe80::99", "ff02::1")),
    "own IPv6 with another MAC": ether(to.mac, strange, 0x86dd, udp6(own, "ff02::1")),
    "advertisement for the gateway": nd(own, 136, advert(gateway6, option(2, from.mac))),
    "advertisement from the gateway": nd(gateway6, 136, advert(gateway6, option(2, from.mac))),
    "advertisement with another MAC": nd(own, 136, advert(own, option(2, strange))),
    "advertisement with two options": nd(own, 136, advert(own, option(2, from.mac), option(2, strange))),
    "advertisement for the gateway behind an extension header": nd(
      own,
      136,
      advert(gateway6, option(2, from.mac)),
      true,
    ),
    "own advertisement behind an extension header": nd(own, 136, advert(own, option(2, strange)), true),
    "solicitation with another MAC": nd(own, 135, solicit(own, option(1, strange))),
    "solicitation from the gateway": nd(gateway6, 135, solicit(own, option(1, from.mac))),
    "solicitation from nobody with a MAC": nd("::", 135, solicit(own, option(1, from.mac))),
    "router advertisement": nd(linkLocal(from), 134, Buffer.concat([Buffer.from([64, 0, 7, 8]), Buffer.alloc(8)])),
    "router solicitation": nd(linkLocal(from), 133, Buffer.concat([Buffer.alloc(4), option(1, strange)])),
    redirect: nd(linkLocal(from), 137, Buffer.concat([Buffer.alloc(4), ip6(own), ip6(gateway6)])),
    "DHCP answer": ether(broadcast, from.mac, 0x0800, udp4(from.ip, "255.255.255.255", 67, 68)),
    "DHCPv6 answer": ether(to.mac, from.mac, 0x86dd, udp6(own, "ff02::1", 547, 546)),
    "VLAN tag": ether(to.mac, from.mac, 0x8100, tagged),
    "VLAN tag of a provider": ether(to.mac, from.mac, 0x88a8, tagged),
    "another protocol": ether(to.mac, from.mac, 0x88b5, Buffer.alloc(50, 0x5a)),
    "a length in place of a protocol": ether(to.mac, from.mac, 46, Buffer.alloc(46, 0x5b)),
  };
}

test("everything that a container says about itself arrives", async () => {
  const cases = honest(attacker, victim);
  assert.deepEqual(await arriving(attacker, victim, cases), Object.keys(cases));
  const onlyIp4 = honest(plain, plainVictim);
  assert.deepEqual(await arriving(plain, plainVictim, onlyIp4), Object.keys(onlyIp4));
});

test("nothing arrives of what speaks for others: addresses, neighbours, routers, DHCP servers, other LANs", async () => {
  assert.deepEqual(await arriving(attacker, victim, forged(attacker, victim, "10.1.0.1", "fd00:1::1")), []);
});

test("no IPv6 passes on a network without IPv6, the sender's own link-local address included", async () => {
  assert.deepEqual(await arriving(plain, plainVictim, forged(plain, plainVictim, "10.2.0.1", "fd00:2::1")), []);
  const local = ether(plainVictim.mac, plain.mac, 0x86dd, udp6(linkLocal(plain), "ff02::1"));
  assert.deepEqual(await arriving(plain, plainVictim, { local }), []);
});

test("forged frames reach the host as little as a neighbour", async () => {
  const cases = forged(attacker, victim, "10.1.0.3", "fd00:1::3");
  const toHost = Object.fromEntries(
    Object.entries(cases).map(([what, frame]) => [what, Buffer.concat([mac(broadcast), frame.subarray(6)])]),
  );
  const heard = await frames.hear(world.host, "gbr1", () =>
    frames.send(attacker.netns, "eth0", ...Object.values(toHost)),
  );
  const arrived = Object.entries(toHost).filter(([, frame]) =>
    heard.some((line) => line.includes(frame.subarray(14).toString("hex"))),
  );
  assert.deepEqual(
    arrived.map(([what]) => what),
    [],
  );
});

test("with anti_spoofing=false a container may route for others", async () => {
  const arrived = await arriving(free, freeVictim, forged(free, freeVictim, "10.3.0.1", "fd00:3::1"));
  for (const what of [
    "IPv4 of a stranger",
    "own IPv4 with another MAC",
    "ARP answer for the gateway",
    "router advertisement",
    "VLAN tag",
  ])
    assert.ok(arrived.includes(what), what);
});

test("a forged MAC moves nothing in the bridge's table of addresses", () => {
  const port = (): string => {
    const { text } = world.run(world.host, "bridge", "fdb", "show", "br", "gbr1");
    return (
      /^(\S+) dev (\S+)/m.exec(
        text.split("\n").find((line) => line.startsWith(victim.mac) && !line.includes("permanent")) ?? "",
      )?.[2] ?? ""
    );
  };
  frames.send(victim.netns, "eth0", ether(attacker.mac, victim.mac, 0x0800, udp4(victim.ip, attacker.ip)));
  assert.equal(port(), victim.endpoint.hostInterface);
  frames.send(attacker.netns, "eth0", ether(broadcast, victim.mac, 0x0800, udp4(attacker.ip, victim.ip)));
  frames.send(attacker.netns, "eth0", ether("01:80:c2:00:00:0e", victim.mac, 0x88cc, Buffer.alloc(46)));
  frames.send(attacker.netns, "eth0", ether("01:80:c2:00:00:03", victim.mac, 0x888e, Buffer.alloc(46)));
  assert.equal(port(), victim.endpoint.hostInterface);
});
