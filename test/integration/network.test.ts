// The default bridge network on the real kernel: addresses, NAT to a world outside, no way in from a neighbour, the files of
// a container, and what a restart of the daemon finds and mends.

import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { spawn } from "node:child_process";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { makeBusyboxImage } from "../../tools/busybox-image.ts";
import {
  addNamespace,
  removeNamespace,
  runCommand,
  startDaemon,
  TestDaemon,
  type TestDaemonOptions,
} from "../support/daemon.ts";

async function startWithImage(options: TestDaemonOptions = {}): Promise<TestDaemon> {
  const daemon = await startDaemon({ ...options, args: ["--embedded-image=", ...(options.args ?? [])] });
  await daemon.dockerOk(["load", "-q"], { input: makeBusyboxImage("/bin/busybox") });
  return daemon;
}

interface World extends AsyncDisposable {
  readonly name: string;
  /** Its own address, and the host's towards it. */
  readonly address: string;
  readonly hostAddress: string;
}

/** A second namespace that is the daemon's world outside: one link, no route back to the containers' subnet. */
async function addWorld(daemon: TestDaemon): Promise<World> {
  const name = `${daemon.netns}-w`;
  addNamespace(name);
  const ip = async (...args: readonly string[]): Promise<void> => {
    const result = await runCommand(["ip", ...args]);
    assert.equal(result.code, 0, `ip ${args.join(" ")}: ${result.stderr}`);
  };
  await ip("-n", daemon.netns, "link", "add", "out0", "type", "veth", "peer", "name", "in0", "netns", name);
  await ip("-n", daemon.netns, "address", "add", "198.51.100.1/24", "dev", "out0");
  await ip("-n", daemon.netns, "link", "set", "out0", "up");
  await ip("-n", name, "address", "add", "198.51.100.2/24", "dev", "in0");
  await ip("-n", name, "link", "set", "in0", "up");
  return {
    name,
    address: "198.51.100.2",
    hostAddress: "198.51.100.1",
    async [Symbol.asyncDispose]() {
      await ip("-n", daemon.netns, "link", "del", "out0");
      removeNamespace(name);
    },
  };
}

/** Serves one text per connection on a port in a namespace, with the peer's address in front. */
function serveIn(netns: string, port: number): Disposable {
  const script = `require("net").createServer((s) => s.end(s.remoteAddress + " served\\n")).listen(${port}, "0.0.0.0")`;
  const child = spawn("nsenter", [`--net=/run/netns/${netns}`, process.execPath, "-e", script], { stdio: "ignore" });
  return { [Symbol.dispose]: () => void child.kill("SIGKILL") };
}

async function fetchFrom(netns: string, address: string, port: number): Promise<string> {
  const result = await runCommand([
    "nsenter",
    `--net=/run/netns/${netns}`,
    "/bin/busybox",
    "nc",
    "-w",
    "2",
    address,
    String(port),
  ]);
  return result.stdout.trim();
}

async function untilServed(netns: string, address: string, port: number): Promise<void> {
  for (let i = 0; i < 100 && (await fetchFrom(netns, address, port)) === ""; i++) await sleep(50);
}

