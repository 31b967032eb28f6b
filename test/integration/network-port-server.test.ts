// The port server alone (shim/src/ports*.c, built with sanitizers and driven by shim/test/drive-ports.c), between two network
// namespaces: the host's, with clients, and the container's, with servers. No firewall: everything goes through the child.

import assert from "node:assert/strict";
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface, type Interface } from "node:readline";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { addNamespace, removeNamespace } from "../support/daemon.ts";
import { NetPeer } from "../support/net-peer.ts";

const shim = join(import.meta.dirname, "../../shim");
const hostNet = `gports-h${process.pid}`;
const innerNet = `gports-c${process.pid}`;
const inner4 = "10.99.0.2";
const inner6 = "fd99::2";

let host: NetPeer;
let inner: NetPeer;

function ip(...argv: readonly string[]): void {
  execFileSync("ip", argv);
}

before(async () => {
  execFileSync("make", ["-s", "-C", shim, "build/drive-ports"], { stdio: "inherit" });
  addNamespace(hostNet);
  addNamespace(innerNet);
  ip("-n", hostNet, "link", "add", "c0", "type", "veth", "peer", "name", "eth0", "netns", innerNet);
  for (const [net, link, four, six] of [
    [hostNet, "c0", "10.99.0.1/24", "fd99::1/64"],
    [innerNet, "eth0", `${inner4}/24`, `${inner6}/64`],
  ] as const) {
    ip("-n", net, "address", "add", four, "dev", link);
    ip("-n", net, "address", "add", six, "dev", link, "nodad");
    ip("-n", net, "link", "set", link, "up");
  }
  host = new NetPeer(`/run/netns/${hostNet}`);
  inner = new NetPeer(`/run/netns/${innerNet}`);
  await inner.serveTcp(inner4, 80, "echo");
  await inner.serveTcp(inner4, 81, "tell");
  await inner.serveTcp(inner4, 82, "digest");
  await inner.serveTcp(inner4, 83, "reset");
  await inner.serveTcp(inner4, 84, "swallow");
  await inner.serveTcp(inner6, 80, "tell");
  await inner.serveUdp(inner4, 53);
});

after(async () => {
  await host[Symbol.asyncDispose]();
  await inner[Symbol.asyncDispose]();
  removeNamespace(hostNet);
  removeNamespace(innerNet);
});

/** The shim's side of the port server, with a list that can be changed. */
class Driver {
  readonly #child: ChildProcess;
  readonly #answers: AsyncIterator<string>;

  /** @param before a program and arguments that run it */
  constructor(...before: readonly string[]) {
    const title = "t".repeat(40);
    const argv = [`--net=/run/netns/${hostNet}`, ...before, join(shim, "build/drive-ports"), title];
    this.#child = spawn("nsenter", argv, { stdio: ["pipe", "pipe", "inherit"] });
    const lines: Interface = createInterface({ input: this.#child.stdout as NodeJS.ReadableStream });
    this.#answers = lines[Symbol.asyncIterator]();
  }

  async #ask(text: string): Promise<string> {
    this.#child.stdin?.write(text);
    const { value } = await this.#answers.next();
    return String(value);
  }

  apply(...lines: readonly string[]): Promise<string> {
    return this.#ask(`${lines.map((line) => `${line}\n`).join("")}.\n`);
  }

  closePorts(): Promise<string> {
    return this.#ask("x.\n");
  }

  /** Pid of the server; undefined: there is none. */
  get server(): number | undefined {
    const pid = this.#child.pid ?? 0;
    const children = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim();
    return children === "" ? undefined : Number(children.split(" ")[0]);
  }

  kill(): void {
    this.#child.kill("SIGKILL");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const ended = once(this.#child, "exit");
    this.#child.stdin?.end();
    const [code] = await ended;
    assert.equal(code, 0, "no sanitizer has complained");
  }
}

function line(port: number, to: number, at = "127.0.0.1", protocol = "tcp", target = inner4): string {
  return `${protocol} ${at} ${port} ${target} ${to}`;
}

/** Ticks of CPU that a process has used. */
function ticks(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]?.split(" ") ?? [];
  return Number(fields[11]) + Number(fields[12]);
}

async function eventually(what: string, is: () => boolean | Promise<boolean>): Promise<void> {
  for (let tries = 0; tries < 100; tries++) {
    if (await is()) return;
    await sleep(50);
  }
  assert.fail(what);
}

test("no ports, no process; the last port takes it away", async () => {
  await using driver = new Driver();
  assert.equal(await driver.apply(), "ok");
  assert.equal(driver.server, undefined);
  assert.equal(await driver.apply(line(8080, 80)), "ok");
  const server = driver.server ?? 0;
  assert.match(readFileSync(`/proc/${server}/cmdline`, "latin1"), /\0gantry-port 0123456789ab\0/);
  assert.equal(await driver.apply(), "ok");
  assert.equal(driver.server, undefined);
  assert.equal((await host.tcp("127.0.0.1", 8080)).error, "ECONNREFUSED");
});

