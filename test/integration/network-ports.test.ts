// Published ports on the whole daemon: who reaches them from where and by what address, who must not, clashes, and what a killed
// daemon leaves working. The servers are processes of the test in the containers' network namespaces.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { makeBusyboxImage } from "../../tools/busybox-image.ts";
import { addNamespace, removeNamespace, runCommand, startDaemon, type TestDaemon } from "../support/daemon.ts";
import { NetPeer } from "../support/net-peer.ts";

const hostAddress = "198.51.100.1";
const hostAddress6 = "2001:db8:99::1";
const neighbourAddress = "198.51.100.2";
const neighbourAddress6 = "2001:db8:99::2";

let daemon: TestDaemon;
let host: NetPeer;
let neighbour: NetPeer;
let neighbourNet: string;

async function ip(...args: readonly string[]): Promise<void> {
  const result = await runCommand(["ip", ...args]);
  assert.equal(result.code, 0, `ip ${args.join(" ")}: ${result.stderr}`);
}

before(async () => {
  daemon = await startDaemon({ args: ["--embedded-image="] });
  await daemon.dockerOk(["load", "-q"], { input: makeBusyboxImage("/bin/busybox") });
  neighbourNet = `${daemon.netns}-n`;
  addNamespace(neighbourNet);
  await ip("-n", daemon.netns, "link", "add", "out0", "type", "veth", "peer", "name", "in0", "netns", neighbourNet);
  for (const [net, link, four, six] of [
    [daemon.netns, "out0", hostAddress, hostAddress6],
    [neighbourNet, "in0", neighbourAddress, neighbourAddress6],
  ] as const) {
    await ip("-n", net, "address", "add", `${four}/24`, "dev", link);
    await ip("-n", net, "address", "add", `${six}/64`, "dev", link, "nodad");
    await ip("-n", net, "link", "set", link, "up");
  }
  host = new NetPeer(`/run/netns/${daemon.netns}`);
  neighbour = new NetPeer(`/run/netns/${neighbourNet}`);
});

after(async () => {
  await host[Symbol.asyncDispose]();
  await neighbour[Symbol.asyncDispose]();
  await ip("-n", daemon.netns, "link", "del", "out0");
  removeNamespace(neighbourNet);
  for (const name of ["other", "dual"]) await daemon.docker(["network", "rm", name]);
  await daemon[Symbol.asyncDispose]();
});

interface Container extends AsyncDisposable {
  readonly name: string;
  /** In its network namespace. */
  readonly peer: NetPeer;
  readonly address: string;
}

/** A container that sleeps, with a peer in its network; `tell` serves on its port 80, TCP and UDP. */
async function run(name: string, ...args: readonly string[]): Promise<Container> {
  await daemon.dockerOk(["run", "-d", "--name", name, ...args, "busybox", "sleep", "1000"]);
  return enter(name);
}

async function enter(name: string): Promise<Container> {
  const [inspected] = JSON.parse(await daemon.dockerOk(["inspect", name]));
  const [endpoint] = Object.values<{ readonly IPAddress: string }>(inspected.NetworkSettings.Networks);
  const peer = new NetPeer(`/proc/${inspected.State.Pid}/ns/net`);
  await peer.serveTcp("0.0.0.0", 80, "tell");
  await peer.serveTcp("::", 80, "tell");
  await peer.serveUdp("0.0.0.0", 80);
  await peer.serveUdp("::", 80);
  return {
    name,
    peer,
    address: endpoint?.IPAddress ?? "",
    async [Symbol.asyncDispose]() {
      await peer[Symbol.asyncDispose]();
      await daemon.docker(["rm", "-f", name]);
    },
  };
}

/** The client's address as the server saw it, or the error. */
async function seen(from: NetPeer, address: string, port: number): Promise<string> {
  const { text, error } = await from.tcp(address, port, "", undefined, 1500);
  return error === "" ? (text.split(" ")[0] ?? "") : error;
}

async function seenUdp(from: NetPeer, address: string, port: number): Promise<string> {
  const { text, error, from: source } = await from.udp(address, port, "x", 1500);
  assert.ok(error !== "" || source === address, `the answer came from ${source}`);
  return error === "" ? (text.split(" ")[0] ?? "") : error;
}

