import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { connect, createServer, type AddressInfo } from "node:net";
import { join } from "node:path";
import { Readable } from "node:stream";
import { test } from "node:test";
import * as fc from "fast-check";
import type { EventMessage } from "../../spec/docker/system.ts";
import { createApiServer } from "./index.ts";
import { eventually, RawClient, TestServer } from "./fake-client.ts";
import { FakeEngine, fakeExecId } from "./fake-engine.ts";

test("malformed requests are the client's fault, every one", async () => {
  const engine = new FakeEngine();
  await using server = await TestServer.start(engine);
  const create = "/containers/create";
  const exec = "/containers/box/exec";
  const corpus: readonly (readonly [string, string, string?, string?])[] = [
    ["POST", create],
    ["POST", create, ""],
    ["POST", create, "{"],
    ["POST", create, "[]"],
    ["POST", create, "null"],
    ["POST", create, '"x"'],
    ["POST", create, "5"],
    ["POST", create, '{"Image":5}'],
    ["POST", create, '{"Image":"a"} trailing'],
    ["POST", create, '{"Image":"a"}', "text/plain"],
    ["POST", create, '{"Image":"a"}', ""],
    ["POST", create, '{"Image":"a"}', "application/jsonx"],
    ["POST", create, '{"Image":"a"}', "garbage;;;"],
    ["POST", create, '{"Image":"a","HostConfig":{"Memory":1e400}}'],
    ["POST", create, '{"Image":"a","HostConfig":{"Memory":1.5}}'],
    ["POST", create, '{"Image":"a","HostConfig":{"Binds":"x"}}'],
    ["POST", create, '{"Image":"a","HostConfig":{"Binds":[{}]}}'],
    ["POST", create, "[".repeat(20_000)],
    ["POST", create, '{"Labels":'.repeat(20_000)],
    ["POST", create, `{"Image":"${"x".repeat(4 * 1024 * 1024)}"}`],
    ["POST", `${create}?platform=a/b/c/d`, '{"Image":"a"}'],
    ["POST", create, '{"Image":"a","NetworkingConfig":{"EndpointsConfig":{"bridge":null}}}'],
    ["GET", "/containers/json?limit=abc"],
    ["GET", "/containers/json?limit=1e3"],
    ["GET", "/containers/json?filters=abc"],
    ["GET", "/containers/json?filters=[]"],
    ["GET", "/containers/json?filters=%7B%22foo%22:[%22x%22]%7D"],
    ["GET", "/containers/json?filters=%zz"],
    ["GET", "/containers/json?all=1;limit=2"],
    ["GET", "/containers/%zz/json"],
    ["GET", "/containers/box/logs"],
    ["GET", "/containers/box/logs?stdout=1&since=abc"],
    ["GET", "/containers/box/logs?stdout=1&until=1e400"],
    ["POST", "/containers/box/wait?condition=foo"],
    ["POST", "/containers/box/stop?t=abc"],
    ["POST", "/containers/box/restart?t=1.5"],
    ["POST", "/containers/box/resize?h=a&w=1"],
    ["POST", "/containers/box/resize?h=1&w=-1"],
    ["POST", "/containers/box/rename"],
    ["POST", "/containers/box/attach?detachKeys=zz"],
    ["GET", "/containers/box/attach/ws"],
    ["POST", exec, "{}"],
    ["POST", exec, '{"Cmd":"x"}'],
    ["POST", exec, '{"Cmd":["a"],"DetachKeys":"zz"}'],
    ["POST", `/exec/${fakeExecId}/start`, '{"Detach":5}'],
    ["POST", `/exec/${fakeExecId}/start`, "[]"],
    ["POST", `/exec/${fakeExecId}/resize?h=1`],
    ["GET", "/events?since=abc"],
    ["GET", "/events?since=2&until=1"],
    ["GET", "/events?filters=abc"],
    ["GET", "/images/json?filters=abc"],
    ["POST", "/images/create"],
    ["POST", "/images/create?fromSrc=-&repo=a&tag=b%20c"],
    ["POST", "/images/load?platform=a/b"],
    ["POST", "/images/a/tag"],
    ["GET", "/networks?filters=abc"],
    ["GET", "/networks/a?verbose=zz"],
    ["POST", "/networks/create", '{"Name":1}'],
    ["POST", "/networks/create", '{"IPAM":{"Config":[{"Subnet":1}]}}'],
    ["POST", "/networks/create", "{", "text/plain"],
    ["POST", "/networks/prune?filters=%7B%22dangling%22:[%22x%22]%7D"],
    ["GET", "/volumes?filters=abc"],
    ["GET", "/plugins?filters=%7B%22foo%22:[%22x%22]%7D"],
  ];
  for (const [method, path, body, type] of corpus) {
    const headers: Record<string, string> = type === undefined ? {} : { "Content-Type": type };
    const answer = await server.call(method, path, body === undefined ? {} : { body, headers });
    const what = `${method} ${path} ${body?.slice(0, 80) ?? ""}: ${answer.text.slice(0, 200)}`;
    assert.equal(answer.status, 400, what);
    assert.notEqual(answer.message ?? "", "", what);
  }
  assert.deepEqual(engine.calls, []);
});

