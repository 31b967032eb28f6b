// Who reaches whom through the firewall (security.md's N03, N04, N06, N08 in spirit: published ports with the client's own address,
// nothing unpublished, nothing of 127.0.0.1, no IPv6 where there is none), on the real kernel in namespaces of the test's own.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import {
  type Container,
  hostIp,
  hostIp6,
  NetworkWorld,
  neighbourIp,
  neighbourIp6,
  networkOf,
} from "./network-world.ts";

let world: NetworkWorld;
let web: Container;
let client: Container;
let other: Container;
let both: Container;
let secret: Container;
let secret2: Container;
let apart: Container;
let apart2: Container;
let routed: Container;
let open: Container;
let trusted: Container;

const internal = networkOf(3, { internal: true });

before(async () => {
  world = new NetworkWorld("greach");
  const one = world.addNetwork(networkOf(1));
  const two = world.addNetwork(networkOf(2, { subnets: ["10.2.0.0/24"], gateways: ["10.2.0.1"] }));
  world.addNetwork(internal);
  const four = world.addNetwork(networkOf(4, { icc: false }));
  const five = world.addNetwork(networkOf(5, { mode4: "routed", mode6: "routed" }));
  const six = world.addNetwork(networkOf(6, { mode4: "nat-unprotected", mode6: "nat-unprotected" }));
  const seven = world.addNetwork(networkOf(7, { trustedInterfaces: ["up0"], masquerade: false }));
  web = world.addContainer(one, 2);
  client = world.addContainer(one, 3);
  other = world.addContainer(two, 2);
  both = world.addContainer(two, 4, one);
  secret = world.addContainer(internal, 2);
  secret2 = world.addContainer(internal, 3);
  apart = world.addContainer(four, 2);
  apart2 = world.addContainer(four, 3);
  routed = world.addContainer(five, 2);
  open = world.addContainer(six, 2);
  trusted = world.addContainer(seven, 2);
  const tcp = { protocol: "tcp", containerPort: 80 } as const;
  for (const hostIpOf of ["0.0.0.0", "::"]) {
    world.publish(web, { ...tcp, hostIp: hostIpOf, hostPort: 8080 });
    world.publish(apart, { ...tcp, hostIp: hostIpOf, hostPort: 8083 });
    world.publish(routed, { ...tcp, hostIp: hostIpOf, hostPort: 8084 });
    world.publish(trusted, { ...tcp, hostIp: hostIpOf, hostPort: 8085 });
  }
  world.publish(web, { ...tcp, hostIp, hostPort: 8081 });
  world.publish(web, { ...tcp, hostIp: hostIp6, hostPort: 8081 });
  world.publish(web, { ...tcp, hostIp: "127.0.0.1", hostPort: 8082, containerPort: 81 });
  world.publish(web, { protocol: "udp", hostIp: "0.0.0.0", hostPort: 8053, containerPort: 53 });
  world.publish(both, { ...tcp, hostIp: "0.0.0.0", hostPort: 8086 });
  world.ports.push(...world.ports.splice(-1).map((port) => ({ ...port, otherBridges: [one.interface] })));
  for (const container of [web, client, other, both, secret, secret2, apart, apart2, routed, open, trusted]) {
    for (const port of [80, 81]) await container.peer.serveTcp("::", port, "tell").catch(() => {});
    for (const port of [80, 81]) await container.peer.serveTcp("0.0.0.0", port, "tell");
  }
  await web.peer.serveUdp("0.0.0.0", 53);
  await world.neighbour.serveTcp("0.0.0.0", 80, "tell");
  await world.neighbour.serveTcp("::", 80, "tell");
  await world.hostPeer.serveTcp("0.0.0.0", 22, "tell");
  await world.hostPeer.serveTcp("::", 22, "tell");
  await world.hostPeer.serveTcp("127.0.0.1", 8082, "tell");
  for (const address of ["0.0.0.0", "::"]) await world.hostPeer.serveTcp(address, 8080, "tell");
  await world.hostPeer.serveUdp("0.0.0.0", 53);
  await world.firewall.replace();
  // The neighbour routes into everything, as an attacker on the same link may.
  for (const [route, via] of [
    ["10.0.0.0/12", hostIp],
    ["fd00::/16", hostIp6],
  ] as const)
    world.run(world.neighbourNetns, "ip", "route", "add", route, "via", via, "metric", "1");
  // With nothing translated, answers need a way back.
});

