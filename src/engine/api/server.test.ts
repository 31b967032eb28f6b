import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Readable } from "node:stream";
import { test } from "node:test";
import { EngineError } from "../../base/errors.ts";
import type { EventMessage } from "../../spec/docker/system.ts";
import { type Answer, eventually, TestServer } from "./fake-client.ts";
import { FakeEngine, fakeContainerId, fakeExecId } from "./fake-engine.ts";

const swarmText =
  'This node is not a swarm manager. Use "docker swarm init" or "docker swarm join" to connect this node to swarm and try again.';

function brief(answer: Answer): readonly [number, string | undefined] {
  return [answer.status, answer.message];
}

test("all 107 operations of API 1.51 are there, and no answer is a server's fault", async () => {
  const path = join(import.meta.dirname, "../../../test/conformance/operations.json");
  const operations = JSON.parse(readFileSync(path, "utf8")) as readonly string[];
  assert.equal(operations.length, 107);
  const engine = new FakeEngine();
  engine.waiting.resolve({ StatusCode: 0 });
  engine.endsAtOnce = true;
  await using server = await TestServer.start(engine);
  for (const operation of operations) {
    const [method = "", pattern = ""] = operation.split(" ");
    const target = pattern.replace("/exec/{id}", `/exec/${fakeExecId}`).replace("{id}", "box").replace("{name}", "box");
    const query = target.endsWith("/events") ? "?until=1" : "";
    if (query !== "") engine.events_ = Readable.from([]) as AsyncIterable<EventMessage>;
    const answer = await server.call(method, `/v1.51${target}${query}`);
    assert.notEqual(answer.message, "page not found", operation);
    assert.notEqual(answer.status, 500, `${operation}: ${answer.text}`);
    if (answer.status === 501) assert.match(answer.message ?? "", /^.+ is not supported yet: .+$/, operation);
  }
});

test("unknown paths and methods are page not found", async () => {
  await using server = await TestServer.start(new FakeEngine());
  for (const [method, path] of [
    ["GET", "/"],
    ["GET", "/nope"],
    ["GET", "/vfoo/_ping"],
    ["GET", "/v1.40/nope"],
    ["POST", "/_ping"],
    ["PUT", "/containers/json"],
    ["GET", "/containers/json/"],
    ["DELETE", "/_ping"],
    ["PATCH", "/info"],
  ] as const)
    assert.deepEqual(brief(await server.call(method, path)), [404, "page not found"], `${method} ${path}`);
});

test("versions from 1.24 to 1.51 and none are spoken, others refused in dockerd's words", async () => {
  await using server = await TestServer.start(new FakeEngine());
  for (const version of ["", "/v1.24", "/v1.30", "/v1.51", "/v1.051"])
    assert.equal((await server.call("GET", `${version}/_ping`)).text, "OK", version);
  for (const version of ["1.52", "1.99", "2.0", "1.100"])
    assert.deepEqual(brief(await server.call("GET", `/v${version}/_ping`)), [
      400,
      `client version ${version} is too new. Maximum supported API version is 1.51`,
    ]);
  for (const version of ["1.23", "1.0", "0.9", "1"])
    assert.deepEqual(brief(await server.call("GET", `/v${version}/_ping`)), [
      400,
      `client version ${version} is too old. Minimum supported API version is 1.24, please upgrade your client to a newer version`,
    ]);
});

test("ping has the headers that clients negotiate by, for GET and HEAD", async () => {
  await using server = await TestServer.start(new FakeEngine());
  for (const method of ["GET", "HEAD"]) {
    const { status, headers, text } = await server.call(method, "/_ping");
    const { date: _, connection: __, ...rest } = headers;
    assert.equal(status, 200);
    assert.equal(text, method === "GET" ? "OK" : "");
    assert.deepEqual(rest, {
      "api-version": "1.51",
      "builder-version": "2",
      "cache-control": "no-cache, no-store, must-revalidate",
      "content-length": method === "GET" ? "2" : "0",
      "content-type": "text/plain; charset=utf-8",
      "docker-experimental": "false",
      ostype: "linux",
      pragma: "no-cache",
      server: "Gantry/0.0.0 (linux)",
      swarm: "inactive",
    });
  }
});

