import assert from "node:assert/strict";
import { once } from "node:events";
import { PassThrough } from "node:stream";
import { test } from "node:test";
import { eventually, TestServer, upgradeHead } from "./fake-client.ts";
import { pump } from "./hijack.ts";
import { FakeEngine, fakeExecId, type FakeSession } from "./fake-engine.ts";

async function sessionOf(engine: FakeEngine): Promise<FakeSession> {
  await eventually(() => engine.sessions.length > 0);
  const session = engine.sessions.at(-1);
  assert.ok(session);
  return session;
}

function collect(session: FakeSession): { text: string; ended: boolean } {
  const seen = { text: "", ended: false };
  session.peer.on("data", (chunk: Buffer) => (seen.text += chunk.toString("latin1")));
  session.peer.on("end", () => (seen.ended = true));
  return seen;
}

const all = "stream=1&stdin=1&stdout=1&stderr=1";

for (const [minor, tty, type] of [
  [51, false, "multiplexed-stream"],
  [51, true, "raw-stream"],
  [41, false, "raw-stream"],
] as const) {
  test(`attach upgrades with 101 and ${type} at API 1.${minor}, tty ${tty}`, async () => {
    const engine = new FakeEngine();
    engine.tty = tty;
    await using server = await TestServer.start(engine);
    const client = await server.dial(upgradeHead("POST", `/v1.${minor}/containers/box/attach?${all}`));
    const head = await client.until("\r\n\r\n");
    assert.equal(
      head,
      `HTTP/1.1 101 UPGRADED\r\nContent-Type: application/vnd.docker.${type}\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n`,
    );
    const session = await sessionOf(engine);
    const seen = collect(session);
    session.peer.write("from the process");
    await client.until("from the process");
    client.socket.write("from the client");
    await eventually(() => seen.text === "from the client");
    session.peer.end();
    await client.ended();
    client.socket.end();
    assert.deepEqual(session.detached, []);
  });
}

test("attach without an upgrade header answers 200 and pipes both ways", async () => {
  const engine = new FakeEngine();
  await using server = await TestServer.start(engine);
  const client = await server.dial(
    `POST /containers/box/attach?${all} HTTP/1.1\r\nHost: d\r\nContent-Length: 0\r\n\r\n`,
  );
  const head = await client.until("\r\n\r\n");
  assert.equal(head, "HTTP/1.1 200 OK\r\nContent-Type: application/vnd.docker.raw-stream\r\n\r\n");
  const session = await sessionOf(engine);
  const seen = collect(session);
  client.socket.write("GET /not-http HTTP/1.1\r\n\r\n");
  await eventually(() => seen.text.endsWith("\r\n\r\n"));
  session.peer.end("last words");
  assert.ok((await client.ended()).endsWith("\r\n\r\nlast words"));
  client.socket.end();
});

test("output that ended before the client was connected to it is an end, not a wait for ever", async () => {
  const near = new PassThrough();
  near.end();
  near.resume();
  await once(near, "end");
  const connection = new PassThrough();
  connection.resume();
  const session = { tty: false, duplex: near, detach: () => {} };
  const options = { early: Buffer.alloc(0), output: near, detachKeys: undefined, stdin: false };
  const log = { debug() {}, info() {}, warn() {}, error() {} };
  await pump(connection, session, { ...options, signal: new AbortController().signal, log });
});

test("bytes that arrive with the upgrade request reach the process", async () => {
  const engine = new FakeEngine();
  await using server = await TestServer.start(engine);
  const client = await server.dial(`${upgradeHead("POST", `/containers/box/attach?${all}`)}early`);
  const seen = collect(await sessionOf(engine));
  await client.until("\r\n\r\n");
  client.socket.write(" late");
  await eventually(() => seen.text === "early late");
  client.socket.destroy();
});