after(() => world[Symbol.asyncDispose]());

/** The client's address as the server saw it, or why it was not reached. */
async function reach(from: { tcp: Container["peer"]["tcp"] }, address: string, port: number): Promise<string> {
  const { text, error } = await from.tcp(address, port, "", undefined, 300);
  return error === "" ? (text.split(" ")[0] ?? "").replace(/^::ffff:/, "") : error;
}

/** What is led within a bridge takes other ways where br_netfilter is on, which other programs of the host decide. */
async function withAndWithoutBrNetfilter(act: () => Promise<void>): Promise<void> {
  const names = ["net.bridge.bridge-nf-call-iptables", "net.bridge.bridge-nf-call-ip6tables"];
  if (world.run(world.host, "sysctl", "-n", ...names).code !== 0) return act();
  for (const value of [0, 1]) {
    world.sysctl(world.host, ...names.map((name) => `${name}=${value}`));
    await act();
  }
}

test("a published port is reached from outside with the client's own address, by IPv4 and IPv6", async () => {
  assert.equal(await reach(world.neighbour, hostIp, 8080), neighbourIp);
  assert.equal(await reach(world.neighbour, hostIp6, 8080), neighbourIp6);
  assert.equal(await reach(world.neighbour, hostIp, 8081), neighbourIp);
  assert.equal(await reach(world.neighbour, hostIp6, 8081), neighbourIp6);
  assert.equal((await world.neighbour.udp(hostIp, 8053, "hello")).text, `${neighbourIp} hello`);
});

test("a port of one address is not reached at another of the host's", async () => {
  assert.equal(await reach(world.neighbour, "10.1.0.1", 8081), "ECONNREFUSED");
});

test("a published port is reached from the host at its own addresses", async () => {
  assert.equal(await reach(world.hostPeer, hostIp, 8080), hostIp);
  assert.equal(await reach(world.hostPeer, "10.1.0.1", 8080), "10.1.0.1");
  assert.equal(await reach(world.hostPeer, hostIp6, 8080), hostIp6);
  assert.equal(await reach(world.hostPeer, hostIp, 8081), hostIp);
});

test("a published port is reached from another network with the client's own address, from the same one, and from itself through the host", () =>
  withAndWithoutBrNetfilter(async () => {
    assert.equal(await reach(other.peer, hostIp, 8080), other.ip);
    assert.equal(await reach(other.peer, "10.2.0.1", 8080), other.ip);
    assert.equal(await reach(routed.peer, hostIp6, 8080), routed.ip6);
    assert.equal(await reach(client.peer, hostIp, 8080), "10.1.0.1");
    assert.equal(await reach(client.peer, hostIp6, 8080), "fd00:1::1");
    // Its own port is served by the process that keeps it on the host; here that is the host's peer.
    assert.equal(await reach(web.peer, hostIp, 8080), web.ip);
    assert.equal(await reach(web.peer, hostIp6, 8080), web.ip6);
  }));

test("a published port of a container on two networks is reached from both", () =>
  withAndWithoutBrNetfilter(async () => {
    assert.equal(await reach(other.peer, hostIp, 8086), "10.2.0.1");
    assert.equal(await reach(client.peer, hostIp, 8086), "10.2.0.1");
    assert.equal(await reach(world.neighbour, hostIp, 8086), neighbourIp);
  }));

test("nothing else of a container is reached from outside, nor from another network", async () => {
  for (const from of [world.neighbour, other.peer, routed.peer]) {
    assert.equal(await reach(from, web.ip, 80), "TIMEOUT");
    assert.equal(await reach(from, web.ip, 81), "TIMEOUT");
  }
  assert.equal(await reach(world.neighbour, web.ip6, 80), "TIMEOUT");
  assert.equal(await reach(routed.peer, web.ip6, 80), "TIMEOUT");
});