test("what there is none of is listed as none", async () => {
  await using server = await TestServer.start(new FakeEngine());
  assert.equal((await server.call("GET", "/plugins")).text, "[]\n");
  assert.deepEqual(brief(await server.call("GET", "/plugins/x/json")), [404, 'plugin "x" not found']);
  assert.deepEqual(brief(await server.call("GET", "/swarm")), [503, swarmText]);
  assert.deepEqual(brief(await server.call("GET", "/services?filters={}")), [503, swarmText]);
  assert.deepEqual(brief(await server.call("POST", "/swarm/leave")), [503, "This node is not part of a swarm"]);
});

test("images with slashes in their names, and escaped ones", async () => {
  const engine = new FakeEngine();
  await using server = await TestServer.start(engine);
  await server.call("GET", "/images/docker.io/library/busybox:latest/json");
  await server.call("GET", "/images/registry%3A5000%2Fa%2Fb/json");
  assert.deepEqual(engine.callsOf("images.inspect"), [["docker.io/library/busybox:latest"], ["registry:5000/a/b"]]);
});

test("paths that are not clean are redirected, as by Go's mux", async () => {
  await using server = await TestServer.start(new FakeEngine());
  for (const path of ["//containers/json", "/containers/../containers/json", "/containers/%2Fjson?all=1"]) {
    const answer = await server.call("GET", path);
    assert.equal(answer.status, 301, path);
    assert.equal(answer.headers["location"], `/containers/json${path.includes("?") ? "?all=1" : ""}`);
  }
});

test("errors have the status of their kind", async () => {
  const engine = new FakeEngine();
  await using server = await TestServer.start(engine);
  for (const [kind, status] of [
    ["InvalidParameter", 400],
    ["Unauthorized", 401],
    ["Forbidden", 403],
    ["NotFound", 404],
    ["NotModified", 304],
    ["Conflict", 409],
    ["NotImplemented", 501],
    ["Unavailable", 503],
    ["System", 500],
    ["DataLoss", 500],
    ["Cancelled", 500],
    ["Deadline", 500],
    ["Unknown", 500],
  ] as const) {
    engine.failures.set("containers.start", new EngineError(kind, "why"));
    const answer = await server.call("POST", "/containers/box/start");
    assert.deepEqual(brief(answer), [status, status === 304 ? undefined : "why"]);
  }
  engine.failures.set("containers.start", new TypeError("a mistake of ours"));
  assert.deepEqual(brief(await server.call("POST", "/containers/box/start")), [500, "a mistake of ours"]);
});

test("every parameter of the container operations reaches the engine", async () => {
  const engine = new FakeEngine();
  await using server = await TestServer.start(engine);
  await server.call("GET", '/containers/json?all=1&limit=3&size=true&filters={"status":["running"]}');
  await server.call("POST", "/containers/create?name=/a&platform=linux/arm64", { body: '{"Image":"i"}' });
  await server.call("POST", "/containers/box/stop?t=5&signal=INT");
  await server.call("POST", "/v1.41/containers/box/stop?t=-1&signal=INT");
  await server.call("POST", "/containers/box/restart");
  await server.call("POST", "/containers/box/kill?signal=9");
  await server.call("POST", "/containers/box/rename?name=/new");
  await server.call("POST", "/containers/box/resize?h=24&w=80");
  await server.call("GET", "/containers/box/top?ps_args=-ef");
  await server.call("DELETE", "/containers/box?v=1&force=1&link=0");
  await server.call("POST", '/containers/prune?filters={"until":["10m"]}');
  const asked = engine.calls.map(({ method, args }) => [
    method,
    ...args.filter((arg) => !(arg instanceof AbortSignal)),
  ]);
  const id = fakeContainerId;
  assert.deepEqual(asked, [
    ["containers.list", { all: true, limit: 3, size: true, filters: new Map([["status", ["running"]]]) }],
    [
      "containers.create",
      { name: "/a", platform: "linux/arm64", config: { Image: "i" }, hostConfig: {}, networkingConfig: {} },
    ],
    ["containers.stop", id, "INT", 5],
    ["containers.stop", id, undefined, -1],
    ["containers.restart", id, undefined, undefined],
    ["containers.kill", id, "9"],
    ["containers.rename", id, "new"],
    ["containers.resize", id, 24, 80],
    ["containers.top", id, "-ef"],
    ["containers.remove", id, { force: true, volumes: true }],
    ["containers.prune", new Map([["until", ["10m"]]])],
  ]);
});

