import assert from "node:assert/strict";
import { Readable } from "node:stream";
import { test } from "node:test";
import { EngineError } from "../../../base/errors.ts";
import { TestServer } from "../fake-client.ts";
import { FakeEngine, fakeContainerId } from "../fake-engine.ts";

test("HEAD and GET tell what the path is, PUT takes a tar and both of its options", async () => {
  const engine = new FakeEngine();
  engine.archive = () => Readable.from([Buffer.from("tar")]);
  await using server = await TestServer.start(engine);
  const head = await server.call("HEAD", "/containers/box/archive?path=/etc");
  const got = await server.call("GET", "/containers/box/archive?path=/etc");
  const header = "x-docker-container-path-stat";
  assert.deepEqual([head.status, got.status, got.text], [200, 200, "tar"]);
  assert.equal(got.headers["content-type"], "application/x-tar");
  assert.equal(head.headers[header], got.headers[header]);
  assert.ok("name" in (JSON.parse(Buffer.from(String(head.headers[header]), "base64").toString()) as object));
  for (const query of ["", "&noOverwriteDirNonDir=true&copyUIDGID=1"])
    assert.equal((await server.call("PUT", `/containers/box/archive?path=/d${query}`)).status, 200);
  assert.deepEqual(
    engine.callsOf("containers.extractInto").map(([, request]) => request),
    [
      { path: "/d", noOverwriteDirNonDir: false, copyUidGid: false },
      { path: "/d", noOverwriteDirNonDir: true, copyUidGid: true },
    ],
  );
});

test("no path is refused; what is not found is the file, with the container's name as the client wrote it", async () => {
  const engine = new FakeEngine();
  await using server = await TestServer.start(engine);
  for (const method of ["GET", "PUT"]) {
    const refused = await server.call(method, "/containers/box/archive");
    assert.deepEqual([refused.status, refused.message], [400, "bad parameter: pathcannot be empty"]);
  }
  for (const [method, call] of [
    ["GET", "containers.packPath"],
    ["PUT", "containers.extractInto"],
  ] as const) {
    engine.failures.set(call, new EngineError("NotFound", "nothing is at /x"));
    const missing = await server.call(method, "/containers/box/archive?path=/x");
    assert.deepEqual([missing.status, missing.message], [404, "Could not find the file /x in container box"]);
  }
});

test("changes have numbers for kinds; none are null", async () => {
  const engine = new FakeEngine();
  await using server = await TestServer.start(engine);
  assert.equal((await server.call("GET", "/containers/box/changes")).text.trim(), "null");
  engine.pathChanges = [
    { path: "/a", kind: "modified" },
    { path: "/a/b", kind: "added" },
    { path: "/c", kind: "deleted" },
  ];
  const answer = await server.call("GET", "/containers/box/changes");
  assert.deepEqual(JSON.parse(answer.text), [
    { Path: "/a", Kind: 0 },
    { Path: "/a/b", Kind: 1 },
    { Path: "/c", Kind: 2 },
  ]);
  assert.deepEqual(engine.callsOf("containers.changes").at(-1), [fakeContainerId]);
});