test("members of a network reach each other directly, and the host reaches them", () =>
  withAndWithoutBrNetfilter(async () => {
    assert.equal(await reach(client.peer, web.ip, 81), client.ip);
    assert.equal(await reach(client.peer, web.ip6, 81), client.ip6);
    assert.equal(await reach(world.hostPeer, web.ip, 81), "10.1.0.1");
    assert.equal(await reach(world.hostPeer, web.ip6, 81), "fd00:1::1");
  }));

test("what leaves has the host's address, or its own where masquerade is off or the network is routed", async () => {
  assert.equal(await reach(client.peer, neighbourIp, 80), hostIp);
  assert.equal(await reach(client.peer, neighbourIp6, 80), hostIp6);
  assert.equal(await reach(open.peer, neighbourIp, 80), hostIp);
  assert.equal(await reach(routed.peer, neighbourIp, 80), routed.ip);
  assert.equal(await reach(routed.peer, neighbourIp6, 80), routed.ip6);
  assert.equal(await reach(trusted.peer, neighbourIp, 80), trusted.ip);
});

test("routed: published ports and ping at the container's address, from outside and from other networks; the host has no port", async () => {
  assert.equal(await reach(world.neighbour, routed.ip, 80), neighbourIp);
  assert.equal(await reach(world.neighbour, routed.ip6, 80), neighbourIp6);
  assert.equal(await reach(client.peer, routed.ip, 80), client.ip);
  assert.equal(await reach(world.neighbour, routed.ip, 81), "TIMEOUT");
  assert.equal(await reach(world.neighbour, hostIp, 8084), "ECONNREFUSED");
  assert.equal(world.run(world.neighbourNetns, "/bin/busybox", "ping", "-c1", "-W1", routed.ip).code, 0);
  assert.equal(world.run(world.neighbourNetns, "/bin/busybox", "ping", "-c1", "-W1", web.ip).code, 1);
});

test("nat-unprotected: every port from outside, none from other networks", async () => {
  assert.equal(await reach(world.neighbour, open.ip, 81), neighbourIp);
  assert.equal(await reach(world.neighbour, open.ip6, 81), neighbourIp6);
  assert.equal(await reach(client.peer, open.ip, 81), "TIMEOUT");
});

test("trusted interfaces: published ports at the container's address, and no other", async () => {
  assert.equal(await reach(world.neighbour, trusted.ip, 80), neighbourIp);
  assert.equal(await reach(world.neighbour, trusted.ip, 81), "TIMEOUT");
  assert.equal(await reach(client.peer, trusted.ip, 80), "TIMEOUT");
});

test("internal: its members reach each other and the host at the gateway, and nothing else", async () => {
  assert.equal(await reach(secret.peer, secret2.ip, 81), secret.ip);
  assert.equal(await reach(secret.peer, secret2.ip6, 81), secret.ip6);
  assert.equal(await reach(secret.peer, "10.3.0.1", 22), secret.ip);
  assert.equal(await reach(secret.peer, "fd00:3::1", 22), secret.ip6);
  assert.equal(await reach(world.hostPeer, secret.ip, 81), "10.3.0.1");
  for (const address of [neighbourIp, neighbourIp6, web.ip, web.ip6])
    assert.equal(await reach(secret.peer, address, 80), "TIMEOUT", address);
  for (const address of [hostIp, hostIp6, "10.1.0.1"])
    assert.equal(await reach(secret.peer, address, 22), "TIMEOUT", address);
  for (const address of ["10.3.0.1", hostIp])
    assert.equal(await reach(secret.peer, address, 8080), "TIMEOUT", `published, at ${address}`);
  assert.equal((await secret.peer.udp("10.3.0.1", 53, "leak?", 300)).error, "TIMEOUT");
  assert.equal(await reach(world.neighbour, secret.ip, 80), "TIMEOUT");
  assert.equal(await reach(client.peer, secret.ip, 80), "TIMEOUT");
});