test("what older API versions could not say is not heard, and their defaults hold", async () => {
  const engine = new FakeEngine();
  await using server = await TestServer.start(engine);
  const body = '{"Image":"i","HostConfig":{"AutoRemove":true,"ConsoleSize":[1,2],"Annotations":{"a":"b"}}}';
  for (const minor of [24, 40, 51])
    await server.call("POST", `/v1.${minor}/containers/create?platform=linux`, { body });
  const requests = engine
    .callsOf("containers.create")
    .map(([request]) => JSON.parse(JSON.stringify(request)) as object);
  assert.deepEqual(requests, [
    {
      config: { Image: "i" },
      hostConfig: { AutoRemove: false, CgroupnsMode: "host", IpcMode: "shareable" },
      networkingConfig: {},
    },
    { config: { Image: "i" }, hostConfig: { AutoRemove: true, CgroupnsMode: "host" }, networkingConfig: {} },
    {
      platform: "linux",
      config: { Image: "i" },
      hostConfig: { AutoRemove: true, ConsoleSize: [1, 2], Annotations: { a: "b" } },
      networkingConfig: {},
    },
  ]);
});

test("fields that older API versions have otherwise are rendered so", async () => {
  const engine = new FakeEngine();
  engine.summaries = [
    { Id: "a", ImageManifestDescriptor: {}, HostConfig: { NetworkMode: "n", Annotations: { a: "b" } } },
  ];
  await using server = await TestServer.start(engine);
  const get = async (path: string): Promise<unknown> => (await server.call("GET", path)).json;
  assert.deepEqual(await get("/v1.48/containers/json"), engine.summaries);
  assert.deepEqual(await get("/v1.47/containers/json"), [
    { Id: "a", HostConfig: { NetworkMode: "n", Annotations: { a: "b" } } },
  ]);
  assert.deepEqual(await get("/v1.45/containers/json"), [{ Id: "a", HostConfig: { NetworkMode: "n" } }]);
  assert.deepEqual(await get("/v1.47/containers/box/json"), { Id: fakeContainerId, Name: "/box" });
  const image = { Id: "sha256:aa", RepoTags: [], RepoDigests: [], Size: 5 };
  assert.deepEqual(await get("/images/json"), [{ ...image, Containers: 2 }]);
  assert.deepEqual(await get("/v1.44/images/json"), [{ ...image, Containers: -1 }]);
  assert.deepEqual(await get("/v1.42/images/json"), [
    { ...image, Containers: -1, VirtualSize: 5, RepoTags: ["<none>:<none>"], RepoDigests: ["<none>@<none>"] },
  ]);
  const info = (await get("/v1.24/info")) as Readonly<Record<string, unknown>>;
  assert.deepEqual(
    [info["SecurityOptions"], info["KernelMemory"], info["FirewallBackend"], info["Runtimes"]],
    [["seccomp"], true, undefined, { crun: { path: "crun" } }],
  );
});

