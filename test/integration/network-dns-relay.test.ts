// The name server's worker and the shim's relay, joined as they are in a container, in a network namespace of this test's own:
// bad clients, bad upstream servers, a server that goes away. The relay is built with sanitizers: what it does wrong ends it.

import assert from "node:assert/strict";
import { type ChildProcess, execFileSync, spawn, spawnSync } from "node:child_process";
import { createSocket, type Socket as Datagrams } from "node:dgram";
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { connect, createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { decode, encode, RECURSION_AVAILABLE, RECURSION_DESIRED } from "dns-packet";
import type { ContainerId, NetworkId } from "../../src/base/ids.ts";
import { silentLogger } from "../../src/base/log.ts";
import { createNameServer, type NameServer } from "../../src/engine/network/dns/index.ts";

const root = join(import.meta.dirname, "../..");
const containerId = "c".repeat(64) as ContainerId;
const networkId = "d".repeat(64) as NetworkId;

if (process.env["GANTRY_DNS_INSIDE"] === "1") inside();
else
  test("the tests of the relay pass in a network namespace of their own", () => {
    const { NODE_TEST_CONTEXT: _, ...env } = process.env;
    const command = `ip link set lo up && exec "$0" --test --test-reporter=spec "$1"`;
    const argv = ["--net", "sh", "-c", command, process.execPath, import.meta.filename];
    const run = spawnSync("unshare", argv, { env: { ...env, GANTRY_DNS_INSIDE: "1" }, encoding: "utf8" });
    assert.equal(run.status, 0, run.stdout + run.stderr);
    assert.match(run.stdout, /pass [1-9]/);
  });

/** The relay's program: built here, or named by GANTRY_DNS_RELAY. */
function relayPath(): string {
  const given = process.env["GANTRY_DNS_RELAY"];
  if (given !== undefined) return given;
  execFileSync("make", ["-C", join(root, "shim"), "build/test-dns-relay"], { stdio: "pipe" });
  return join(root, "shim/build/test-dns-relay");
}

type Upstream = (query: Buffer, reply: (bytes: Buffer) => void) => void;

function rendered(query: Buffer, rcode = 0, data = "192.0.2.1"): Buffer {
  const { id = 0, questions = [] } = decode(query);
  const [question] = questions;
  const answers =
    rcode === 0 && question !== undefined ? [{ type: "A" as const, name: question.name, ttl: 5, data }] : [];
  return encode({
    type: "response",
    id,
    flags: RECURSION_DESIRED | RECURSION_AVAILABLE | rcode,
    questions: questions.map(({ name, type }) => ({ name, type })),
    answers,
  });
}

function inside(): void {
  const dir = mkdtempSync(join(tmpdir(), "gantry-dns-"));
  const socketPath = join(dir, "dns.sock");
  const upstreams: { close(): unknown }[] = [];
  const asked = new Map<string, number>();
  let names: NameServer;
  let relay: ChildProcess;

  async function startNames(): Promise<void> {
    names = createNameServer({ socketPath, logger: silentLogger });
    for (let i = 0; i < 100; i++)
      names.setEndpoint({
        id: `${i}`,
        networkId,
        networkName: "front",
        containerId: (i === 0 ? containerId : `${i}`.padStart(64, "0")) as ContainerId,
        names: [`c${i}`, "all"],
        ip: `172.18.0.${i + 2}`,
        ip6: "",
        prefix: 16,
      });
    await setServers("127.0.0.2");
  }

  /** Resolves when the thread has it. */
  async function setServers(...servers: readonly string[]): Promise<void> {
    names.setClient({ containerId, networks: [networkId], links: {}, servers, internal: false, ndotsSet: false });
    await sleep(50);
  }

  async function serveAt(address: string, behave: Upstream): Promise<void> {
    const socket = createSocket(address.includes(":") ? "udp6" : "udp4");
    socket.on("message", (query, from) => {
      asked.set(address, (asked.get(address) ?? 0) + 1);
      behave(query, (bytes) => socket.send(bytes, from.port, from.address));
    });
    await new Promise<void>((resolve) => void socket.bind(53, address, resolve));
    upstreams.push(socket);
  }

  async function listenAt(address: string, behave: (query: Buffer) => Buffer): Promise<void> {
    const server: Server = createServer((socket) => {
      socket.on("error", () => {});
      socket.on("data", (chunk: Buffer) => {
        const reply = behave(chunk.subarray(2));
        socket.write(Buffer.concat([Buffer.from([reply.length >> 8, reply.length & 255]), reply]));
      });
    });
    await new Promise<void>((resolve) => void server.listen(53, address, resolve));
    upstreams.push(server);
  }

  before(async () => {
    await serveAt("127.0.0.2", (query, reply) => {
      const { questions = [] } = decode(query);
      reply(rendered(query, questions[0]?.name.startsWith("no.") === true ? 3 : 0));
    });
    await serveAt("127.0.0.3", () => {});
    await serveAt("127.0.0.4", (query, reply) => reply(rendered(query, 5)));
    await serveAt("127.0.0.5", (query, reply) => {
      const reply2 = rendered(query, 3);
      reply2[2] = (reply2[2] ?? 0) | 2;
      reply(reply2);
    });
    await listenAt("127.0.0.5", (query) => rendered(query, 0, "192.0.2.5"));
    await serveAt("127.0.0.6", (query, reply) => {
      const wrongId = rendered(query, 0, "6.6.6.6");
      wrongId.writeUInt16BE((wrongId.readUInt16BE(0) + 1) & 0xffff, 0);
      reply(wrongId);
      const wrongName = rendered(query, 0, "6.6.6.6");
      wrongName[13] = (wrongName[13] ?? 0) ^ 1;
      reply(wrongName);
      reply(query);
      reply(Buffer.from("x"));
      reply(rendered(query, 0, "192.0.2.6"));
    });
    await serveAt("::1", (query, reply) => reply(rendered(query, 0, "192.0.2.61")));
    await startNames();
    await startRelay();
  });

  after(async () => {
    const ended = new Promise((resolve) => relay.once("exit", (code, signal) => resolve(code ?? signal)));
    if (relay.exitCode === null) relay.stdin?.end();
    const code = relay.exitCode ?? (await ended);
    await names.close();
    for (const each of upstreams) each.close();
    rmSync(dir, { recursive: true });
    assert.equal(code, 0, "the relay has ended well: no leak, no overflow");
  });

  async function startRelay(): Promise<void> {
    relay = spawn(relayPath(), [socketPath, containerId], { stdio: ["pipe", "pipe", "inherit"] });
    await new Promise<void>((resolve, reject) => {
      relay.stdout?.once("data", () => resolve());
      relay.once("exit", (code) => reject(new Error(`the relay has ended with ${code}`)));
    });
  }

  function question(name: string, id = Math.floor(Math.random() * 65_536)): Buffer {
    return encode({ type: "query", id, flags: RECURSION_DESIRED, questions: [{ name, type: "A" }] });
  }

  /** The first reply to a datagram, or undefined after a while. */
  async function exchange(bytes: Buffer, timeoutMs = 8000): Promise<Buffer | undefined> {
    const socket = createSocket("udp4");
    try {
      return await new Promise((resolve) => {
        const timer = setTimeout(() => resolve(undefined), timeoutMs);
        socket.on("message", (reply) => {
          clearTimeout(timer);
          resolve(reply);
        });
        socket.send(bytes, 53, "127.0.0.11");
      });
    } finally {
      socket.close();
    }
  }

  /** "NOERROR 172.18.0.3", "SERVFAIL". */
  function summary(reply: Buffer | undefined): string {
    if (reply === undefined) return "nothing";
    const decoded: ReturnType<typeof decode> & { readonly rcode?: string } = decode(reply);
    const data = (decoded.answers ?? []).map((record) =>
      "data" in record && typeof record.data === "string" ? record.data : "",
    );
    return [decoded.rcode, ...data].join(" ");
  }

  const lookUp = async (name: string): Promise<string> => summary(await exchange(question(name)));

  function dial(): Promise<Socket> {
    const socket = connect(53, "127.0.0.11");
    socket.on("error", () => {});
    return new Promise((resolve, reject) => {
      socket.setTimeout(20_000, () => reject(new Error("no connection")));
      socket.once("connect", () => resolve(socket));
    });
  }

  function framed(bytes: Buffer): Buffer {
    return Buffer.concat([Buffer.from([bytes.length >> 8, bytes.length & 255]), bytes]);
  }

  /** Reads until so many messages have come, or the end. */
  async function readMessages(socket: Socket, count: number): Promise<readonly Buffer[]> {
    const messages: Buffer[] = [];
    let bytes = Buffer.alloc(0);
    for await (const chunk of socket as AsyncIterable<Buffer>) {
      bytes = Buffer.concat([bytes, chunk]);
      while (bytes.length >= 2 && bytes.length >= 2 + bytes.readUInt16BE(0)) {
        messages.push(bytes.subarray(2, 2 + bytes.readUInt16BE(0)));
        bytes = bytes.subarray(2 + bytes.readUInt16BE(0));
      }
      if (messages.length >= count) break;
    }
    return messages;
  }

  async function lookUpByStream(...asked: readonly string[]): Promise<readonly string[]> {
    const socket = await dial();
    socket.write(Buffer.concat(asked.map((name, i) => framed(question(name, i)))));
    const messages = await readMessages(socket, asked.length);
    socket.destroy();
    return messages.toSorted((a, b) => a.readUInt16BE(0) - b.readUInt16BE(0)).map(summary);
  }

  /** CPU time in clock ticks of the relay, all of it. */
  function relayTicks(): number {
    const fields = readFileSync(`/proc/${relay.pid}/stat`, "utf8").split(") ")[1]?.split(" ") ?? [];
    return Number(fields[11]) + Number(fields[12]);
  }

  /** Both still answer, and do nothing when nothing is asked. */
  async function assertWell(): Promise<void> {
    assert.equal(await lookUp("c7"), "NOERROR 172.18.0.9");
    assert.deepEqual(await lookUpByStream("c8"), ["NOERROR 172.18.0.10"]);
    await sleep(300);
    const [ticks, own] = [relayTicks(), process.cpuUsage()];
    await sleep(1000);
    assert.ok(relayTicks() - ticks <= 2, "the relay is idle");
    assert.ok(process.cpuUsage(own).user < 200_000, "the worker is idle");
  }

  test("names are answered over UDP and TCP, many on one connection; only root may reach the socket", async () => {
    assert.equal(await lookUp("c1"), "NOERROR 172.18.0.3");
    assert.equal(await lookUp("C1.front"), "NOERROR 172.18.0.3");
    assert.equal(decode((await exchange(question("all"))) ?? Buffer.alloc(0)).flag_tc, true);
    const [all = ""] = await lookUpByStream("all");
    assert.equal(all.split(" ").length, 101);
    const many = Array.from({ length: 90 }, (_, i) => `c${i}`);
    assert.deepEqual(
      await lookUpByStream(...many),
      many.map((_, i) => `NOERROR 172.18.0.${i + 2}`),
    );
    assert.equal(statSync(socketPath).mode & 0o777, 0o600);
  });

  test("a half-closed connection gets its replies, and then its end", async () => {
    await setServers("127.0.0.5");
    const socket = await dial();
    socket.end(framed(question("x.example")));
    const messages = await readMessages(socket, 2);
    assert.deepEqual(messages.map(summary), ["NOERROR 192.0.2.5"]);
    await setServers("127.0.0.2");
  });

  test("other names are asked outside, with another id; NXDOMAIN is an answer", async () => {
    assert.equal(await lookUp("www.example"), "NOERROR 192.0.2.1");
    assert.equal(await lookUp("no.example"), "NXDOMAIN");
    assert.deepEqual(await lookUpByStream("c1", "nothing.listens.here"), ["NOERROR 172.18.0.3", "SERVFAIL"]);
    await setServers("::1");
    assert.equal(await lookUp("www.example"), "NOERROR 192.0.2.61");
  });

  test("a server that refuses, is not there or is silent gives way to the next, and is asked last afterwards", async () => {
    await setServers("127.0.0.4", "127.0.0.2");
    assert.equal(await lookUp("www.example"), "NOERROR 192.0.2.1");
    await setServers("127.0.0.99", "127.0.0.2");
    assert.equal(await lookUp("www.example"), "NOERROR 192.0.2.1");
    await setServers("127.0.0.4");
    assert.equal(await lookUp("www.example"), "REFUSED");
    await setServers("127.0.0.3", "127.0.0.2");
    asked.clear();
    assert.equal(await lookUp("www.example"), "NOERROR 192.0.2.1");
    assert.equal(await lookUp("www.example"), "NOERROR 192.0.2.1");
    assert.deepEqual([asked.get("127.0.0.3"), asked.get("127.0.0.2")], [1, 2]);
  });

  test("forged replies are passed over; a truncated one is passed on, and asked by TCP by whom asks by TCP", async () => {
    await setServers("127.0.0.6");
    assert.equal(await lookUp("www.example"), "NOERROR 192.0.2.6");
    await setServers("127.0.0.5");
    assert.equal(decode((await exchange(question("big.example"))) ?? Buffer.alloc(0)).flag_tc, true);
    assert.deepEqual(await lookUpByStream("big.example"), ["NOERROR 192.0.2.5"]);
  });

  test("an upstream that never answers: SERVFAIL in time, at most 128 on their way, local names in between", async () => {
    await setServers("127.0.0.3");
    const socket = createSocket("udp4");
    const replies: string[] = [];
    const local = Promise.withResolvers<void>();
    socket.on("message", (reply) => {
      replies.push(summary(reply));
      if (reply.readUInt16BE(0) === 7) local.resolve();
    });
    for (let i = 0; i < 200; i++) socket.send(question(`slow${i}.example`, 1000 + i), 53, "127.0.0.11");
    await sleep(50);
    socket.send(question("c1", 7), 53, "127.0.0.11");
    await local.promise;
    assert.ok(!replies.includes("SERVFAIL"), "the local name came first");
    await sleep(5000);
    socket.close();
    const count = (text: string): number => replies.filter((each) => each === text).length;
    assert.deepEqual([count("REFUSED"), count("SERVFAIL"), count("NOERROR 172.18.0.3")], [72, 128, 1]);
    await setServers("127.0.0.2");
  });

  test("datagrams that are no questions get nothing; malformed ones FORMERR; both go on", async () => {
    const header = Buffer.from([0, 9, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    for (const bytes of [Buffer.alloc(0), Buffer.from("x"), header.subarray(0, 11)])
      assert.equal(await exchange(bytes, 100), undefined);
    const response = question("c1");
    response[2] = (response[2] ?? 0) | 0x80;
    assert.equal(await exchange(response, 100), undefined);
    const loop = Buffer.concat([header, Buffer.from([0xc0, 12, 0, 1, 0, 1])]);
    for (const bytes of [header, loop, Buffer.concat([header, Buffer.alloc(60_000, 0xc0)])])
      assert.equal(summary(await exchange(bytes)), "FORMERR");
    await assertWell();
  });

  test("random and mutated bytes do no harm", async () => {
    const seed = Number(process.env["GANTRY_FUZZ_SEED"] ?? Math.floor(Math.random() * 2 ** 31));
    let state = seed;
    const next = (below: number): number => {
      state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
      return Math.floor((state / 2 ** 32) * below);
    };
    const socket: Datagrams = createSocket("udp4");
    socket.on("message", () => {});
    const count = Number(process.env["GANTRY_FUZZ_COUNT"] ?? 20_000);
    for (let i = 0; i < count; i++) {
      const bytes = i % 2 === 0 ? Buffer.alloc(next(700)) : question(`c${next(200)}.front`);
      if (i % 2 === 0) for (let at = 0; at < bytes.length; at++) bytes[at] = next(256);
      else for (let n = next(4); n >= 0; n--) bytes[next(bytes.length)] = next(256);
      await new Promise((resolve) => {
        socket.send(bytes, 53, "127.0.0.11", resolve);
      });
      if (i % 500 === 0) {
        const stream = await dial();
        stream.end(i % 1000 === 0 ? bytes : framed(bytes));
        stream.resume();
      }
    }
    socket.close();
    await sleep(200);
    assert.equal(relay.exitCode, null, `seed ${seed}`);
    await assertWell();
  });

  test("TCP clients that lie about lengths, reset, dribble, or come by the thousand keep nobody else out", async () => {
    const liar = await dial();
    liar.write(Buffer.from([255, 255, 1, 2, 3]));
    const resetting = await dial();
    resetting.write(Buffer.from([255, 255, 1, 2, 3]));
    resetting.resetAndDestroy();
    const greedy = await dial();
    for (let i = 0; i < 2000; i++) greedy.write(framed(question("all", i)));
    const dribbling = await dial();
    const closed = new Promise<number>((resolve) => dribbling.once("close", () => resolve(performance.now())));
    dribbling.resume();
    const slow = framed(question("c1"));
    let at = 0;
    const drip = setInterval(() => dribbling.write(slow.subarray(at, ++at)), 1000);
    const idle = await Promise.all(Array.from({ length: 50 }, dial));
    assert.deepEqual(await lookUpByStream("c2"), ["NOERROR 172.18.0.4"]);
    await closed;
    clearInterval(drip);
    const crowd: Socket[] = [];
    for (let i = 0; i < 2000; i++) crowd.push(await dial());
    assert.deepEqual(await lookUpByStream("c3"), ["NOERROR 172.18.0.5"]);
    for (const socket of [liar, greedy, ...idle, ...crowd]) socket.destroy();
    await assertWell();
  });

  test("a name server that is away for a moment is not noticed; away for long, SERVFAIL comes at once", async () => {
    await names.close();
    assert.ok(!existsSync(socketPath));
    const [early, stream] = [exchange(question("c4")), lookUpByStream("c5")];
    await sleep(1000);
    await startNames();
    assert.equal(summary(await early), "NOERROR 172.18.0.6");
    assert.deepEqual(await stream, ["NOERROR 172.18.0.7"]);
    await names.close();
    const replies = await Promise.all([exchange(question("c4", 77)), lookUpByStream("c4")]);
    assert.deepEqual([summary(replies[0]), replies[1]], ["SERVFAIL", ["SERVFAIL"]]);
    assert.deepEqual(
      decode(replies[0] ?? Buffer.alloc(0)).questions?.map(({ name }) => name),
      ["c4"],
    );
    assert.equal(summary(await exchange(question("c6"), 1000)), "SERVFAIL");
    await startNames();
    const deadline = performance.now() + 10_000;
    while ((await lookUp("c6")) !== "NOERROR 172.18.0.8" && performance.now() < deadline) await sleep(50);
    await assertWell();
  });

  test("a container that is not known yet waits for the daemon to know it", async () => {
    names.removeClient(containerId);
    await sleep(50);
    const early = lookUp("c9");
    await sleep(500);
    await setServers("127.0.0.2");
    assert.equal(await early, "NOERROR 172.18.0.11");
  });
}