test("every form of -p: what was asked is what is told", async () => {
  const forms: readonly (readonly [args: readonly string[], told: RegExp])[] = [
    [["-p", "8080:80"], /^80\/tcp -> 0\.0\.0\.0:8080\n80\/tcp -> \[::\]:8080$/],
    [["-p", "127.0.0.1:8081:80"], /^80\/tcp -> 127\.0\.0\.1:8081$/],
    [["-p", "[::1]:8082:80"], /^80\/tcp -> \[::1\]:8082$/],
    [["-p", "0.0.0.0:8083:80"], /^80\/tcp -> 0\.0\.0\.0:8083$/],
    [["-p", `${hostAddress}:8084:80`], /^80\/tcp -> 198\.51\.100\.1:8084$/],
    [["-p", "5353:53/udp", "-p", "5353:53"], /^53\/tcp -> 0\.0\.0\.0:5353\n.*\n53\/udp -> 0\.0\.0\.0:5353\n/],
    [["-p", "9000-9001:90-91"], /^90\/tcp -> 0\.0\.0\.0:9000\n.*\n91\/tcp -> 0\.0\.0\.0:9001\n/],
    [["-p", "8085-8089:80"], /^80\/tcp -> 0\.0\.0\.0:8085\n/],
    [["-p", "80"], /^80\/tcp -> 0\.0\.0\.0:(3276[89])\n80\/tcp -> \[::\]:\1$/],
    [["-p", "127.0.0.1::80/udp"], /^80\/udp -> 127\.0\.0\.1:32768$/],
    [["-p", "published=8090,target=80,protocol=udp"], /^80\/udp -> 0\.0\.0\.0:8090\n/],
    [["-P", "--expose", "90-91"], /^90\/tcp -> 0\.0\.0\.0:327\d\d\n.*\n91\/tcp -> 0\.0\.0\.0:327\d\d\n/],
    [
      ["-p", "8091:80", "-p", "8092:80"],
      /^80\/tcp -> 0\.0\.0\.0:8091\n80\/tcp -> 0\.0\.0\.0:8092\n80\/tcp -> \[::\]:8091\n80\/tcp -> \[::\]:8092$/,
    ],
    [["-p", "8093:80/sctp"], /^80\/sctp -> 0\.0\.0\.0:8093\n/],
  ];
  for (const [args, told] of forms) {
    await daemon.dockerOk(["run", "-d", "--name", "form", ...args, "busybox", "sleep", "1000"]);
    assert.match(await daemon.dockerOk(["port", "form"]), told, args.join(" "));
    await daemon.dockerOk(["rm", "-f", "form"]);
  }
});

test("what is published is shown running, and not otherwise", async () => {
  await using web = await run("web", "-p", "8080:80", "--expose", "90/udp");
  const ports = async (): Promise<unknown> =>
    JSON.parse(await daemon.dockerOk(["inspect", "-f", "{{json .NetworkSettings.Ports}}", web.name]));
  assert.deepEqual(await ports(), {
    "80/tcp": [
      { HostIp: "0.0.0.0", HostPort: "8080" },
      { HostIp: "::", HostPort: "8080" },
    ],
    "90/udp": null,
  });
  const { json } = await daemon.api("GET", "/containers/json");
  assert.deepEqual((json as { Ports: unknown }[])[0]?.Ports, [
    { IP: "0.0.0.0", PrivatePort: 80, PublicPort: 8080, Type: "tcp" },
    { IP: "::", PrivatePort: 80, PublicPort: 8080, Type: "tcp" },
    { PrivatePort: 90, Type: "udp" },
  ]);
  await daemon.dockerOk(["kill", web.name]);
  assert.deepEqual(await ports(), {});
});

test("reached from everywhere, with the client's own address wherever the kernel keeps it", async () => {
  await daemon.dockerOk(["network", "create", "other"]);
  await using web = await run("web", "-p", "8080:80", "-p", "8080:80/udp");
  await using stranger = await run("stranger", "--network", "other");
  await using sibling = await run("sibling");
  const gateway = "172.17.0.1";
  for (const [protocol, see] of [
    ["tcp", seen],
    ["udp", seenUdp],
  ] as const) {
    assert.equal(await see(neighbour, hostAddress, 8080), neighbourAddress, `${protocol} from outside`);
    assert.notEqual(await see(neighbour, hostAddress6, 8080), "", `${protocol} IPv6 from outside`);
    assert.equal(await see(neighbour, hostAddress6, 8080), gateway, `${protocol} IPv6 from outside, by relay`);
    assert.match(
      await see(host, hostAddress, 8080),
      /^(198\.51\.100\.1|172\.17\.0\.1)$/,
      `${protocol} by the host's own`,
    );
    assert.equal(await see(host, gateway, 8080), gateway, `${protocol} by the gateway`);
    for (const address of ["127.0.0.1", "127.1.2.3", "::1"])
      assert.equal(await see(host, address, 8080), gateway, `${protocol} by ${address}`);
    assert.match(
      await see(stranger.peer, hostAddress, 8080),
      /^(172\.18\.0\.2|172\.1[78]\.0\.1)$/,
      `${protocol} other network`,
    );
    assert.match(
      await see(stranger.peer, gateway, 8080),
      /^(172\.18\.0\.2|172\.1[78]\.0\.1)$/,
      `${protocol} other, gateway`,
    );
    assert.match(await see(sibling.peer, hostAddress, 8080), /^172\.17\.0\.\d+$/, `${protocol} same network`);
    assert.match(await see(web.peer, hostAddress, 8080), /^172\.17\.0\.\d+$/, `${protocol} itself`);
    assert.match(await see(web.peer, gateway, 8080), /^172\.17\.0\.\d+$/, `${protocol} itself, gateway`);
  }
});