test("create and start refuse what has no configuration or has one too many", async () => {
  await using server = await TestServer.start(new FakeEngine());
  const noConfig = "config cannot be empty in order to create a container";
  for (const body of ["{}", "null", '{"HostConfig":{}}', '{"__proto__":{"Image":"x"}}'])
    assert.deepEqual(brief(await server.call("POST", "/containers/create", { body })), [400, noConfig], body);
  assert.deepEqual(brief(await server.call("POST", "/containers/box/start", { body: '{"HostConfig":{}}' })), [
    400,
    "starting container with non-empty request body was deprecated since API v1.22 and removed in v1.24",
  ]);
  assert.equal((await server.call("POST", "/containers/box/start", { body: "{}" })).status, 204);
});

const gone = "/containers/nope";
test("names that there are not, are not found", async () => {
  await using server = await TestServer.start(new FakeEngine());
  for (const [method, path, message] of [
    ["GET", `${gone}/json`, "No such container: nope"],
    ["POST", `${gone}/start`, "No such container: nope"],
    ["POST", `${gone}/kill`, "cannot kill container: nope: No such container: nope"],
    ["DELETE", gone, "No such container: nope"],
    ["GET", `${gone}/logs?stdout=1`, "No such container: nope"],
    ["POST", `${gone}/wait`, "No such container: nope"],
    ["GET", "/exec/nope/json", "No such exec instance: nope"],
    ["POST", "/exec/nope/start", "No such exec instance: nope"],
    ["GET", "/images/nope/json", "No such image: nope:latest"],
    ["GET", "/networks/nope", "network nope not found"],
  ] as const)
    assert.deepEqual(brief(await server.call(method, path)), [404, message], path);
});

test("wait answers its head at once and its body at the end", async () => {
  const engine = new FakeEngine();
  await using server = await TestServer.start(engine);
  const client = await server.dial("POST /containers/box/wait?condition=next-exit HTTP/1.1\r\nHost: d\r\n\r\n");
  await client.until("\r\n\r\n");
  assert.deepEqual(engine.callsOf("containers.wait"), [[fakeContainerId, "next-exit"]]);
  engine.waiting.resolve({ StatusCode: 3 });
  assert.match(await client.until("}\n"), /\{"StatusCode":3\}\n/);
  client.socket.destroy();
});

test("a client of wait, events or followed logs that hangs up ends them", async () => {
  const engine = new FakeEngine();
  await using server = await TestServer.start(engine);
  engine.logStream = new Readable({ read: () => {} });
  const wait = await server.dial("POST /containers/box/wait HTTP/1.1\r\nHost: d\r\n\r\n");
  const events = await server.dial("GET /events HTTP/1.1\r\nHost: d\r\n\r\n");
  const logs = await server.dial("GET /containers/box/logs?stdout=1&follow=1 HTTP/1.1\r\nHost: d\r\n\r\n");
  for (const client of [wait, events, logs]) {
    await client.until("\r\n\r\n");
    client.socket.destroy();
  }
  await eventually(() => engine.waitSignal?.aborted === true);
  await eventually(() => engine.eventSignal?.aborted === true);
  await eventually(() => engine.logStream.destroyed);
  engine.waiting.resolve({ StatusCode: 0 });
});

test("a client that hangs up during a slow start aborts it", async () => {
  const engine = new FakeEngine();
  const gate = Promise.withResolvers<void>();
  engine.gates.set("containers.start", gate.promise);
  await using server = await TestServer.start(engine);
  const client = await server.dial("POST /containers/box/start HTTP/1.1\r\nHost: d\r\n\r\n");
  await eventually(() => engine.callsOf("containers.start").length > 0);
  client.socket.destroy();
  const signal = engine.callsOf("containers.start")[0]?.[1] as AbortSignal;
  await eventually(() => signal.aborted);
  gate.resolve();
});

