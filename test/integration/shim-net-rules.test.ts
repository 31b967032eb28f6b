// What is per container on the host: elements of nft sets and maps, published ports, changed rules; there while a container runs,
// gone before its end is told, after a start that failed and after one that was abandoned.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { after, before, beforeEach, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { isEngineError } from "../../src/base/errors.ts";
import type { ShimOwnNetwork, ShimPort } from "../../src/engine/runtime/shim.ts";
import { connectShim } from "../../src/engine/runtime/shim-connection.ts";
import { renderFrame } from "../../src/engine/runtime/shim-frames.ts";
import { NetPeer } from "../support/net-peer.ts";
import { endContainer, started } from "./shim-client-side.ts";
import { ShimWorld } from "./shim-fixture.ts";
import { elementCounts, eventually, makeBridges, own, ruleset, veth, writeTables } from "./shim-net-side.ts";

let world: ShimWorld;
before(() => {
  world = new ShimWorld();
  makeBridges(world);
});
beforeEach(() => {
  writeTables(world);
});
after(async () => {
  await world.dispose();
});

const none = { plain: 0, ports: 0, macs: 0 };

/** An address in `plain`, the n-th. */
function address(n: number): string {
  return `inet plain 0a${n.toString(16).padStart(6, "0")}`;
}

/** tcp port → 10.88.0.<to>:80 in `ports`. */
function mapping(port: number, to: number): string {
  return `inet ports 06000000${port.toString(16).padStart(4, "0")}0000 0a5800${to.toString(16).padStart(2, "0")}00500000`;
}

const mac = "bridge macs 02420a580002";

function wish(firewall: readonly string[], more: Partial<ShimOwnNetwork> = {}): ShimOwnNetwork {
  return own([veth(0, 30)], { firewall, ...more });
}

function port(hostPort: number): ShimPort {
  return { protocol: "tcp", hostIp: "0.0.0.0", hostPort, address: "10.88.0.30", containerPort: 80 };
}

test("elements are there before the container runs and gone when its exit is told", async () => {
  const c = await world.spawn({ args: ["sleep", "1000"], network: wish([address(1), mapping(8080, 30), mac]) });
  assert.deepEqual(elementCounts(world), { plain: 1, ports: 1, macs: 1 });
  const text = ruleset(world);
  assert.match(text, /elements = \{ 10\.0\.0\.1 \}/);
  assert.match(text, /elements = \{ tcp \. 8080 : 10\.88\.0\.30 \. 80 \}/);
  assert.match(text, /elements = \{ 02:42:0a:58:00:02 \}/);
  await started(c.shim);
  const told = new Promise((resolve) => {
    c.shim.on("exit", () => resolve(elementCounts(world)));
  });
  await endContainer(c);
  assert.deepEqual(await told, none);
});

test("a start that fails, in the shim or in the runtime, and one that is abandoned leave no element and no listener", async () => {
  const firewall = [address(2), mac];
  const all = wish(firewall, { ports: [port(8081)], dnsSocket: "/nonexistent/dns.sock" });
  const listening = (): string => world.inNet("ss", "-Htln");
  await assert.rejects(
    world.spawn({ args: ["true"], network: wish(firewall, { interfaces: [veth(0, 30, { parent: "nobridge" })] }) }),
    /find bridge nobridge/,
  );
  assert.deepEqual(elementCounts(world), none);
  const failing = await world.spawn({ args: ["/no/such/program"], network: all });
  assert.match(listening(), /0\.0\.0\.0:8081/);
  assert.ok("failure" in (await failing.shim.run()));
  await failing.shim.gone;
  assert.deepEqual(elementCounts(world), none);
  const abandoned = await world.spawn({ args: ["true"], network: all });
  assert.deepEqual(elementCounts(world), { plain: 1, ports: 0, macs: 1 });
  await abandoned.shim.abandon();
  assert.deepEqual(elementCounts(world), none);
  assert.equal(listening(), "");
});