test("IPv6 keeps the client's address where the container has IPv6", async () => {
  await daemon.dockerOk(["network", "create", "--ipv6", "--subnet", "fd12:3456::/64", "dual"]);
  await using web = await run("web", "--network", "dual", "-p", "8080:80", "-p", "8080:80/udp");
  assert.equal(await seen(neighbour, hostAddress6, 8080), neighbourAddress6);
  assert.equal(await seenUdp(neighbour, hostAddress6, 8080), neighbourAddress6);
  assert.equal(await seen(neighbour, hostAddress, 8080), neighbourAddress);
  assert.match(await seen(host, hostAddress6, 8080), /^(2001:db8:99::1|fd12:3456::1)$/);
  assert.equal(await seen(host, "::1", 8080), "fd12:3456::1");
  assert.match(await seen(web.peer, hostAddress6, 8080), /^fd12:3456::/);
});

test("megabytes arrive whole, by NAT and by relay", async () => {
  await using web = await run("web", "-p", "8082:82");
  await web.peer.serveTcp("0.0.0.0", 82, "digest");
  for (const [from, address] of [
    [neighbour, hostAddress],
    [host, "127.0.0.1"],
    [neighbour, hostAddress6],
  ] as const) {
    const { got, sent } = await from.bulk(address, 8082, 20_000_003);
    assert.equal(got, sent, address);
  }
});

test("a port of one address is not there at the others", async () => {
  await using _web = await run("web", "-p", `${hostAddress}:8080:80`);
  assert.equal(await seen(neighbour, hostAddress, 8080), neighbourAddress);
  assert.equal(await seen(host, "127.0.0.1", 8080), "ECONNREFUSED");
  assert.equal(await seen(host, "172.17.0.1", 8080), "ECONNREFUSED");
  assert.notEqual(await seen(neighbour, hostAddress6, 8080), neighbourAddress6);
});

test("a port of 127.0.0.1 or ::1 is the host's alone, by whatever route a neighbour tries", async () => {
  await using web = await run("web", "-p", "127.0.0.1:8080:80", "-p", "127.0.0.1:8080:80/udp", "-p", "[::1]:8080:80");
  await using stranger = await run("stranger", "--network", "other");
  assert.equal(await seen(host, "127.0.0.1", 8080), "172.17.0.1");
  assert.equal(await seenUdp(host, "127.0.0.1", 8080), "172.17.0.1");
  assert.equal(await seen(host, "::1", 8080), "172.17.0.1");
  for (const peer of [neighbour, stranger.peer, web.peer])
    for (const address of [hostAddress, hostAddress6, "172.17.0.1"]) {
      const outcome = await seen(peer, address, 8080);
      assert.match(outcome, /^E[A-Z]+$|^TIMEOUT$/, `${address}: ${outcome}`);
    }
  // The neighbour sends packets for 127.0.0.1, for ::1 and for the container itself to the host.
  const inNeighbour = async (command: string): Promise<void> => {
    const result = await runCommand(["nsenter", `--net=/run/netns/${neighbourNet}`, "sh", "-ec", command]);
    assert.equal(result.code, 0, result.stderr);
  };
  await inNeighbour("echo 1 >/proc/sys/net/ipv4/conf/all/route_localnet");
  await inNeighbour("ip rule add pref 10 lookup main && ip rule del pref 0 && ip rule add pref 20 lookup local");
  await inNeighbour(`ip route add 127.0.0.1 via ${hostAddress} && ip route replace 172.17.0.0/16 via ${hostAddress}`);
  try {
    for (const address of ["127.0.0.1", web.address]) {
      assert.match(await seen(neighbour, address, 8080), /^E[A-Z]+$|^TIMEOUT$/, address);
      assert.match(await seen(neighbour, address, 80), /^E[A-Z]+$|^TIMEOUT$/, address);
      assert.match(await seenUdp(neighbour, address, 8080), /^E[A-Z]+$|^TIMEOUT$/, address);
    }
  } finally {
    await inNeighbour("ip rule add pref 0 lookup local && ip rule del pref 10 && ip rule del pref 20");
    await inNeighbour(
      "ip route del 127.0.0.1; ip route del 172.17.0.0/16; echo 0 >/proc/sys/net/ipv4/conf/all/route_localnet",
    );
  }
});

