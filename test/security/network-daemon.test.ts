// The firewall on the whole daemon with real containers (security.md's N03, N05, N08, N10): what hand-made namespaces prove in the
// tests beside this one holds for what the shim and the daemon make together.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { makeBusyboxImage } from "../../tools/busybox-image.ts";
import { NetPeer } from "../support/net-peer.ts";
import { startDaemon, type TestDaemon } from "../support/daemon.ts";

let daemon: TestDaemon;
const peers = new Map<string, NetPeer>();

before(async () => {
  daemon = await startDaemon({ args: ["--embedded-image="] });
  await daemon.dockerOk(["load", "-q"], { input: makeBusyboxImage("/bin/busybox") });
  for (const [name, ...options] of [
    ["one", "--ipv6"],
    ["two"],
    ["closed", "--internal"],
    ["apart", "-o", "com.docker.network.bridge.enable_icc=false"],
    ["free", "-o", "com.gantry.network.bridge.anti_spoofing=false"],
  ] as const)
    await daemon.dockerOk(["network", "create", ...options, name]);
  await start("web", "--network", "two", "-p", "8080:80");
  await daemon.dockerOk(["network", "connect", "one", "web"]);
  for (const network of ["one", "two", "closed", "apart", "free"])
    for (const name of [network, `${network}2`]) await start(name, "--network", network, "--cap-add", "NET_ADMIN");
  await start("apart3", "--network", "apart", "-p", "8081:80");
});

/** A container that sleeps, and a peer in its network that serves on port 80. */
async function start(name: string, ...args: readonly string[]): Promise<void> {
  await daemon.dockerOk(["run", "-d", "--name", name, ...args, "busybox", "sleep", "1000"]);
  const pid = (await daemon.dockerOk(["inspect", "-f", "{{.State.Pid}}", name])).trim();
  const peer = new NetPeer(`/proc/${pid}/ns/net`);
  peers.set(name, peer);
  await peer.serveTcp("0.0.0.0", 80, "tell");
}

after(async () => {
  for (const peer of peers.values()) await peer[Symbol.asyncDispose]();
  await daemon.docker(["rm", "-f", ...(await daemon.dockerOk(["ps", "-aq"])).split(/\s+/).filter((id) => id !== "")]);
  await daemon.docker(["network", "prune", "-f"]);
  await daemon[Symbol.asyncDispose]();
});

async function addressOf(container: string, network: string): Promise<string> {
  const format = `{{(index .NetworkSettings.Networks "${network}").IPAddress}}`;
  return (await daemon.dockerOk(["inspect", "-f", format, container])).trim();
}

async function gatewayOf(network: string): Promise<string> {
  return (await daemon.dockerOk(["network", "inspect", "-f", "{{(index .IPAM.Config 0).Gateway}}", network])).trim();
}

/** Whether the container's client is served. */
async function reaches(container: string, address: string, port = 80): Promise<boolean> {
  const peer = peers.get(container);
  assert.ok(peer !== undefined);
  return (await peer.tcp(address, port, "", undefined, 500)).text !== "";
}

async function findings(): Promise<unknown> {
  return (await daemon.api("GET", "/gantry/check")).json;
}

test("a published port of a container on two networks is reached from both, from others, and from itself", async () => {
  const at = await gatewayOf("two");
  for (const container of ["one", "two", "apart", "free", "web"])
    assert.ok(await reaches(container, at, 8080), container);
});

test("networks are apart, internal ones closed, members of icc=false ones reach published ports only", async () => {
  assert.ok(!(await reaches("one", await addressOf("two", "two"))));
  assert.ok(await reaches("one", await addressOf("one2", "one")));
  assert.ok(await reaches("closed", await addressOf("closed2", "closed")));
  assert.ok(!(await reaches("closed", await gatewayOf("two"), 8080)));
  assert.ok(!(await reaches("closed", await gatewayOf("closed"), 8080)));
  assert.ok(!(await reaches("apart", await addressOf("apart2", "apart"))));
  assert.ok(!(await reaches("apart", await addressOf("apart3", "apart"))));
  assert.ok(await reaches("apart", await gatewayOf("apart"), 8081));
});

test("a container with NET_ADMIN takes neither another address nor another MAC, but where the network allows it", async () => {
  for (const [network, allowed] of [
    ["one", false],
    ["free", true],
  ] as const) {
    const target = await addressOf(`${network}2`, network);
    const taken = target.replace(/\d+$/, "250");
    await daemon.dockerOk(["exec", network, "ip", "address", "add", `${taken}/16`, "dev", "eth0"]);
    const ping = (...more: readonly string[]) =>
      daemon.docker(["exec", network, "ping", "-c1", "-W1", ...more, target]).then(({ code }) => code === 0);
    assert.equal(await ping("-I", taken), allowed, `${network}: another address`);
    assert.ok(await ping(), `${network}: its own`);
    await daemon.dockerOk(["exec", network, "ip", "address", "del", `${taken}/16`, "dev", "eth0"]);
    const mac = (await daemon.dockerOk(["exec", network, "cat", "/sys/class/net/eth0/address"])).trim();
    await daemon.dockerOk(["exec", network, "ip", "link", "set", "eth0", "address", "02:42:99:99:99:99"]);
    assert.equal(await ping(), allowed, `${network}: another MAC`);
    await daemon.dockerOk(["exec", network, "ip", "link", "set", "eth0", "address", mac]);
  }
});

test("nft flush ruleset: within two seconds containers are as guarded as before, and check finds nothing", async () => {
  const before = await findings();
  await daemon.inNamespace(["nft", "flush", "ruleset"]);
  const began = performance.now();
  const isBack = async (): Promise<boolean> =>
    (await daemon.inNamespace(["nft", "list", "map", "inet", "gantry", "publish4"])).stdout.includes("tcp . 8080 :");
  while (!(await isBack()) && performance.now() - began < 10_000) await sleep(50);
  assert.ok(await isBack());
  assert.ok(!(await reaches("one", await addressOf("two", "two"))));
  assert.ok(await reaches("one", await gatewayOf("two"), 8080));
  assert.deepEqual(await findings(), before);
});

test("when a container has ended, none of its elements is left", async () => {
  const address = await addressOf("web", "two");
  const listed = async (): Promise<string> => (await daemon.inNamespace(["nft", "list", "ruleset"])).stdout;
  assert.ok((await listed()).includes(address));
  await daemon.dockerOk(["rm", "-f", "web"]);
  const rules = await listed();
  assert.ok(!rules.includes(`${address} `) && !rules.includes("tcp . 8080"), rules);
});