test("a change touches the elements that differ; the same key with other data is replaced", async () => {
  const c = await world.spawn({
    args: ["sleep", "1000"],
    network: wish([address(3), address(4), mapping(8082, 30)]),
  });
  await started(c.shim);
  await c.shim.setNetwork(wish([address(4), address(5), mapping(8082, 31), mac, mac]));
  const text = ruleset(world);
  assert.match(text, /elements = \{ 10\.0\.0\.4, 10\.0\.0\.5 \}|elements = \{ 10\.0\.0\.4,\s+10\.0\.0\.5 \}/);
  assert.match(text, /tcp \. 8082 : 10\.88\.0\.31 \. 80/);
  assert.deepEqual(elementCounts(world), { plain: 2, ports: 1, macs: 1 });
  await c.shim.setNetwork(wish([]));
  assert.deepEqual(elementCounts(world), none);
  await endContainer(c);
});

test("missing tables and sets, elements that are there or gone already: no error", async () => {
  world.inNet("nft", "add element inet gantry plain { 10.0.0.6 }");
  world.inNet("nft", "add element inet gantry ports { tcp . 8083 : 10.88.0.99 . 81 }");
  const c = await world.spawn({
    args: ["sleep", "1000"],
    network: wish([address(6), address(7), mapping(8083, 30), "inet nosuchset 00000001", "bridge nosuchset 01 02"]),
  });
  await started(c.shim);
  assert.deepEqual(elementCounts(world), { plain: 2, ports: 1, macs: 0 });
  assert.match(ruleset(world), /tcp \. 8083 : 10\.88\.0\.30 \. 80/);
  world.inNet("nft", "delete element inet gantry plain { 10.0.0.6 }");
  await c.shim.setNetwork(wish([address(8)]));
  assert.deepEqual(elementCounts(world), { plain: 1, ports: 0, macs: 0 });
  world.inNet("nft", "flush ruleset");
  await c.shim.setNetwork(wish([address(9), mac]));
  await endContainer(c);
  assert.equal(ruleset(world), "");
});

test("malformed elements are refused and named", async () => {
  for (const line of [
    "ip plain 01",
    "inet plain",
    "inet plain 0",
    "inet pl/ain 01",
    "inet plain 01 0x",
    "inet plain 01 02 03",
  ])
    await assert.rejects(world.spawn({ args: ["true"], network: wish([line]) }), /malformed nft element/);
  await assert.rejects(
    world.spawn({ args: ["true"], network: wish(["inet plain 0102"]) }),
    /add nft elements: Invalid argument/,
  );
  assert.deepEqual(elementCounts(world), none);
});

test("5,000 elements of several sets at the start, as many others by a change, none at the end", async () => {
  const many = (from: number): string[] =>
    Array.from({ length: 2500 }, (_, i) => [address(from + i), mapping(from + i, 30)]).flat();
  const c = await world.spawn({ args: ["sleep", "1000"], network: wish([...many(10_000), mac]) });
  await started(c.shim);
  assert.deepEqual(elementCounts(world), { plain: 2500, ports: 2500, macs: 1 });
  // Half of them stay.
  await c.shim.setNetwork(wish(many(11_250)));
  assert.deepEqual(elementCounts(world), { plain: 2500, ports: 2500, macs: 0 });
  // The slow way: everything is missing, or half of it is there with other data.
  writeTables(world);
  await c.shim.setNetwork(wish([]));
  assert.deepEqual(elementCounts(world), none);
  execFileSync("nsenter", [`--net=/run/netns/${world.name}`, "nft", "-f", "-"], {
    input: Array.from(
      { length: 1250 },
      (_, i) => `add element inet gantry ports { tcp . ${12_000 + i} : 10.88.0.99 . 81 }\n`,
    ).join(""),
  });
  await c.shim.setNetwork(wish(many(12_000)));
  assert.deepEqual(elementCounts(world), { plain: 2500, ports: 2500, macs: 0 });
  assert.doesNotMatch(ruleset(world), /10\.88\.0\.99/);
  await endContainer(c);
  assert.deepEqual(elementCounts(world), none);
});