test("texts about bodies are dockerd's", async () => {
  await using server = await TestServer.start(new FakeEngine());
  const post = async (body: string, type = "application/json"): Promise<string | undefined> =>
    (await server.call("POST", "/containers/create", { body, headers: { "Content-Type": type } })).message;
  assert.equal(await post(""), "invalid JSON: got EOF while reading request body");
  assert.equal(await post("{"), "invalid JSON: unexpected EOF");
  assert.equal(await post("{} x"), "unexpected content after JSON");
  assert.equal(
    await post("{}", "text/plain"),
    "unsupported Content-Type header (text/plain): must be 'application/json'",
  );
  assert.equal(await post("{}", " "), "malformed Content-Type header (): mime: no media type");
  assert.equal(await post("{}", "a;;"), "malformed Content-Type header (a;;): mime: invalid media parameter");
  assert.match((await post('{"Image":"a"}', 'Application/JSON; charset="utf-8"')) ?? "none", /^none$/);
});

async function rawAnswer(server: TestServer, text: string | Buffer): Promise<string> {
  const client = await server.dial(text);
  const answer = await Promise.race([client.ended(), client.until("\r\n\r\n").catch(() => client.received)]);
  client.socket.destroy();
  return answer.split("\r\n", 1)[0] ?? "";
}