test("logs choose their content type, and say in the stream that reading failed", async () => {
  const engine = new FakeEngine();
  await using server = await TestServer.start(engine);
  for (const [minor, tty, type] of [
    [51, false, "multiplexed"],
    [51, true, "raw"],
    [41, false, "raw"],
  ] as const) {
    engine.tty = tty;
    engine.logStream = Readable.from([Buffer.from("line\n")]);
    const answer = await server.call("GET", `/v1.${minor}/containers/box/logs?stdout=1`);
    assert.equal(answer.headers["content-type"], `application/vnd.docker.${type}-stream`);
    assert.equal(answer.text, "line\n");
  }
  engine.tty = false;
  engine.logStream = Readable.from(
    (async function* () {
      yield Buffer.from("line\n");
      throw new EngineError("System", "bad sector");
    })(),
  );
  const failed = await server.call("GET", "/containers/box/logs?stdout=1");
  assert.equal(failed.text, "line\n\u0003\0\0\0\0\0\0 Error grabbing logs: bad sector\n");
});

test("every parameter of logs is parsed", async () => {
  const engine = new FakeEngine();
  await using server = await TestServer.start(engine);
  const query = "stdout=1&stderr=1&follow=0&since=1.5&until=2&tail=7&timestamps=1&details=1";
  await server.call("GET", `/containers/box/logs?${query}`);
  await server.call("GET", "/containers/box/logs?stderr=1&tail=all&since=0");
  assert.deepEqual(engine.callsOf("containers.logs"), [
    [
      fakeContainerId,
      {
        follow: false,
        stdout: true,
        stderr: true,
        sinceNs: 1_500_000_000n,
        untilNs: 2_000_000_000n,
        tail: 7,
        timestamps: true,
        details: true,
      },
    ],
    [
      fakeContainerId,
      {
        follow: false,
        stdout: false,
        stderr: true,
        sinceNs: undefined,
        untilNs: undefined,
        tail: undefined,
        timestamps: false,
        details: false,
      },
    ],
  ]);
});

test("events go out one a line, with the old fields on containers and images", async () => {
  const engine = new FakeEngine();
  await using server = await TestServer.start(engine);
  const actor = { ID: "x", Attributes: { image: "busybox" } };
  engine.events_ = Readable.from([
    { Type: "container", Action: "start", Actor: actor },
    { Type: "image", Action: "tag", Actor: { ID: "y" } },
    { Type: "network", Action: "connect", Actor: { ID: "z" } },
  ]) as AsyncIterable<EventMessage>;
  const answer = await server.call("GET", "/events?since=1&until=2");
  assert.equal(answer.headers["content-type"], "application/json");
  assert.deepEqual(
    answer.text
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line) as unknown),
    [
      { status: "start", id: "x", from: "busybox", Type: "container", Action: "start", Actor: actor },
      { status: "tag", id: "y", Type: "image", Action: "tag", Actor: { ID: "y" } },
      { Type: "network", Action: "connect", Actor: { ID: "z" } },
    ],
  );
});

test("events send their head before anything happens", async () => {
  await using server = await TestServer.start(new FakeEngine());
  const client = await server.dial("GET /events HTTP/1.1\r\nHost: d\r\n\r\n");
  assert.match(await client.until("\r\n\r\n"), /^HTTP\/1\.1 200 OK\r\n/);
  client.socket.destroy();
});

test("load and import stream their progress; a failure is a reply before the first line and the last line after it", async () => {
  const engine = new FakeEngine();
  await using server = await TestServer.start(engine);
  const headers = { "Content-Type": "application/x-tar" };
  const body = Buffer.alloc(100_000);
  engine.progress = [{ stream: "Loaded image: a\n" }];
  const loaded = await server.call("POST", "/images/load?quiet=0", { body, headers });
  assert.deepEqual([loaded.status, loaded.text], [200, '{"stream":"Loaded image: a\\n"}\r\n']);
  await server.call(
    "POST",
    "/images/create?fromSrc=-&repo=r&tag=t&message=m&changes=CMD%20a&changes=ENV%20b&platform=linux",
    {
      body,
      headers,
    },
  );
  assert.deepEqual(engine.callsOf("images.load"), [[{ quiet: false, platform: undefined }, 100_000]]);
  assert.deepEqual(engine.callsOf("images.import"), [
    [{ reference: "r:t", message: "m", changes: ["CMD a", "ENV b"], platform: "linux" }, 100_000],
  ]);

  engine.progress = [new EngineError("InvalidParameter", "no archive")];
  assert.deepEqual(brief(await server.call("POST", "/images/load", { body, headers })), [400, "no archive"]);
  engine.progress = [{ status: "a" }, new EngineError("InvalidParameter", "cut short")];
  const cut = await server.call("POST", "/images/load", { body, headers });
  assert.equal(cut.text, '{"status":"a"}\r\n{"errorDetail":{"message":"cut short"},"error":"cut short"}\n');
});

