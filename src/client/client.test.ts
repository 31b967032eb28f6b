// The client against servers of the test's own: bodies of every framing, errors, negotiation, hijacking.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { createServer as createSecureServer } from "node:tls";
import { Client, ConnectionError, DaemonError } from "./client.ts";
import { parseHost } from "./endpoint.ts";
import { indentJson, parseJson } from "./json.ts";

const openssl = spawnSync("openssl", ["version"]).status === 0;

let directory = "";
let server: Server;
let requests: string[] = [];
const hungUp = Promise.withResolvers<void>();
/** Answers by path; what is not here is a ping. */
const answers: Readonly<Record<string, (socket: Socket) => void>> = {
  "/length": (socket) => void socket.end('HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n{"a":1}trailing'),
  "/chunked": (socket) => {
    const parts = [
      "HTTP/1.1 200 OK\r\nTransfer-Encod",
      "ing: chunked\r\n\r\n3;x=y\r",
      '\n{"a\r\n4\r\n":1}',
      "\r\n0\r\nTrailer: x\r\n\r\n",
    ];
    const next = (): void => {
      const part = parts.shift();
      if (part === undefined) return;
      socket.write(part);
      setTimeout(next, 5);
    };
    next();
  },
  "/close": (socket) => void socket.end('HTTP/1.0 200 OK\r\n\r\n{"a":1}'),
  "/short": (socket) => void socket.end("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc"),
  "/continue": (socket) =>
    void socket.end('HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n{"a":1}'),
  "/garbage": (socket) => void socket.end("SSH-2.0-OpenSSH\r\n"),
  "/refused": (socket) =>
    void socket.end(
      'HTTP/1.1 409 Conflict\r\nContent-Type: application/json\r\nContent-Length: 18\r\n\r\n{"message":"no x"}',
    ),
  "/hung-up": (socket) =>
    void socket
      .once("close", hungUp.resolve)
      .end(
        'HTTP/1.1 404 Not Found\r\nContent-Type: application/json\r\nContent-Length: 16\r\nConnection: close\r\n\r\n{"message":"no"}',
        () => socket.destroy(),
      ),
  "/text-error": (socket) => void socket.end("HTTP/1.1 500 Oops\r\nContent-Length: 5\r\n\r\nplain"),
  "/lines": (socket) => void socket.end('HTTP/1.1 200 OK\r\n\r\n{"n":1}\r\n{"n"'.concat(":2}\n\n", '{"n":3}')),
  "/hijack101": (socket) => {
    socket.write(
      "HTTP/1.1 101 UPGRADED\r\nContent-Type: application/vnd.docker.raw-stream\r\nConnection: Upgrade\r\n\r\nfirst",
    );
    socket.on("data", (chunk) => socket.write(chunk));
    socket.on("end", () => socket.end("|eof"));
  },
  "/hijack200": (socket) =>
    void socket.end("HTTP/1.1 200 OK\r\nContent-Type: application/vnd.docker.raw-stream\r\n\r\nfirst"),
  "/silent": () => undefined,
};

before(async () => {
  directory = mkdtempSync(join(tmpdir(), "client-"));
  server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on("error", () => undefined);
    socket.once("data", (chunk) => {
      const head = chunk.toString("latin1");
      requests.push(head);
      const path = /^\S+ \/v[\d.]+(\/[^ ?]+)/.exec(head)?.[1] ?? "/_ping";
      const answer = answers[path];
      if (answer !== undefined) answer(socket);
      else socket.end("HTTP/1.1 200 OK\r\nApi-Version: 1.44\r\nOstype: linux\r\nContent-Length: 0\r\n\r\n");
    });
  });
  await new Promise<void>((resolve) => server.listen(join(directory, "s"), resolve));
});

after(() => {
  server.close();
  rmSync(directory, { recursive: true, force: true });
});

function client(apiVersion?: string): Client {
  requests = [];
  return new Client({ host: `unix://${join(directory, "s")}`, tls: undefined, apiVersion, userAgent: "test" });
}

test("bodies arrive whole whatever their framing", async () => {
  for (const path of ["/length", "/chunked", "/close", "/continue"])
    assert.deepEqual(await client("1.51").json("GET", path), { a: 1 }, path);
});

test("a body that ends too early and an answer that is no HTTP are errors", async () => {
  await assert.rejects(client("1.51").text("GET", "/short"), { message: "unexpected EOF" });
  await assert.rejects(client("1.51").text("GET", "/garbage"), /malformed HTTP response/);
});

test("the daemon's message is the error's", async () => {
  await assert.rejects(client("1.51").text("GET", "/refused"), (error) => {
    assert.ok(error instanceof DaemonError);
    assert.deepEqual([error.status, error.message], [409, "no x"]);
    return true;
  });
  await assert.rejects(client("1.51").text("GET", "/text-error"), { message: "plain" });
});

test("an answer before the body was sent is the answer, though the daemon hung up after it", async () => {
  async function* body(): AsyncGenerator<Buffer, void, undefined> {
    yield Buffer.alloc(1 << 10);
    // The connection has been hung up when the other end sees its end.
    await hungUp.promise;
    for (let index = 0; index < 64; index++) yield Buffer.alloc(64 << 10);
  }
  await assert.rejects(client("1.51").send("PUT", "/hung-up", { stream: body() }), { status: 404, message: "no" });
});