test("a clash with a container names it; nothing is left half-made, and the start works when the port is free", async () => {
  await using web = await run("web", "-p", "8080:80");
  for (const [port, told] of [
    ["8080:80", "0.0.0.0:8080"],
    ["127.0.0.1:8080:81", "0.0.0.0:8080"],
    ["[::1]:8080:80", ":::8080"],
  ] as const) {
    const clash = await daemon.docker([
      "run",
      "-d",
      "--name",
      "late",
      "-p",
      "8079:80",
      "-p",
      port,
      "busybox",
      "sleep",
      "9",
    ]);
    assert.notEqual(clash.code, 0);
    assert.ok(
      clash.stderr.includes(`Bind for ${told} failed: port is already allocated (by container web)`),
      clash.stderr,
    );
    assert.equal(await daemon.dockerOk(["inspect", "-f", "{{.State.Status}}", "late"]), "created");
    assert.equal(await seen(host, "127.0.0.1", 8079), "ECONNREFUSED");
    await daemon.dockerOk(["rm", "late"]);
  }
  await daemon.dockerOk(["create", "--name", "late", "-p", "8080:80", "busybox", "sleep", "1000"]);
  assert.notEqual((await daemon.docker(["start", "late"])).code, 0);
  await daemon.dockerOk(["rename", "web", "site"]);
  assert.match((await daemon.docker(["start", "late"])).stderr, /by container site\)/);
  await daemon.dockerOk(["rename", "site", "web"]);
  await daemon.dockerOk(["kill", web.name]);
  await daemon.dockerOk(["start", "late"]);
  await using late = await enter("late");
  assert.equal(await seen(neighbour, hostAddress, 8080), neighbourAddress);
  assert.match((await daemon.docker(["start", web.name])).stderr, /by container late\)/);
  assert.equal(late.name, "late");
});

test("a clash with a program of the host says so; the program goes on", async () => {
  await using program = new NetPeer(`/run/netns/${daemon.netns}`);
  await program.serveTcp("127.0.0.1", 8080, "tell");
  const links = async (): Promise<string> =>
    (await daemon.inNamespace(["ip", "-br", "link"])).stdout.replaceAll(/ .*/g, "");
  const before = await links();
  const clash = await daemon.docker([
    "run",
    "-d",
    "--name",
    "late",
    "-p",
    "8079:80",
    "-p",
    "8080:80",
    "busybox",
    "sleep",
    "9",
  ]);
  assert.notEqual(clash.code, 0);
  assert.match(
    clash.stderr,
    /failed to bind host port for 0\.0\.0\.0:8080:172\.17\.0\.\d+:80\/tcp: address already in use/,
  );
  assert.equal(await links(), before);
  assert.equal(await seen(host, "127.0.0.1", 8079), "ECONNREFUSED");
  assert.equal(await seen(host, "127.0.0.1", 8080), "127.0.0.1");
  await program.closeAll();
  await daemon.dockerOk(["start", "late"]);
  await daemon.dockerOk(["rm", "-f", "late"]);
  // And the other way round: a program cannot take what is published.
  await using _web = await run("web", "-p", "8080:80");
  await assert.rejects(program.serveTcp("0.0.0.0", 8080), { code: "EADDRINUSE" });
  await assert.rejects(program.serveTcp("127.0.0.1", 8080), { code: "EADDRINUSE" });
  // A chosen port passes over what programs have.
  await program.serveTcp("0.0.0.0", 8095);
  await daemon.dockerOk(["run", "-d", "--name", "range", "-p", "8095-8096:80", "busybox", "sleep", "9"]);
  assert.match(await daemon.dockerOk(["port", "range"]), /0\.0\.0\.0:8096/);
  await daemon.dockerOk(["rm", "-f", "range"]);
});