test("a container has its address, its gateway and its MAC; inspect says the same", async () => {
  await using daemon = await startWithImage();
  const id = await daemon.dockerOk(["run", "-d", "--name", "one", "busybox", "sleep", "1000"]);
  const inside = await daemon.dockerOk([
    "exec",
    "one",
    "sh",
    "-c",
    "ip -4 -o address show eth0; ip route; cat /sys/class/net/eth0/address",
  ]);
  assert.match(inside, /inet 172\.17\.0\.2\/16 brd 172\.17\.255\.255/);
  assert.match(inside, /default via 172\.17\.0\.1 dev eth0/);
  assert.match(inside, /02:42:ac:11:00:02$/);
  const [{ NetworkSettings: settings }] = JSON.parse(await daemon.dockerOk(["inspect", "one"]));
  assert.deepEqual(
    [settings.IPAddress, settings.IPPrefixLen, settings.Gateway, settings.MacAddress],
    ["172.17.0.2", 16, "172.17.0.1", "02:42:ac:11:00:02"],
  );
  assert.equal(settings.Networks.bridge.IPAddress, "172.17.0.2");
  assert.match(settings.SandboxKey, /^\/proc\/\d+\/ns\/net$/);
  const [bridge] = JSON.parse(await daemon.dockerOk(["network", "inspect", "bridge"]));
  assert.deepEqual(bridge.Containers, {
    [id]: {
      Name: "one",
      EndpointID: settings.EndpointID,
      MacAddress: "02:42:ac:11:00:02",
      IPv4Address: "172.17.0.2/16",
      IPv6Address: "",
    },
  });
  await daemon.dockerOk(["stop", "-t", "0", "one"]);
  const [stopped] = JSON.parse(await daemon.dockerOk(["inspect", "one"]));
  assert.deepEqual(
    [
      stopped.NetworkSettings.IPAddress,
      stopped.NetworkSettings.Networks.bridge.IPAddress,
      stopped.NetworkSettings.SandboxKey,
    ],
    ["", "", ""],
  );
});

test("an address that was let go is not given to the next container", async () => {
  await using daemon = await startWithImage();
  const address = "ip -4 -o address show eth0 | tr -s ' ' | cut -d' ' -f4";
  const run = (): Promise<string> => daemon.dockerOk(["run", "--rm", "busybox", "sh", "-c", address]);
  assert.deepEqual([await run(), await run(), await run()], ["172.17.0.2/16", "172.17.0.3/16", "172.17.0.4/16"]);
});

test("a MAC address that was asked for is given once; who would get it by its address gets another", async () => {
  await using daemon = await startWithImage();
  const show = ["busybox", "cat", "/sys/class/net/eth0/address"];
  const asked = ["--mac-address", "02:42:ac:11:00:04"];
  await daemon.dockerOk(["run", "-d", "--name", "one", ...asked, "busybox", "sleep", "1000"]);
  assert.equal(await daemon.dockerOk(["exec", "one", "cat", "/sys/class/net/eth0/address"]), "02:42:ac:11:00:04");
  const second = await daemon.docker(["run", "--rm", ...asked, ...show]);
  assert.match(second.stderr, /MAC address 02:42:ac:11:00:04 is already in use on network bridge/);
  assert.equal(await daemon.dockerOk(["run", "--rm", ...show]), "02:42:ac:11:00:03");
  assert.match(await daemon.dockerOk(["run", "--rm", ...show]), /^02:42:(?!ac:11:00:04)/);
});

test("containers reach each other, the host, and the world outside by the host's address", async () => {
  await using daemon = await startWithImage();
  await using world = await addWorld(daemon);
  using _server = serveIn(world.name, 8080);
  await untilServed(daemon.netns, world.address, 8080);
  await daemon.dockerOk(["run", "-d", "--name", "peer", "busybox", "sleep", "1000"]);
  const ping = (to: string): Promise<string> =>
    daemon.dockerOk(["run", "--rm", "busybox", "ping", "-c", "1", "-W", "2", to]);
  for (const to of ["172.17.0.2", "172.17.0.1", world.address]) assert.match(await ping(to), /1 packets received/, to);
  const fetched = await daemon.dockerOk(["run", "--rm", "busybox", "nc", "-w", "2", world.address, "8080"]);
  assert.match(fetched, new RegExp(`^(::ffff:)?${world.hostAddress.replaceAll(".", "\\.")} served$`));
});