test("the older version of the two is spoken, and a pinned one without asking", async () => {
  const negotiating = client();
  await negotiating.json("GET", "/length");
  assert.equal(negotiating.apiVersion, "1.44");
  assert.match(requests[0] ?? "", /^HEAD \/_ping HTTP/);
  assert.match(requests[1] ?? "", /^GET \/v1\.44\/length HTTP/);
  await client("1.30").json("GET", "/length");
  assert.match(requests[0] ?? "", /^GET \/v1\.30\/length HTTP/);
});

test("JSON lines come one by one, the last without a newline too", async () => {
  const seen: unknown[] = [];
  for await (const line of client("1.51").lines("GET", "/lines")) seen.push(line);
  assert.deepEqual(seen, [{ n: 1 }, { n: 2 }, { n: 3 }]);
});

test("query parameters are sorted and encoded as Go does", async () => {
  await client("1.51").text("GET", "/length", { query: { b: "x y/z", a: ["1", "2"], none: undefined } });
  assert.match(requests[0] ?? "", /^GET \/v1\.51\/length\?a=1&a=2&b=x\+y%2Fz HTTP/);
});

test("hijacking takes 101 and 200, keeps the first bytes and can be half-closed", async () => {
  const { socket, first } = await client("1.51").hijack("/hijack101");
  let text = first.toString();
  socket.on("data", (chunk) => (text += chunk.toString()));
  socket.resume();
  const ended = new Promise((resolve) => socket.once("end", resolve));
  socket.end("typed");
  await ended;
  assert.equal(text, "firsttyped|eof");
  const other = await client("1.51").hijack("/hijack200");
  assert.equal(other.first.toString(), "first");
  other.socket.destroy();
  await assert.rejects(client("1.51").hijack("/refused"), { message: "no x" });
});

test("nobody there is a connection error that names the host", async () => {
  const lost = new Client({ host: "unix:///nonexistent/x", tls: undefined, apiVersion: undefined, userAgent: "t" });
  await assert.rejects(lost.text("GET", "/x"), (error) => {
    assert.ok(error instanceof ConnectionError);
    assert.match(error.message, /unix:\/\/\/nonexistent\/x/);
    return true;
  });
});

test("aborting ends a request that waits", async () => {
  const abort = new AbortController();
  const answer = client("1.51").text("GET", "/silent", { signal: abort.signal });
  setTimeout(() => abort.abort(new Error("enough")), 20);
  await assert.rejects(answer, { message: "enough" });
});

test("TLS verifies the daemon and shows the client's certificate", {
  skip: openssl ? false : "no openssl to make certificates with",
}, async () => {
  const make = (...args: readonly string[]): void => {
    const { status, stderr } = spawnSync("openssl", args, { cwd: directory, encoding: "utf8" });
    assert.equal(status, 0, stderr);
  };
  const names = ["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"];
  for (const name of ["ca", "cert"])
    make(
      "req",
      "-x509",
      "-newkey",
      "ec",
      "-pkeyopt",
      "ec_paramgen_curve:prime256v1",
      "-nodes",
      "-days",
      "1",
      "-subj",
      `/CN=${name}`,
      ...names,
      "-keyout",
      `${name}-key.pem`,
      "-out",
      `${name}.pem`,
    );
  const file = (name: string): string => join(directory, name);
  const secure = createSecureServer(
    {
      key: readFileSync(file("ca-key.pem")),
      cert: readFileSync(file("ca.pem")),
      ca: readFileSync(file("cert.pem")),
      requestCert: true,
      rejectUnauthorized: true,
    },
    (socket) => {
      socket.on("error", () => undefined);
      socket.once("data", () => socket.end('HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n{"a":1}'));
    },
  );
  await new Promise<void>((resolve) => secure.listen(0, "127.0.0.1", resolve));
  try {
    const { port } = secure.address() as AddressInfo;
    const connect = (ca: string, verify: boolean): Client =>
      new Client({
        host: `tcp://localhost:${port}`,
        tls: { ca: file(ca), cert: file("cert.pem"), key: file("cert-key.pem"), verify },
        apiVersion: "1.51",
        userAgent: "t",
      });
    assert.deepEqual(await connect("ca.pem", true).json("GET", "/x"), { a: 1 });
    await assert.rejects(connect("cert.pem", true).json("GET", "/x"), ConnectionError);
    assert.deepEqual(await connect("cert.pem", false).json("GET", "/x"), { a: 1 });
  } finally {
    secure.close();
  }
});

test("hosts are read with docker's defaults", () => {
  assert.deepEqual(parseHost("tcp://h", true), { kind: "tcp", host: "h", port: 2376, prefix: "" });
  assert.deepEqual(parseHost("tcp://:99/p/", false), { kind: "tcp", host: "127.0.0.1", port: 99, prefix: "/p" });
  assert.deepEqual(parseHost("tcp://[::1]", false), { kind: "tcp", host: "::1", port: 2375, prefix: "" });
  assert.throws(() => parseHost("ssh://h", false), /not supported yet/);
  for (const text of ["h", "unix://", "ftp://x", "tcp://h:99999"]) assert.throws(() => parseHost(text, false), text);
});

test("JSON keeps long integers and can be indented untouched", () => {
  assert.deepEqual(parseJson('{"t":1795815655437703317,"n":1.5}'), { t: 1795815655437703317n, n: 1.5 });
  assert.equal(
    indentJson('{"a":[],"b":{ },"c":[1,{"d":"x,\\"{"}],"e":1e400}', "", "  "),
    '{\n  "a": [],\n  "b": {},\n  "c": [\n    1,\n    {\n      "d": "x,\\"{"\n    }\n  ],\n  "e": 1e400\n}',
  );
});