test("connections are relayed with both half-closes, whole", async () => {
  await using driver = new Driver();
  assert.equal(await driver.apply(line(8080, 80), line(8082, 82), line(8081, 81)), "ok");
  assert.deepEqual(await host.tcp("127.0.0.1", 8080, "hello"), { text: "hello", error: "" });
  assert.deepEqual(await host.tcp("127.0.0.1", 8080), { text: "", error: "" });
  const { got, sent } = await host.bulk("127.0.0.1", 8082, 30_000_001);
  assert.equal(got, sent);
  const all = await Promise.all(Array.from({ length: 50 }, (_, n) => host.tcp("127.0.0.1", 8080, `n${n}`)));
  assert.deepEqual(
    all.map(({ text }) => text),
    all.map((_, n) => `n${n}`),
  );
  assert.deepEqual(await host.tcp("127.0.0.1", 8081), { text: "10.99.0.1 10.99.0.2\n", error: "" });
});

test("IPv6 leads to a container with IPv4 only, and the other way round", async () => {
  await using driver = new Driver();
  assert.equal(
    await driver.apply(line(8080, 81, "::"), line(8080, 81, "0.0.0.0"), line(8089, 80, "0.0.0.0", "tcp", inner6)),
    "ok",
  );
  for (const address of ["::1", "fd99::1", "127.0.0.1", "127.9.9.9", "10.99.0.1"])
    assert.equal((await host.tcp(address, 8080)).text, "10.99.0.1 10.99.0.2\n", address);
  assert.equal((await host.tcp("127.0.0.1", 8089)).text, "fd99::1 fd99::2\n");
});

test("what is refused or reset by the container is reset for the client", async () => {
  await using driver = new Driver();
  assert.equal(
    await driver.apply(line(8083, 83), line(8099, 99), line(8098, 80, "127.0.0.1", "tcp", "10.99.0.77")),
    "ok",
  );
  assert.equal((await host.tcp("127.0.0.1", 8083, "x")).error, "ECONNRESET");
  assert.equal((await host.tcp("127.0.0.1", 8099, "x")).error, "ECONNRESET");
  assert.equal((await host.tcp("127.0.0.1", 8098, "x", undefined, 6000)).error, "ECONNRESET");
});

test("a container that does not read stops the client, not the server; a client's reset frees all", async () => {
  await using driver = new Driver();
  assert.equal(await driver.apply(line(8084, 84), line(8080, 80)), "ok");
  const server = driver.server ?? 0;
  const idle = readdirSync(`/proc/${server}/fd`).length;
  const taken = await host.fill("127.0.0.1", 8084);
  assert.ok(taken < 64 << 20, `${taken} bytes are in flight`);
  const before = ticks(server);
  await sleep(1000);
  assert.ok(ticks(server) - before <= 5, "it does not spin");
  assert.equal((await host.tcp("127.0.0.1", 8080, "others")).text, "others");
  await host.holding("reset");
  // Empty pipes are kept for the next bytes.
  await eventually("descriptors are closed", () => readdirSync(`/proc/${server}/fd`).length <= idle + 8);
});

test("clients that say nothing, one that hangs up both ways, and a flood of resets cost no time", async () => {
  await using driver = new Driver();
  assert.equal(await driver.apply(line(8080, 80), line(8084, 84)), "ok");
  const server = driver.server ?? 0;
  assert.equal(await host.hold("127.0.0.1", 8080, 300), 300);
  assert.equal(await host.hold("127.0.0.1", 8084, 100, "x"), 100);
  await sleep(300);
  const before = ticks(server);
  await sleep(1000);
  assert.ok(ticks(server) - before <= 5, "it does not spin");
  assert.equal((await host.tcp("127.0.0.1", 8080, "one more")).text, "one more");
  await host.holding("reset");
  for (let round = 0; round < 5; round++) {
    await host.hold("127.0.0.1", 8080, 100, "x");
    await host.holding("reset");
  }
  assert.equal((await host.tcp("127.0.0.1", 8080, "and one")).text, "and one");
});

