import assert from "node:assert/strict";
import { once } from "node:events";
import { request } from "node:http";
import { connect as connectHttp2 } from "node:http2";
import { connect } from "node:net";
import type { Duplex } from "node:stream";
import { test } from "node:test";
import type { Engine } from "../ports.ts";
import { TestServer } from "../fake-client.ts";
import { FakeEngine } from "../fake-engine.ts";

interface Taken {
  readonly kind: "grpc" | "session";
  readonly connection: Duplex;
  readonly headers: Readonly<Record<string, unknown>>;
}

/** An engine that keeps the connections which it is given. */
function keepingEngine(): { readonly engine: Engine; readonly taken: Taken[] } {
  const fake = new FakeEngine();
  const taken: Taken[] = [];
  const build: Engine["build"] = {
    ...fake.build,
    serveGrpc: (connection) => void taken.push({ kind: "grpc", connection, headers: {} }),
    serveSession: (connection, headers) => void taken.push({ kind: "session", connection, headers }),
  };
  Object.assign(fake, { build });
  return { engine: fake, taken };
}

/** What the server sends on a raw connection until `enough` bytes are there. */
async function exchange(socketPath: string, text: string, enough: number): Promise<string> {
  const socket = connect(socketPath);
  socket.write(text, "latin1");
  let got = "";
  for await (const chunk of socket as AsyncIterable<Buffer>) {
    got += chunk.toString("latin1");
    if (got.length >= enough) break;
  }
  socket.destroy();
  return got;
}

const switching = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n";

test("POST /grpc and /session change to HTTP/2, with and without a version, and keep what came early", async () => {
  for (const path of ["/grpc", "/session", "/v1.51/grpc", "/v1.40/session"]) {
    const { engine, taken } = keepingEngine();
    await using server = await TestServer.start(engine);
    const socket = connect(server.socketPath);
    socket.write(
      `POST ${path} HTTP/1.1\r\nHost: docker\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n` +
        "X-Docker-Expose-Session-Uuid: abc\r\nX-Docker-Expose-Session-Grpc-Method: /a/B\r\n" +
        "X-Docker-Expose-Session-Grpc-Method: /a/C\r\n\r\nEARLY",
    );
    let got = "";
    while (got.length < switching.length) got += ((await once(socket, "data")) as [Buffer])[0].toString("latin1");
    assert.equal(got, switching, path);
    const [first] = taken;
    assert.equal(first?.kind, path.endsWith("grpc") ? "grpc" : "session");
    assert.ok(first !== undefined);
    const early: unknown = first.connection.read();
    if (early === null) await once(first.connection, "readable");
    const chunk: unknown = early ?? first.connection.read();
    assert.equal(String(chunk), "EARLY");
    if (first.kind === "session") {
      assert.equal(first.headers["x-docker-expose-session-uuid"], "abc");
      assert.equal(first.headers["x-docker-expose-session-grpc-method"], "/a/B, /a/C");
    }
    socket.destroy();
  }
});

test("without an upgrade to h2c, or without a session's id, the request is refused in words", async () => {
  const { engine, taken } = keepingEngine();
  await using server = await TestServer.start(engine);
  const plain = await server.call("POST", "/grpc");
  assert.deepEqual([plain.status, plain.message], [400, "no upgrade proto in request"]);
  const odd = await exchange(
    server.socketPath,
    "POST /grpc HTTP/1.1\r\nHost: d\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
    100,
  );
  assert.match(odd, /^HTTP\/1\.1 400 /);
  const nameless = await exchange(
    server.socketPath,
    "POST /session HTTP/1.1\r\nHost: d\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n",
    100,
  );
  assert.match(nameless, /^HTTP\/1\.1 400 /);
  assert.deepEqual(taken, []);
});

test("a connection that begins with HTTP/2's preface is handed over whole", async () => {
  const { engine, taken } = keepingEngine();
  await using server = await TestServer.start(engine);
  const session = connectHttp2("http://docker", { createConnection: () => connect(server.socketPath) });
  session.on("error", () => {});
  const deadline = performance.now() + 5_000;
  while (taken.length === 0 && performance.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 5));
  const connection = taken[0]?.connection;
  assert.ok(connection !== undefined);
  const bytes = connection.read() as Buffer | null;
  assert.match(bytes?.toString("latin1") ?? "", /^PRI \* HTTP\/2\.0\r\n\r\nSM\r\n\r\n/);
  session.destroy();
  // The server keeps its half of a connection open until it ends it itself.
  connection.end();
  await once(connection.resume(), "close");
});

test("the end of the server ends connections that changed to HTTP/2", async () => {
  const { engine, taken } = keepingEngine();
  const server = await TestServer.start(engine);
  const upgrade = request({
    socketPath: server.socketPath,
    path: "/grpc",
    method: "POST",
    headers: { Connection: "Upgrade", Upgrade: "h2c" },
  });
  upgrade.end();
  const [, socket] = (await once(upgrade, "upgrade")) as [unknown, Duplex];
  const session = connectHttp2("http://docker", { createConnection: () => connect(server.socketPath) });
  session.on("error", () => {});
  const deadline = performance.now() + 5_000;
  while (taken.length < 2 && performance.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 5));
  assert.equal(taken.length, 2);
  const ends = [once(socket.resume(), "close"), once(session, "close")];
  await server[Symbol.asyncDispose]();
  await Promise.all(ends);
});