test("ambiguous and malformed framing is refused before any handler sees it", async () => {
  const engine = new FakeEngine();
  await using server = await TestServer.start(engine);
  const post = "POST /containers/create HTTP/1.1\r\nHost: d\r\n";
  for (const text of [
    "GET /info HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    "GET http://d/info HTTP/1.1\r\nHost: d\r\n\r\n",
    "GET info HTTP/1.1\r\nHost: d\r\n\r\n",
    "GET /info HTTP/1.1\r\n\r\n",
    "GARBAGE\r\n\r\n",
    `${post}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
    `${post}Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello`,
    `${post}Content-Length: -1\r\n\r\n`,
    `${post}Transfer-Encoding: chunked, identity\r\n\r\n`,
    "GET /info HTTP/1.1\r\nHost: d\r\nX: a\r\n b\r\n\r\n",
    "GET /info HTTP/1.1\r\nHost: d\r\nX: \0\r\n\r\n",
    "GET /info HTTP/1.1\nHost: d\n\n",
  ])
    assert.match(await rawAnswer(server, text), /^HTTP\/1\.1 400 /, JSON.stringify(text));
  assert.deepEqual(engine.calls, []);
});

test("headers of 64 KiB pass, of 1 MB do not, and the daemon goes on", async () => {
  await using server = await TestServer.start(new FakeEngine());
  const get = (bytes: number): string => `GET /_ping HTTP/1.1\r\nHost: d\r\nX: ${"a".repeat(bytes)}\r\n\r\n`;
  assert.match(await rawAnswer(server, get(64 * 1024)), / 200 /);
  assert.match(await rawAnswer(server, get(1024 * 1024)), / 431 /);
  assert.equal((await server.call("GET", "/_ping")).text, "OK");
});

test("clients that hang up anywhere leave no connection behind", async () => {
  const engine = new FakeEngine();
  await using server = await TestServer.start(engine);
  const texts = [
    "",
    "G",
    "GET /info HTTP/1.1\r\nHo",
    'POST /containers/create HTTP/1.1\r\nHost: d\r\nContent-Type: application/json\r\nContent-Length: 50\r\n\r\n{"Image"',
    "POST /images/load HTTP/1.1\r\nHost: d\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
    `POST /exec/${fakeExecId}/start HTTP/1.1\r\nHost: d\r\nConnection: Upgrade\r\nUpgrade: tcp\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{"De`,
    "GET /info HTTP/1.1\r\nHost: d\r\n\r\n",
  ];
  for (const text of texts) {
    for (const how of ["end", "destroy"] as const) {
      const client = await server.dial(text);
      client.socket[how]();
      if (how !== "end") continue;
      await client.ended();
      client.socket.destroy();
    }
  }
  await eventually(() => engine.sessions.every(({ peer }) => peer.destroyed || peer.readableEnded));
  assert.equal((await server.call("GET", "/_ping")).text, "OK");
});

test("more connections than allowed are turned away, and welcome again when others left", async () => {
  await using server = await TestServer.start(new FakeEngine(), { maxConnections: 2 });
  const first = await server.dial("");
  const second = await server.dial("");
  const third = await server.dial("");
  assert.match(await third.ended(), /^HTTP\/1\.1 503 /);
  first.socket.destroy();
  second.socket.destroy();
  third.socket.destroy();
  let answer = "";
  while (answer !== "OK")
    answer = await server.call("GET", "/_ping").then(
      ({ text }) => text,
      () => "",
    );
});

test("on TCP the Host must be ours and web pages must be allowed", async () => {
  const api = createApiServer(new FakeEngine(), {
    productVersion: "0",
    hostNames: ["build.example"],
    origins: ["https://dash.example"],
  });
  const listener = createServer({ allowHalfOpen: true });
  api.serve(listener, "tcp");
  await new Promise<void>((resolve) => listener.listen(0, "127.0.0.1", resolve));
  const { port } = listener.address() as AddressInfo;
  const status = async (headers: string): Promise<number> => {
    const socket = connect(port, "127.0.0.1");
    const client = new RawClient(socket);
    socket.write(`GET /_ping HTTP/1.1\r\nConnection: close\r\n${headers}\r\n`);
    const text = await client.ended();
    socket.destroy();
    return Number(text.split(" ")[1]);
  };
  assert.equal(await status("Host: 127.0.0.1:2376\r\n"), 200);
  assert.equal(await status("Host: [::1]:2376\r\n"), 200);
  assert.equal(await status("Host: localhost\r\n"), 200);
  assert.equal(await status("Host: Build.Example:2376\r\n"), 200);
  assert.equal(await status("Host: evil.example\r\n"), 403);
  assert.equal(await status("Host: localhost.evil.example\r\n"), 403);
  assert.equal(await status("Host: localhost\r\nOrigin: https://evil.example\r\n"), 403);
  assert.equal(await status("Host: localhost\r\nOrigin: null\r\n"), 403);
  assert.equal(await status("Host: localhost\r\nSec-Fetch-Site: cross-site\r\n"), 403);
  assert.equal(await status("Host: localhost\r\nSec-Fetch-Site: none\r\n"), 200);
  assert.equal(await status("Host: localhost\r\nOrigin: https://dash.example\r\nSec-Fetch-Site: cross-site\r\n"), 200);
  await api.close(100);
});

test("a header that does not arrive in time is answered 408", async () => {
  await using server = await TestServer.start(new FakeEngine(), { headersTimeoutMs: 50 });
  const client = await server.dial("GET /info HTTP/1.1\r\nHost: d\r\nX-Slow: ");
  assert.match(await client.ended(), /^HTTP\/1\.1 408 /);
  client.socket.destroy();
});

test("an upgrade to something that is not spoken is answered as if it had not been asked for", async () => {
  await using server = await TestServer.start(new FakeEngine());
  const answer = await server.call("GET", "/_ping", { headers: { Connection: "Upgrade", Upgrade: "h2c" } });
  assert.deepEqual([answer.status, answer.text], [200, "OK"]);
});

test("no parameter of any operation makes a server's fault", async () => {
  const path = join(import.meta.dirname, "../../../test/conformance/operations.json");
  const operations = JSON.parse(readFileSync(path, "utf8")) as readonly string[];
  const engine = new FakeEngine();
  engine.endsAtOnce = true;
  engine.waiting.resolve({ StatusCode: 0 });
  engine.events_ = Readable.from([]) as AsyncIterable<EventMessage>;
  await using server = await TestServer.start(engine);
  const names =
    "all limit size filters name platform ps_args since until tail h w t signal detachKeys logs stream stdin stdout condition v repo tag fromSrc changes quiet".split(
      " ",
    );
  const value = fc.oneof(
    fc.string({ unit: "binary", maxLength: 12 }),
    fc.constantFrom("1", "-1", "abc", "1e400", "{}", "[]", '{"a":["b"]}', '{"status":["x"]}', "linux/amd64", "a,b"),
  );
  const body = fc.oneof(fc.constant(""), fc.json({ maxDepth: 3 }));
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...operations),
      fc.dictionary(fc.constantFrom(...names), value, { maxKeys: 4 }),
      body,
      async (operation, parameters, text) => {
        const [method = "", pattern = ""] = operation.split(" ");
        const target = pattern
          .replace("/exec/{id}", `/exec/${fakeExecId}`)
          .replace("{id}", "box")
          .replace("{name}", "box");
        const query = Object.entries(parameters).map(
          ([name, each]) => `${name}=${encodeURIComponent(each.toWellFormed())}`,
        );
        engine.logStream = Readable.from([]);
        engine.events_ = Readable.from([]) as AsyncIterable<EventMessage>;
        const options = method === "GET" || method === "HEAD" ? {} : { body: text };
        const answer = await server.call(method, `${target}?${query.join("&")}`, options);
        assert.notEqual(answer.status, 500, `${operation} ${query.join("&")}: ${answer.text}`);
      },
    ),
    { numRuns: 200 },
  );
});

test("any bytes on a connection are answered or cut, and never end the daemon", async () => {
  await using server = await TestServer.start(new FakeEngine());
  const piece = fc.constantFrom(
    ..."GET POST DELETE / /info /containers/json ?filters= {} HTTP/1.1 \r\n Host: d Content-Length: 5 Transfer-Encoding: chunked".split(
      " ",
    ),
    ..." \0é%".split(""),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(piece, { maxLength: 20 }), async (pieces) => {
      const client = await server.dial(pieces.join(" "));
      client.socket.end();
      await client.ended();
      client.socket.destroy();
    }),
    { numRuns: 200 },
  );
  assert.equal((await server.call("GET", "/_ping")).text, "OK");
});