test("bytes after the body of exec start reach the process, whether they come with it or after it", async () => {
  const engine = new FakeEngine();
  await using server = await TestServer.start(engine);
  const body = '{"Tty":false}';
  const headers = `Content-Type: application/json\r\nContent-Length: ${body.length}\r\n`;
  const together = await server.dial(`${upgradeHead("POST", `/exec/${fakeExecId}/start`, headers)}${body}typed`);
  const seen = collect(await sessionOf(engine));
  await eventually(() => seen.text === "typed");
  together.socket.destroy();

  const apart = await server.dial(upgradeHead("POST", `/exec/${fakeExecId}/start`, headers));
  apart.socket.write(body.slice(0, 3));
  await new Promise((resolve) => setTimeout(resolve, 20));
  apart.socket.write(body.slice(3));
  await apart.until("\r\n\r\n");
  const session = await sessionOf(engine);
  const later = collect(session);
  apart.socket.write("typed later");
  await eventually(() => later.text === "typed later");
  session.peer.end("done");
  assert.ok((await apart.ended()).endsWith("done"));
  apart.socket.end();
});

test("a client that closes its sending side ends stdin and still gets the output", async () => {
  const engine = new FakeEngine();
  await using server = await TestServer.start(engine);
  const client = await server.dial(upgradeHead("POST", `/containers/box/attach?${all}`));
  const session = await sessionOf(engine);
  const seen = collect(session);
  client.socket.end("input");
  await eventually(() => seen.ended);
  assert.equal(seen.text, "input");
  session.peer.end("output after the end of stdin");
  assert.ok((await client.ended()).endsWith("output after the end of stdin"));
  assert.deepEqual(session.detached, []);
});

test("without stdin what the client sends is discarded, and its half-close leaves stdin open", async () => {
  const engine = new FakeEngine();
  await using server = await TestServer.start(engine);
  const client = await server.dial(upgradeHead("POST", "/containers/box/attach?stream=1&stdout=1"));
  const session = await sessionOf(engine);
  const seen = collect(session);
  client.socket.end("ignored");
  session.peer.write("output");
  await client.until("output");
  assert.deepEqual(seen, { text: "", ended: false });
  session.peer.end();
  await client.ended();
});

test("the detach keys end the stream of a terminal and leave the process", async () => {
  const engine = new FakeEngine();
  engine.tty = true;
  await using server = await TestServer.start(engine);
  const client = await server.dial(upgradeHead("POST", `/containers/box/attach?${all}`));
  const session = await sessionOf(engine);
  const seen = collect(session);
  await client.until("\r\n\r\n");
  client.socket.write("ls\r");
  client.socket.write(Buffer.from([16]));
  await eventually(() => seen.text === "ls\r");
  client.socket.write(Buffer.from([17]));
  await client.ended();
  assert.equal(seen.text, "ls\r");
  assert.deepEqual(session.detached, [true]);
  client.socket.end();
});

test("detach keys of the client's choice, and none without a terminal", async () => {
  const engine = new FakeEngine();
  engine.tty = true;
  await using server = await TestServer.start(engine);
  const chosen = await server.dial(upgradeHead("POST", `/containers/box/attach?${all}&detachKeys=a,ctrl-b`));
  const first = await sessionOf(engine);
  chosen.socket.write("xa\u0002");
  await chosen.ended();
  assert.deepEqual(first.detached, [true]);
  chosen.socket.end();

  engine.tty = false;
  engine.sessions.length = 0;
  const piped = await server.dial(upgradeHead("POST", `/containers/box/attach?${all}`));
  const second = await sessionOf(engine);
  const seen = collect(second);
  piped.socket.write(Buffer.from([16, 17]));
  await eventually(() => seen.text === "\u0010\u0011");
  assert.deepEqual(second.detached, []);
  piped.socket.destroy();
});

test("a client that vanishes is detached, before and after it closed its sending side", async () => {
  const engine = new FakeEngine();
  await using server = await TestServer.start(engine);
  const client = await server.dial(upgradeHead("POST", `/containers/box/attach?${all}`));
  const session = await sessionOf(engine);
  await client.until("\r\n\r\n");
  client.socket.destroy();
  await eventually(() => session.detached.length > 0);
  assert.deepEqual(session.detached, [false]);
});