test("a port of the host that a program has is a conflict, at the start and in a change, and nothing is left of it", async () => {
  await using peer = new NetPeer(`/run/netns/${world.name}`);
  await peer.serveTcp("0.0.0.0", 8085);
  const firewall = [address(20), mapping(8085, 30)];
  const taken = (error: Error): boolean => isEngineError(error, "Conflict") && error.message.includes("8085");
  await assert.rejects(world.spawn({ args: ["true"], network: wish(firewall, { ports: [port(8085)] }) }), taken);
  assert.deepEqual(elementCounts(world), none);
  const old = wish([address(21)], { ports: [port(8086)] });
  const c = await world.spawn({ args: ["sleep", "1000"], network: old });
  await started(c.shim);
  await assert.rejects(c.shim.setNetwork(wish(firewall, { ports: [port(8086), port(8085)] })), taken);
  assert.equal(elementCounts(world)["ports"], 0);
  await c.shim.setNetwork(old);
  assert.deepEqual(elementCounts(world), { plain: 1, ports: 0, macs: 0 });
  assert.match(world.inNet("ss", "-Htln"), /0\.0\.0\.0:8086/);
  await endContainer(c);
  assert.doesNotMatch(world.inNet("ss", "-Htln"), /8086/);
});

test("long frames: a network of 20,000 ports passes and its memory comes back, any other long frame ends the connection", async () => {
  const lines = (from: number): string[] => Array.from({ length: 20_000 }, (_, i) => mapping(from + i, 30));
  const c = await world.spawn({ args: ["sleep", "1000"], network: wish(lines(1)) });
  await started(c.shim);
  assert.equal(elementCounts(world)["ports"], 20_000);
  await c.shim.setNetwork(wish(lines(30_001)));
  assert.equal(elementCounts(world)["ports"], 20_000);
  await c.shim.setNetwork(wish([]));
  await eventually("the memory of the lists is given back", () => {
    const status = readFileSync(`/proc/${c.shim.identity.pid}/status`, "utf8");
    return Number(/RssAnon:\s+(\d+) kB/.exec(status)?.[1]) < 1024 || process.env["GANTRY_SHIM"] !== undefined;
  });
  const long = "x".repeat(10_000);
  for (const frames of [
    [
      [
        ["op", "network"],
        ["tag", 1],
        ["net", long],
      ],
    ],
    [
      [
        ["op", "hello"],
        ["tag", 1],
        ["protocol", 1],
      ],
      [
        ["op", "state"],
        ["tag", 2],
        ["more", long],
      ],
    ],
    [
      [
        ["op", "hello"],
        ["tag", 1],
        ["protocol", 1],
      ],
      [
        ["op", "network"],
        ["tag", 2],
        ["more", "x".repeat(9 * 2 ** 20)],
      ],
    ],
  ] as const) {
    const socket = await connectShim(c.options.runDir);
    socket.on("error", () => {});
    const closed = new Promise((resolve) => socket.once("close", resolve));
    socket.resume();
    for (const frame of frames) socket.write(renderFrame(frame));
    socket.once("end", () => socket.destroy());
    await closed;
  }
  assert.ok((await c.shim.state()).init !== undefined);
  await endContainer(c);
});

test("changed rules of ours are told, several at once as one; elements and the tables of others are not", async () => {
  const shims = world.newShims();
  let told = 0;
  shims.onRulesChange(() => told++);
  await sleep(200); // the spawner listens
  writeTables(world);
  await eventually("writing the tables is told", () => told > 0);
  await sleep(150);
  const settled = told;
  world.inNet("nft", "add element inet gantry plain { 10.0.0.50 }");
  world.inNet("nft", "delete element inet gantry plain { 10.0.0.50 }");
  world.inNet("nft", "add table inet gantry-user");
  world.inNet("nft", "add table ip gantry");
  world.inNet("nft", "delete table ip gantry");
  await sleep(150);
  assert.equal(told, settled);
  for (const change of ["add chain inet gantry extra", "add rule inet gantry extra drop", "flush ruleset"]) {
    const before_ = told;
    world.inNet("nft", change);
    await eventually(`${change} is told`, () => told > before_);
    await sleep(100);
  }
  const before_ = told;
  const from = performance.now();
  for (let i = 0; i < 20; i++) world.inNet("nft", "add table inet gantry; delete table inet gantry");
  await sleep(100);
  const most = Math.ceil((performance.now() - from) / 50) + 1;
  assert.ok(told > before_ && told - before_ <= most, `${told - before_} events, at most ${most}`);
  await shims.close();
});