test("N04: a neighbour with a route to the containers' subnet gets no connection in", async () => {
  await using daemon = await startWithImage();
  await using world = await addWorld(daemon);
  await daemon.dockerOk(["run", "-d", "--name", "web", "busybox", "nc", "-ll", "-p", "80", "-e", "echo", "open"]);
  const route = ["ip", "-n", world.name, "route", "add", "172.17.0.0/16", "via", world.hostAddress];
  assert.equal((await runCommand(route)).code, 0);
  // From the host itself the port answers, so that it is the firewall that keeps the neighbour out.
  await untilServed(daemon.netns, "172.17.0.2", 80);
  assert.equal(await fetchFrom(daemon.netns, "172.17.0.2", 80), "open");
  assert.equal(await fetchFrom(world.name, "172.17.0.2", 80), "");
  const ping = (to: string) =>
    runCommand(["nsenter", `--net=/run/netns/${world.name}`, "/bin/busybox", "ping", "-c", "1", "-W", "1", to]);
  assert.notEqual((await ping("172.17.0.2")).code, 0);
  // The neighbour does reach the host: it is not simply cut off.
  assert.equal((await ping(world.hostAddress)).code, 0);
  // Without our table the container is reachable: the drop is what the test sees.
  await daemon.inNamespace(["nft", "delete", "table", "inet", "gantry"]);
  assert.equal(await fetchFrom(world.name, "172.17.0.2", 80), "open");
});

test("host and none networks are what they say; container: shares everything", async () => {
  await using daemon = await startWithImage();
  const links = "ip -o link | cut -d: -f2 | tr -d ' \\n'";
  assert.equal(await daemon.dockerOk(["run", "--rm", "--network", "none", "busybox", "sh", "-c", links]), "lo");
  assert.match(await daemon.dockerOk(["run", "--rm", "--network", "host", "busybox", "sh", "-c", links]), /gantry0/);
  await daemon.dockerOk(["run", "-d", "--name", "base", "--hostname", "shared", "busybox", "sleep", "1000"]);
  const look = "ip -4 -o address show eth0; cat /etc/hosts; hostname";
  const args = ["run", "--rm", "--network", "container:base", "busybox", "sh", "-c", look];
  const joined = await daemon.dockerOk(args);
  assert.match(joined, /172\.17\.0\.2\/16/);
  assert.match(joined, /172\.17\.0\.2\tshared\n/);
  const [base] = JSON.parse(await daemon.dockerOk(["network", "inspect", "host"]));
  assert.deepEqual(base.Containers, {});
});

test("hosts, hostname and resolv.conf are made as asked for", async () => {
  await using daemon = await startWithImage();
  const out = await daemon.dockerOk([
    "run",
    "--rm",
    "--hostname",
    "foo",
    "--domainname",
    "d.x",
    "--add-host",
    "h1:1.2.3.4",
    "--add-host",
    "gw:host-gateway",
    "--dns",
    "9.9.9.9",
    "--dns-search",
    "a.b",
    "--dns-option",
    "ndots:3",
    "busybox",
    "cat",
    "/etc/hosts",
    "/etc/hostname",
    "/etc/resolv.conf",
  ]);
  for (const line of [
    "1.2.3.4\th1",
    "172.17.0.1\tgw",
    "172.17.0.2\tfoo.d.x foo",
    "nameserver 9.9.9.9",
    "search a.b",
    "options ndots:3",
  ])
    assert.ok(out.split("\n").includes(line), `${line} is missing in:\n${out}`);
});

test("a network that does not exist is named at start; nothing is left of it", async () => {
  await using daemon = await startWithImage();
  const result = await daemon.docker(["run", "--rm", "--network", "nope", "busybox", "true"]);
  assert.equal(result.code, 125);
  assert.match(result.stderr, /failed to set up container networking: network nope not found/);
});

test("the firewall tables are ours alone, and are there again when somebody flushed or deleted them", async () => {
  await using daemon = await startWithImage();
  const nft = (...args: readonly string[]) => daemon.inNamespace(["nft", ...args]);
  const list = async (): Promise<string> => (await nft("list", "table", "inet", "gantry")).stdout;
  await nft("add", "table", "ip", "foreign");
  const before = await list();
  assert.match(before, /masquerade/);
  for (const verb of ["flush", "delete"]) {
    await nft(verb, "table", "inet", "gantry");
    const deadline = performance.now() + 10_000;
    while ((await list()) !== before && performance.now() < deadline) await sleep(100);
    assert.equal(await list(), before, verb);
  }
  await daemon.kill9();
  await nft("delete", "table", "inet", "gantry");
  await daemon.start();
  assert.equal(await list(), before);
  assert.deepEqual((await daemon.api("GET", "/gantry/check")).json, []);
  assert.match((await nft("list", "tables")).stdout, /table ip foreign/);
});

