import assert from "node:assert/strict";
import { test } from "node:test";
import { WebSocket } from "ws";
import { eventually, TestServer } from "./fake-client.ts";
import { FakeEngine } from "./fake-engine.ts";
import { FrameStripper, renderFrame } from "./stdcopy.ts";

async function open(server: TestServer, path: string): Promise<{ socket: WebSocket; seen: { text: string } }> {
  const socket = new WebSocket(`ws+unix:${server.socketPath}:${path}`);
  const seen = { text: "" };
  socket.on("message", (data: Buffer) => (seen.text += data.toString("latin1")));
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  socket.on("open", resolve);
  socket.on("error", reject);
  await promise;
  return { socket, seen };
}

const path = "/v1.51/containers/box/attach/ws?stream=1&stdin=1&stdout=1&stderr=1";

test("attach over a WebSocket carries payloads both ways, without frame headers", async () => {
  const engine = new FakeEngine();
  await using server = await TestServer.start(engine);
  const { socket, seen } = await open(server, path);
  const session = engine.sessions[0];
  assert.ok(session);
  let typed = "";
  session.peer.on("data", (chunk: Buffer) => (typed += chunk.toString()));
  socket.send("typed");
  await eventually(() => typed === "typed");
  session.peer.write(renderFrame(1, "out"));
  session.peer.write(renderFrame(2, "err"));
  await eventually(() => seen.text === "outerr");
  const closed = new Promise((resolve) => socket.once("close", resolve));
  session.peer.end();
  await closed;
  assert.deepEqual(session.detached, []);
});

test("a WebSocket that is closed detaches", async () => {
  const engine = new FakeEngine();
  engine.tty = true;
  await using server = await TestServer.start(engine);
  const { socket, seen } = await open(server, path);
  const session = engine.sessions[0];
  session?.peer.write("raw");
  await eventually(() => seen.text === "raw");
  socket.close();
  await eventually(() => (session?.detached.length ?? 0) > 0);
  assert.deepEqual(session?.detached, [false]);
});

test("an unknown container and a request that is no WebSocket get ordinary replies", async () => {
  const engine = new FakeEngine();
  await using server = await TestServer.start(engine);
  await assert.rejects(open(server, "/containers/nope/attach/ws"), /404/);
  const upgrade = { Connection: "Upgrade", Upgrade: "websocket" };
  const old = await server.call("GET", path, { headers: { ...upgrade, "Sec-WebSocket-Version": "8" } });
  assert.deepEqual([old.status, old.message], [400, "missing or bad WebSocket Version"]);
  assert.deepEqual(engine.sessions, []);
});

test("frame headers are taken off wherever the stream is cut", async () => {
  const stream = Buffer.concat([renderFrame(1, "a"), renderFrame(2, ""), renderFrame(1, "bcd"), renderFrame(2, "e")]);
  for (let size = 1; size <= stream.length; size++) {
    const stripper = new FrameStripper();
    for (let at = 0; at < stream.length; at += size) stripper.write(stream.subarray(at, at + size));
    stripper.end();
    const chunks = (await stripper.toArray()) as readonly Buffer[];
    assert.equal(Buffer.concat(chunks).toString(), "abcde");
  }
});