test("a change keeps what stays: listeners, connections; it ends those of what goes", async () => {
  await using driver = new Driver();
  assert.equal(await driver.apply(line(8080, 80), line(8081, 80)), "ok");
  const server = driver.server;
  assert.equal(await host.hold("127.0.0.1", 8080, 5, "x"), 5);
  assert.equal(await driver.apply(line(8080, 80), line(8082, 80), line(8083, 81)), "ok");
  assert.equal(driver.server, server);
  assert.equal(await host.holding(), 5);
  assert.equal((await host.tcp("127.0.0.1", 8081)).error, "ECONNREFUSED");
  assert.equal((await host.tcp("127.0.0.1", 8082, "new")).text, "new");
  assert.equal(await driver.apply(line(8080, 81), line(8082, 80)), "ok");
  assert.equal(await host.holding(), 5, "another target is for new connections");
  assert.match((await host.tcp("127.0.0.1", 8080)).text, /^10\.99\.0\.1 /);
  assert.equal(await driver.apply(line(8082, 80)), "ok");
  await eventually("its connections end", async () => (await host.holding()) === 0);
});

test("a port that a program of the host has: dockerd's words, and nothing changes", async () => {
  await using driver = new Driver();
  await using program = new NetPeer(`/run/netns/${hostNet}`);
  await program.serveTcp("127.0.0.1", 8085);
  await program.serveTcp("::1", 8086);
  await program.serveUdp("127.0.0.1", 8087);
  const taken = "address already in use";
  assert.equal(
    await driver.apply(line(8080, 80, "0.0.0.0"), line(8085, 80, "0.0.0.0")),
    `error 98 failed to bind host port for 0.0.0.0:8085:10.99.0.2:80/tcp: ${taken}`,
  );
  assert.equal(driver.server, undefined);
  assert.equal((await host.tcp("127.0.0.1", 8080)).error, "ECONNREFUSED");
  assert.equal(await driver.apply(line(8080, 80)), "ok");
  assert.equal(
    await driver.apply(line(8081, 80), line(8086, 80, "::", "tcp", inner6)),
    `error 98 failed to bind host port for [::]:8086:[fd99::2]:80/tcp: ${taken}`,
  );
  assert.equal(
    await driver.apply(line(8081, 80), line(8087, 53, "0.0.0.0", "udp")),
    `error 98 failed to bind host port for 0.0.0.0:8087:10.99.0.2:53/udp: ${taken}`,
  );
  assert.equal(
    await driver.apply(line(8080, 80), line(8080, 80)),
    `error 98 failed to bind host port for 127.0.0.1:8080:10.99.0.2:80/tcp: ${taken}`,
  );
  assert.equal(
    await driver.apply(line(8081, 80, "9.9.9.9")),
    "error 99 failed to bind host port for 9.9.9.9:8081:10.99.0.2:80/tcp: cannot assign requested address",
  );
  assert.equal(await driver.apply("tcp nowhere 1 2 3"), 'error 22 invalid port "tcp nowhere 1 2 3"');
  assert.equal((await host.tcp("127.0.0.1", 8080, "as before")).text, "as before");
  assert.equal((await host.tcp("127.0.0.1", 8081)).error, "ECONNREFUSED");
  await assert.rejects(program.serveTcp("127.0.0.1", 8080), { code: "EADDRINUSE" });
  assert.equal(await driver.closePorts(), "ok");
  await program.serveTcp("127.0.0.1", 8080);
});

test("datagrams: an answer comes from the address that was asked, each client has its own", async () => {
  await using driver = new Driver();
  assert.equal(
    await driver.apply(
      line(5353, 53, "0.0.0.0", "udp"),
      line(5353, 53, "::", "udp"),
      line(5399, 99, "127.0.0.1", "udp"),
    ),
    "ok",
  );
  for (const address of ["127.0.0.1", "127.0.0.7", "10.99.0.1", "::1", "fd99::1"])
    assert.deepEqual(await host.udp(address, 5353, "who"), { text: "10.99.0.1 who", from: address, error: "" });
  const all = await Promise.all(Array.from({ length: 100 }, (_, n) => host.udp("127.0.0.1", 5353, `n${n}`)));
  assert.deepEqual(
    all.map(({ text }) => text),
    all.map((_, n) => `10.99.0.1 n${n}`),
  );
  const long = "x".repeat(40_000);
  assert.equal((await host.udp("127.0.0.1", 5353, long)).text, `10.99.0.1 ${long}`);
  assert.equal((await host.udp("127.0.0.1", 5399, "nobody", 200)).error, "TIMEOUT");
  assert.equal((await host.udp("127.0.0.1", 5399, "nobody", 200)).error, "TIMEOUT");
  await inner.serveUdp(inner4, 99);
  assert.equal((await host.udp("127.0.0.1", 5399, "now")).text, "10.99.0.1 now");
});

test("a client that goes on sending is led to the new target, not to whoever has the old address", async () => {
  await using driver = new Driver();
  await inner.serveUdp(inner6, 53);
  assert.equal(await driver.apply(line(5353, 53, "127.0.0.1", "udp")), "ok");
  const local = 45_353;
  assert.equal((await host.udp("127.0.0.1", 5353, "old", 1000, local)).text, "10.99.0.1 old");
  assert.equal(await driver.apply(line(5353, 53, "127.0.0.1", "udp", inner6)), "ok");
  assert.equal((await host.udp("127.0.0.1", 5353, "new", 1000, local)).text, "fd99::1 new");
});