test("a client that vanishes while output is flowing is detached at once", async () => {
  const engine = new FakeEngine();
  await using server = await TestServer.start(engine);
  const client = await server.dial(upgradeHead("POST", `/containers/box/attach?${all}`));
  const session = await sessionOf(engine);
  const flow = setInterval(() => session.peer.writable && session.peer.write("x".repeat(1000)), 2);
  await client.until("xxx");
  client.socket.destroy();
  await eventually(() => session.detached.length > 0);
  clearInterval(flow);
  assert.deepEqual(session.detached, [false]);
});

test("a client that does not read holds the process back, and memory stays bounded", async () => {
  const engine = new FakeEngine();
  await using server = await TestServer.start(engine);
  const client = await server.dial(upgradeHead("POST", `/containers/box/attach?${all}`));
  const session = await sessionOf(engine);
  await client.until("\r\n\r\n");
  client.socket.pause();
  const chunk = Buffer.alloc(64 * 1024, 120);
  let written = 0;
  let blocked = false;
  while (!blocked && written < 64 * 1024 * 1024) {
    blocked = !session.peer.write(chunk);
    written += chunk.length;
    if (blocked) {
      const drained = await Promise.race([
        new Promise<boolean>((resolve) => session.peer.once("drain", () => resolve(true))),
        new Promise<boolean>((resolve) => setTimeout(() => resolve(false), 200)),
      ]);
      blocked = !drained;
    }
  }
  assert.ok(blocked, `${written} bytes were taken without a reader`);
  assert.ok(written < 8 * 1024 * 1024, `${written} bytes were buffered`);
  client.socket.resume();
  session.peer.end();
  const headLength = client.received.indexOf("\r\n\r\n") + 4;
  await client.ended();
  assert.equal(client.bytes.length - headLength, written);
  client.socket.end();
});

test("errors before the stream are ordinary replies", async () => {
  const engine = new FakeEngine();
  await using server = await TestServer.start(engine);
  const client = await server.dial(upgradeHead("POST", `/containers/nope/attach?${all}`));
  const text = await client.ended();
  assert.match(text, /^HTTP\/1\.1 404 Not Found\r\n/);
  assert.match(text, /\{"message":"No such container: nope"\}\n$/);
  assert.equal(engine.sessions.length, 0);
  client.socket.end();
});

test("an exec that cannot be started says so in its output", async () => {
  const engine = new FakeEngine();
  await using server = await TestServer.start(engine);
  const { EngineError } = await import("../../base/errors.ts");
  engine.failures.set("execs.start", new EngineError("InvalidParameter", "exec failed: not found"));
  const body = "{}";
  const headers = `Content-Type: application/json\r\nContent-Length: ${body.length}\r\n`;
  const client = await server.dial(upgradeHead("POST", `/exec/${fakeExecId}/start`, headers) + body);
  const text = await client.ended();
  assert.match(text, /^HTTP\/1\.1 101 UPGRADED\r\n/);
  assert.ok(text.endsWith("\u0001\0\0\0\0\0\0\u0018exec failed: not found\r\n"));
  client.socket.end();
  const detached = await server.call("POST", `/exec/${fakeExecId}/start`, { body: '{"Detach":true}' });
  assert.deepEqual([detached.status, detached.message], [400, "exec failed: not found"]);
});

test("closing the server detaches attached clients", async () => {
  const engine = new FakeEngine();
  const server = await TestServer.start(engine);
  const client = await server.dial(upgradeHead("POST", `/containers/box/attach?${all}`));
  const session = await sessionOf(engine);
  await client.until("\r\n\r\n");
  await server[Symbol.asyncDispose]();
  assert.deepEqual(session.detached, [false]);
  await client.ended();
});