test("the port is free again at once when the container has ended, and leads to the next one", async () => {
  for (let round = 0; round < 5; round++) {
    await using web = await run("web", "-p", "8080:80", "-p", "8080:80/udp");
    assert.equal(await seen(neighbour, hostAddress, 8080), neighbourAddress);
    assert.equal(await seen(host, "127.0.0.1", 8080), "172.17.0.1");
    assert.equal(await seenUdp(neighbour, hostAddress, 8080), neighbourAddress);
    assert.equal(await web.peer.hold(hostAddress, 8080, 1), 1);
  }
  assert.equal(await seen(host, "127.0.0.1", 8080), "ECONNREFUSED");
  assert.equal(await seen(neighbour, hostAddress, 8080), "ECONNREFUSED");
});

test("a client that goes on sending datagrams from one port is led to the container that has the port now", async () => {
  const answers: string[] = [];
  for (let round = 0; round < 3; round++) {
    await using other = await run(`other${round}`);
    await using web = await run("web", "-p", "8080:80/udp");
    const { text, error } = await neighbour.udp(hostAddress, 8080, "x", 2000, 40_000);
    answers.push(error === "" ? text : `${error} of ${web.address}, beside ${other.address}`);
    await daemon.dockerOk(["kill", web.name]);
    assert.notEqual((await neighbour.udp(hostAddress, 8080, "x", 200, 40_000)).error, "");
  }
  assert.deepEqual(
    answers,
    Array.from(answers, () => `${neighbourAddress} x`),
  );
});

test("a killed daemon's ports go on, and are known to the next one", async () => {
  await using web = await run("web", "-p", "8080:80");
  await daemon.kill9();
  assert.equal(await seen(host, "127.0.0.1", 8080), "172.17.0.1");
  assert.equal(await seen(neighbour, hostAddress, 8080), neighbourAddress);
  await daemon.start();
  assert.equal(await seen(host, "127.0.0.1", 8080), "172.17.0.1");
  assert.equal(await seen(neighbour, hostAddress, 8080), neighbourAddress);
  const clash = await daemon.docker(["run", "--rm", "-p", "8080:80", "busybox", "true"]);
  assert.match(clash.stderr, /port is already allocated \(by container web\)/);
  await daemon.dockerOk(["restart", "-t", "0", web.name]);
  await using again = await enter("web");
  assert.equal(await seen(neighbour, hostAddress, 8080), neighbourAddress);
  assert.equal(again.name, "web");
});

test("500 ports in one range", async () => {
  await using web = await run("web", "-p", "20000-20499:20000-20499");
  for (const port of [20_000, 20_250, 20_499]) {
    await web.peer.serveTcp("0.0.0.0", port, "tell");
    assert.equal(await seen(neighbour, hostAddress, port), neighbourAddress);
    assert.equal(await seen(host, "127.0.0.1", port), "172.17.0.1");
  }
  assert.equal((await daemon.dockerOk(["port", "web"])).split("\n").length, 1000);
  await daemon.dockerOk(["kill", "web"]);
  assert.equal(await seen(host, "127.0.0.1", 20_250), "ECONNREFUSED");
});

test("a container without published ports has no port server; one with them has one, and it ends with it", async () => {
  const servers = async (): Promise<number> => {
    const id = await daemon.dockerOk(["inspect", "-f", "{{.Id}}", "web"]);
    const { stdout } = await runCommand(["ps", "-eo", "args"]);
    return stdout.split("\n").filter((args) => args.startsWith(`gantry-port ${id.slice(0, 12)}`)).length;
  };
  {
    await using _web = await run("web");
    assert.equal(await servers(), 0);
  }
  await using web = await run("web", "-p", "8080:80", "-p", "8081:81");
  assert.equal(await servers(), 1);
  await daemon.dockerOk(["kill", web.name]);
  assert.equal(await servers(), 0);
});

test("malformed bindings are refused at creation", async () => {
  for (const [key, binding, complaint] of [
    ["80/tcp", { HostPort: "x" }, 'invalid port specification: "x"'],
    ["80/tcp", { HostIp: "1.2.3", HostPort: "1" }, "invalid IP address: 1.2.3"],
    ["80-90/tcp", { HostPort: "80" }, 'invalid port specification: "80-90"'],
  ] as const) {
    const body = { Image: "busybox", HostConfig: { PortBindings: { [key]: [binding] } } };
    const { status, text } = await daemon.api("POST", "/containers/create", body);
    assert.equal(status, 400, text);
    assert.ok((JSON.parse(text) as { message: string }).message.includes(complaint), text);
  }
});