test("an upload that is refused at once still gets its reply, and may go on for a moment", async () => {
  await using server = await TestServer.start(new FakeEngine());
  const client = await server.dial(
    "POST /images/create?fromSrc=-&repo=r&tag=%20 HTTP/1.1\r\nHost: d\r\nContent-Length: 1000000\r\n\r\npart",
  );
  assert.match(await client.until("\r\n\r\n"), /^HTTP\/1\.1 400 /);
  client.socket.write(Buffer.alloc(500_000));
  await client.ended();
  client.socket.destroy();
});

test("an upload whose rest is refused half-way is read to its end, and the connection goes on", async () => {
  const engine = new FakeEngine();
  engine.progress = [{ status: "a" }, new EngineError("InvalidParameter", "corrupt")];
  engine.readsUploads = false;
  await using server = await TestServer.start(engine);
  const client = await server.dial(
    "POST /images/load HTTP/1.1\r\nHost: d\r\nContent-Type: application/x-tar\r\nContent-Length: 5000000\r\n\r\n",
  );
  const half = Buffer.alloc(2_500_000);
  client.socket.write(half);
  assert.match(await client.until("corrupt"), /^HTTP\/1\.1 200 /);
  client.socket.write(half);
  client.socket.write("GET /_ping HTTP/1.1\r\nHost: d\r\n\r\n");
  assert.match(await client.until("OK"), /OK/);
  client.socket.destroy();
});

test("a client that closes its sending side after the request gets its answer", async () => {
  await using server = await TestServer.start(new FakeEngine());
  const client = await server.dial("GET /_ping HTTP/1.1\r\nHost: d\r\n\r\n");
  client.socket.end();
  assert.match(await client.ended(), /OK$/);
});

test("the check of the invariants is at /gantry/check, and POST repairs", async () => {
  const engine = new FakeEngine();
  await using server = await TestServer.start(engine);
  assert.equal((await server.call("GET", "/gantry/check")).text, "[]\n");
  assert.equal((await server.call("POST", "/v1.51/gantry/check")).text, "[]\n");
  assert.deepEqual(engine.callsOf("system.check"), [[{ repair: false }], [{ repair: true }]]);
});

test("closing waits for requests that are being answered", async () => {
  const engine = new FakeEngine();
  const gate = Promise.withResolvers<void>();
  engine.gates.set("containers.start", gate.promise);
  const server = await TestServer.start(engine);
  const answer = server.call("POST", "/containers/box/start");
  await eventually(() => engine.callsOf("containers.start").length > 0);
  const closed = server.api.close(10_000);
  gate.resolve();
  assert.equal((await answer).status, 204);
  await closed;
  await assert.rejects(server.call("GET", "/_ping"));
  await server[Symbol.asyncDispose]();
});

test("closing cuts what is not answered in time", async () => {
  const engine = new FakeEngine();
  engine.gates.set("containers.start", new Promise(() => {}));
  const server = await TestServer.start(engine);
  const answer = server.call("POST", "/containers/box/start");
  const rejected = assert.rejects(answer);
  await eventually(() => engine.callsOf("containers.start").length > 0);
  await server.api.close(20);
  await rejected;
  const signal = engine.callsOf("containers.start")[0]?.[1];
  assert.ok(signal instanceof AbortSignal && signal.aborted);
  await server[Symbol.asyncDispose]();
});