test("icc=false: members reach each other's published ports, and nothing else, by no frame and by no route", () =>
  withAndWithoutBrNetfilter(async () => {
    assert.equal(await reach(apart2.peer, hostIp, 8083), "10.4.0.1");
    assert.equal(await reach(apart2.peer, hostIp6, 8083), "fd00:4::1");
    assert.notEqual(await reach(apart2.peer, apart.ip, 80), apart2.ip);
    assert.notEqual(await reach(apart2.peer, apart.ip6, 80), apart2.ip6);
    // Around the bridge: the frame goes to the host, which would route it back.
    world.run(apart2.netns, "ip", "route", "add", `${apart.ip}/32`, "via", "10.4.0.1");
    assert.equal(await reach(apart2.peer, apart.ip, 80), "TIMEOUT");
    world.run(apart2.netns, "ip", "route", "del", `${apart.ip}/32`);
    assert.equal(await reach(world.hostPeer, apart.ip, 80), "10.4.0.1");
    assert.equal(await reach(world.neighbour, hostIp, 8083), neighbourIp);
  }));

test("a port of 127.0.0.1 is the host's own: not even route_localnet lets a neighbour or a container in", async () => {
  assert.equal(await reach(world.hostPeer, "127.0.0.1", 8082), "127.0.0.1");
  for (const address of [hostIp, "10.1.0.1"])
    assert.equal(await reach(world.neighbour, address, 8082), "ECONNREFUSED", address);
  world.sysctl(world.host, "net.ipv4.conf.all.route_localnet=1");
  try {
    for (const [namespace, via, dev] of [
      [world.neighbourNetns, hostIp, "eth0"],
      [client.netns, "10.1.0.1", "eth0"],
    ] as const) {
      world.sysctl(namespace, "net.ipv4.conf.all.route_localnet=1");
      world.run(namespace, "ip", "route", "del", "local", "127.0.0.0/8", "table", "local");
      world.run(namespace, "ip", "route", "del", "local", "127.0.0.1", "table", "local");
      assert.equal(world.run(namespace, "ip", "route", "add", "127.0.0.1/32", "via", via, "dev", dev).code, 0);
    }
    assert.equal(await reach(world.neighbour, "127.0.0.1", 8082), "TIMEOUT");
    assert.equal(await reach(client.peer, "127.0.0.1", 8082), "TIMEOUT");
    assert.equal(await reach(client.peer, "127.0.0.1", 22), "TIMEOUT");
  } finally {
    world.sysctl(world.host, "net.ipv4.conf.all.route_localnet=0");
  }
});

test("an address of a container that comes from outside is dropped", async () => {
  world.run(world.neighbourNetns, "ip", "address", "add", "10.1.0.77/32", "dev", "eth0");
  const before = world.nft("list", "chain", "inet", "gantry", "prerouting");
  assert.ok(before.includes("@sources"));
  assert.equal(
    world.run(world.neighbourNetns, "/bin/busybox", "ping", "-c1", "-W1", "-I", "10.1.0.77", hostIp).code,
    1,
    "the host is not asked in a container's name",
  );
  const { error } = await world.neighbour.tcp(hostIp, 8084, "", "10.1.0.77", 400);
  assert.equal(error, "TIMEOUT", "an answer would have been a reset");
});

test("a path's smaller MTU is told to the container that sends", async () => {
  world.run(world.host, "ip", "link", "set", "up0", "mtu", "1300");
  world.run(world.neighbourNetns, "ip", "link", "set", "eth0", "mtu", "1300");
  try {
    await client.peer.udp(neighbourIp, 9, "x".repeat(1400), 200);
    await client.peer.udp(neighbourIp6, 9, "x".repeat(1400), 200);
    for (const address of [neighbourIp, neighbourIp6])
      assert.match(world.run(client.netns, "ip", "route", "get", address).text, /mtu 1300/);
  } finally {
    world.run(world.host, "ip", "link", "set", "up0", "mtu", "1500");
    world.run(world.neighbourNetns, "ip", "link", "set", "eth0", "mtu", "1500");
  }
});

test("the tables that were written are the tables that are there", async () => {
  assert.deepEqual(await world.firewall.check(), []);
});