test("a bridge that was taken down is found and mended, with a stray interface of ours", async () => {
  await using daemon = await startWithImage();
  await daemon.dockerOk(["run", "-d", "--name", "one", "busybox", "sleep", "1000"]);
  await daemon.inNamespace(["ip", "link", "set", "gantry0", "down"]);
  await daemon.inNamespace(["ip", "link", "add", "gveth0123456789", "type", "veth", "peer", "name", "x0"]);
  const repaired = (await daemon.api("POST", "/gantry/check?repair=1")).json as readonly { readonly subject: string }[];
  assert.deepEqual(repaired.map(({ subject }) => subject).toSorted(), ["gantry0", "gveth0123456789"]);
  assert.deepEqual((await daemon.api("GET", "/gantry/check")).json, []);
});

test("addresses survive a restart of the daemon, and end with their containers while it was away", async () => {
  await using daemon = await startWithImage();
  await daemon.dockerOk(["run", "-d", "--name", "stays", "busybox", "sleep", "1000"]);
  const goes = await daemon.dockerOk(["run", "-d", "--name", "goes", "busybox", "sleep", "2"]);
  await daemon.kill9();
  const deadline = performance.now() + 30_000;
  while (!existsSync(join(daemon.dataRoot, "containers", goes, "exit")) && performance.now() < deadline)
    await sleep(50);
  await daemon.start();
  const [stays] = JSON.parse(await daemon.dockerOk(["inspect", "stays"]));
  assert.equal(stays.NetworkSettings.IPAddress, "172.17.0.2");
  const [bridge] = JSON.parse(await daemon.dockerOk(["network", "inspect", "bridge"]));
  assert.deepEqual(
    Object.values(bridge.Containers).map((entry) => (entry as { Name: string }).Name),
    ["stays"],
  );
  assert.deepEqual((await daemon.api("GET", "/gantry/check")).json, []);
});

test("--bip, --mtu and --bridge=none do what they say; a range in use is passed over", async () => {
  {
    await using daemon = await startWithImage({ args: ["--bip", "10.99.0.1/24", "--mtu", "1400"] });
    const out = await daemon.dockerOk([
      "run",
      "--rm",
      "busybox",
      "sh",
      "-c",
      "ip -4 -o address; cat /sys/class/net/eth0/mtu",
    ]);
    assert.match(out, /10\.99\.0\.2\/24/);
    assert.match(out, /\n1400$/);
  }
  {
    await using daemon = await startWithImage({ args: ["--bridge", "none"] });
    assert.equal(await daemon.dockerOk(["network", "ls", "--format", "{{.Name}}"]), "host\nnone");
    assert.doesNotMatch((await daemon.inNamespace(["ip", "-br", "link"])).stdout, /gantry0/);
    const links = await daemon.dockerOk(["run", "--rm", "busybox", "sh", "-c", "ip -o link | cut -d: -f2"]);
    assert.equal(links.trim(), "lo");
    const gateway = await daemon.docker(["run", "--rm", "--add-host", "a:host-gateway", "busybox", "true"]);
    assert.match(gateway.stderr, /unable to derive the IP value for host-gateway/);
  }
  {
    await using daemon = new TestDaemon({ args: ["--embedded-image="] });
    await daemon.inNamespace(["ip", "link", "add", "vpn0", "type", "bridge"]);
    await daemon.inNamespace(["ip", "address", "add", "172.17.9.1/24", "dev", "vpn0"]);
    await daemon.start();
    const [bridge] = JSON.parse(await daemon.dockerOk(["network", "inspect", "bridge"]));
    assert.deepEqual(bridge.IPAM.Config, [{ Subnet: "172.18.0.0/16", Gateway: "172.18.0.1" }]);
    await daemon.inNamespace(["ip", "link", "del", "vpn0"]);
    await daemon.restart();
    const [again] = JSON.parse(await daemon.dockerOk(["network", "inspect", "bridge"]));
    assert.deepEqual([again.IPAM, again.Id], [bridge.IPAM, bridge.Id]);
  }
});
