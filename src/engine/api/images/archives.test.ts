import assert from "node:assert/strict";
import { PassThrough, Readable } from "node:stream";
import { test } from "node:test";
import { EngineError } from "../../../base/errors.ts";
import { TestServer } from "../fake-client.ts";
import { FakeEngine, fakeContainerId } from "../fake-engine.ts";

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setImmediate(resolve));
}

test("save takes names from the query and from the path, and one platform since 1.48", async () => {
  const engine = new FakeEngine();
  engine.archive = () => Readable.from([Buffer.from("tar")]);
  await using server = await TestServer.start(engine);
  const answer = await server.call("GET", "/images/get?names=a&names=b/c:1");
  assert.deepEqual([answer.status, answer.headers["content-type"], answer.text], [200, "application/x-tar", "tar"]);
  const platform = encodeURIComponent('{"os":"linux","architecture":"arm64"}');
  await server.call("GET", `/images/localhost:5000/a/b:1/get?platform=${platform}`);
  await server.call("GET", `/v1.47/images/a/get?platform=${platform}`);
  assert.deepEqual(engine.callsOf("images.save"), [
    [["a", "b/c:1"], undefined],
    [["localhost:5000/a/b:1"], "linux/arm64"],
    [["a"], undefined],
  ]);
  for (const [query, message] of [
    ["platform={}", "both OS and Architecture must be provided"],
    [`platform=${platform}&platform=${platform}`, "multiple platform parameters not supported"],
  ]) {
    const refused = await server.call("GET", `/images/a/get?${query}`);
    assert.deepEqual([refused.status, refused.message], [400, message]);
  }
});

test("what fails before the first byte is an error reply; what fails later cuts the connection", async () => {
  const engine = new FakeEngine();
  await using server = await TestServer.start(engine);
  const failing = new EngineError("DataLoss", "layer x is gone");
  engine.failures.set("images.save", new EngineError("NotFound", "No such image: a"));
  const refused = await server.call("GET", "/images/a/get");
  assert.deepEqual([refused.status, refused.message], [404, "No such image: a"]);
  engine.failures.clear();
  engine.archive = () =>
    Readable.from(
      // oxlint-disable-next-line require-yield -- fails with the first read
      (async function* () {
        throw failing;
      })(),
    );
  for (const path of ["/images/a/get", "/containers/box/export"]) {
    const answer = await server.call("GET", path);
    assert.deepEqual([answer.status, answer.message], [500, "layer x is gone"], path);
  }
  engine.archive = () =>
    Readable.from(
      (async function* () {
        yield Buffer.from("begins");
        throw failing;
      })(),
      { objectMode: false },
    );
  await assert.rejects(server.call("GET", "/images/a/get"));
});

test("a client that hangs up ends the archive", async () => {
  const engine = new FakeEngine();
  const archive = new PassThrough();
  engine.archive = () => archive;
  await using server = await TestServer.start(engine);
  archive.write("begins");
  const client = await server.dial("GET /containers/box/export HTTP/1.1\r\nHost: d\r\n\r\n");
  assert.match(
    await client.until("begins"),
    /^HTTP\/1\.1 200 OK\r\n(?:.*\r\n)*Content-Type: application\/octet-stream\r\n/,
  );
  const closed = new Promise((resolve) => archive.once("close", resolve));
  archive.on("error", () => {});
  client.socket.destroy();
  await closed;
});

test("a client that hangs up before the first byte ends the archive, and its error is nobody's", async () => {
  const engine = new FakeEngine();
  const asked = Promise.withResolvers<void>();
  const failing = Promise.withResolvers<never>();
  let archive: Readable | undefined;
  engine.archive = () =>
    (archive = Readable.from(
      // oxlint-disable-next-line require-yield -- fails with the first read
      (async function* () {
        asked.resolve();
        await failing.promise;
      })(),
    ));
  await using server = await TestServer.start(engine);
  const client = await server.dial("GET /containers/box/export HTTP/1.1\r\nHost: d\r\n\r\n");
  await asked.promise;
  client.socket.destroy();
  failing.promise.catch(() => undefined);
  await new Promise((resolve) => setTimeout(resolve, 50));
  failing.reject(new EngineError("Cancelled", "reading was cancelled"));
  await until(() => archive?.closed === true);
});

test("a client that hangs up in an upload whose arguments were refused harms nobody", async () => {
  const engine = new FakeEngine();
  const refusing = Promise.withResolvers<never>();
  refusing.promise.catch(() => undefined);
  let upload: Readable | undefined;
  engine.images.import = async function* (source) {
    upload = source as Readable;
    yield await refusing.promise;
  };
  await using server = await TestServer.start(engine);
  const client = await server.dial(
    "POST /images/create?fromSrc=- HTTP/1.1\r\nHost: d\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
  );
  await until(() => upload !== undefined);
  client.socket.destroy();
  await until(() => upload?.closed === true);
  refusing.reject(new EngineError("InvalidParameter", "invalid reference format"));
});

test("every parameter of commit reaches the engine", async () => {
  const engine = new FakeEngine();
  await using server = await TestServer.start(engine);
  const headers = { "Content-Type": "application/json" };
  const query = "container=box&repo=a/b&tag=1&comment=c&author=d&pause=0&changes=CMD%20x&changes=USER%20y";
  const answer = await server.call("POST", `/commit?${query}`, { headers, body: '{"Env":["A=b"],"Nope":1}' });
  assert.equal(answer.status, 201);
  await server.call("POST", "/commit?container=box&tag=1");
  await server.call("POST", "/commit?container=box&repo=a", { headers, body: "null" });
  const plain = { comment: "", author: "", pause: true, changes: [], config: {} };
  assert.deepEqual(engine.callsOf("containers.commit"), [
    [
      fakeContainerId,
      {
        reference: "docker.io/a/b:1",
        comment: "c",
        author: "d",
        pause: false,
        changes: ["CMD x", "USER y"],
        config: { Env: ["A=b"] },
      },
    ],
    [fakeContainerId, { ...plain, reference: undefined }],
    [fakeContainerId, { ...plain, reference: "docker.io/library/a:latest" }],
  ]);
});

test("commit refuses in dockerd's words", async () => {
  await using server = await TestServer.start(new FakeEngine());
  const digest = `sha256:${"a".repeat(64)}`;
  for (const [query, status, message] of [
    ["", 400, 'invalid name or ID supplied: ""'],
    ["container=nope", 404, "No such container: nope"],
    ["container=box&repo=BAD", 400, "invalid reference format: repository name (library/BAD) must be lowercase"],
    ["container=box&repo=a&tag=b:c", 400, "invalid tag format"],
    [`container=box&repo=a@${digest}`, 400, "cannot import digest reference"],
  ] as const) {
    const answer = await server.call("POST", `/commit?${query}`);
    assert.deepEqual([answer.status, answer.message], [status, message], query);
  }
});