test("more clients than sessions: the oldest make room", async () => {
  await using driver = new Driver();
  assert.equal(await driver.apply(line(5353, 53, "127.0.0.1", "udp")), "ok");
  const server = driver.server ?? 0;
  for (let round = 0; round < 12; round++)
    await Promise.all(Array.from({ length: 100 }, (_, n) => host.udp("127.0.0.1", 5353, `n${n}`, 2000)));
  assert.ok(readdirSync(`/proc/${server}/fd`).length <= 1024 + 16);
  assert.equal((await host.udp("127.0.0.1", 5353, "last")).text, "10.99.0.1 last");
});

test("sctp: bound where the kernel has it, otherwise no error", async () => {
  await using driver = new Driver();
  assert.equal(await driver.apply(line(8080, 80, "0.0.0.0", "sctp")), "ok");
  assert.equal(await driver.apply(line(8080, 80, "0.0.0.0", "sctp"), line(8080, 80)), "ok");
  assert.equal((await host.tcp("127.0.0.1", 8080, "tcp")).text, "tcp");
});

test("10,000 ports, and one more", async () => {
  await using driver = new Driver();
  const many = Array.from({ length: 10_000 }, (_, n) => line(10_000 + n, 80));
  assert.equal(await driver.apply(...many), "ok");
  for (const port of [10_000, 14_321, 19_999]) assert.equal((await host.tcp("127.0.0.1", port, "x")).text, "x");
  assert.equal(await host.hold("127.0.0.1", 12_345, 3, "x"), 3);
  assert.equal(await driver.apply(...many, line(8080, 80)), "ok");
  assert.equal(await host.holding("close"), 3);
  assert.equal((await host.tcp("127.0.0.1", 8080, "x")).text, "x");
  assert.equal(await driver.closePorts(), "ok");
  assert.equal((await host.tcp("127.0.0.1", 10_000)).error, "ECONNREFUSED");
});

test("more ports than files: which one did not fit, and nothing is bound", async () => {
  const limits = ["setpriv", "--bounding-set=-sys_resource", "prlimit", "--nofile=256:256"];
  await using driver = new Driver(...limits);
  const many = Array.from({ length: 300 }, (_, n) => line(10_000 + n, 80));
  assert.match(
    await driver.apply(...many),
    /^error 24 failed to bind host port for 127\.0\.0\.1:\d+:10\.99\.0\.2:80\/tcp: too many open files \(port 2\d\d of 300; RLIMIT_NOFILE is 256\)$/,
  );
  assert.equal((await host.tcp("127.0.0.1", 10_000)).error, "ECONNREFUSED");
  assert.equal(await driver.apply(...many.slice(0, 100)), "ok");
  assert.equal(await host.hold("127.0.0.1", 10_099, 100, "x"), 100, "the kernel's backlog takes what does not fit");
  assert.equal((await host.tcp("127.0.0.1", 10_001, "", undefined, 300)).error, "TIMEOUT");
  await host.holding("close");
  assert.equal((await host.tcp("127.0.0.1", 10_001, "again")).text, "again");
});

test("the server ends with the shim, and comes back where it alone was killed", async () => {
  const driver = new Driver();
  assert.equal(await driver.apply(line(8080, 80)), "ok");
  const first = driver.server ?? 0;
  process.kill(first, "SIGKILL");
  await eventually("another serves", async () => (await host.tcp("127.0.0.1", 8080, "x")).text === "x");
  const second = driver.server ?? 0;
  assert.notEqual(second, first);
  driver.kill();
  await eventually("the port is free", async () => (await host.tcp("127.0.0.1", 8080)).error === "ECONNREFUSED");
});

test("it has no file but its sockets, and no right but to low ports", async () => {
  await using driver = new Driver();
  assert.equal(await driver.apply(line(80, 80)), "ok");
  const status = readFileSync(`/proc/${driver.server}/status`, "utf8");
  assert.match(status, /^CapEff:\s0000000000000400$/m);
  assert.match(status, /^CapPrm:\s0000000000000400$/m);
  assert.match(status, /^NoNewPrivs:\s1$/m);
  const links = execFileSync("ls", ["-l", `/proc/${driver.server}/fd`], { encoding: "utf8" });
  for (const text of links.split("\n").slice(1, -1))
    assert.match(text, /-> (socket:\[|anon_inode:\[eventpoll\]|pipe:\[|\/dev\/null)|[012] -> /);
  assert.equal((await host.tcp("127.0.0.1", 80, "low")).text, "low");
});
