// The routes of volumes: what is asked of the engine, and what is refused at the door.

import assert from "node:assert/strict";
import { test } from "node:test";
import { TestServer } from "./fake-client.ts";
import { FakeEngine } from "./fake-engine.ts";

type Call = readonly [
  method: string,
  path: string,
  body: unknown,
  expected: { method: string; args: readonly unknown[] },
];

test("bodies, names and filters are handed over, in the way of each API version", async () => {
  const engine = new FakeEngine();
  await using server = await TestServer.start(engine);
  const all = encodeURIComponent('{"all":["1"]}');
  const calls: readonly Call[] = [
    ["POST", "/volumes/create", undefined, { method: "volumes.create", args: [{}] }],
    [
      "POST",
      "/v1.51/volumes/create",
      { name: "a", Driver: "x", DriverOpts: { type: "t" }, Labels: {}, Other: 1 },
      { method: "volumes.create", args: [{ Name: "a", Driver: "x", DriverOpts: { type: "t" }, Labels: {} }] },
    ],
    // Before 1.42 nobody knew of cluster volumes.
    ["POST", "/v1.41/volumes/create", { ClusterVolumeSpec: {} }, { method: "volumes.create", args: [{}] }],
    ["GET", "/v1.24/volumes/a%2Fb", undefined, { method: "volumes.inspect", args: ["a/b"] }],
    ["DELETE", "/volumes/a?force=1", undefined, { method: "volumes.remove", args: ["a", true] }],
    ["DELETE", "/volumes/a", undefined, { method: "volumes.remove", args: ["a", false] }],
    ["PUT", "/volumes/a", { Labels: { b: "c" } }, { method: "volumes.update", args: ["a", { b: "c" }] }],
    ["POST", "/volumes/prune", undefined, { method: "volumes.prune", args: [new Map()] }],
    [
      "POST",
      `/volumes/prune?filters=${all}`,
      undefined,
      { method: "volumes.prune", args: [new Map([["all", ["1"]]])] },
    ],
    ["POST", "/v1.41/volumes/prune", undefined, { method: "volumes.prune", args: [new Map([["all", ["true"]]])] }],
    ["GET", "/volumes", undefined, { method: "volumes.list", args: [new Map()] }],
  ];
  for (const [method, path, body, expected] of calls) {
    engine.calls.length = 0;
    const { status, text } = await server.call(method, path, body === undefined ? {} : { body: JSON.stringify(body) });
    assert.ok(status < 300, `${method} ${path}: ${text}`);
    // Maps of strings have no prototype.
    assert.deepEqual(structuredClone(engine.calls), [expected], `${method} ${path}`);
  }
});

test("cluster volumes, and what is no filter, are refused in dockerd's words", async () => {
  const engine = new FakeEngine();
  await using server = await TestServer.start(engine);
  const refused: readonly (readonly [string, string, string, number, RegExp])[] = [
    ["POST", "/volumes/create", '{"ClusterVolumeSpec":{}}', 503, /^This node is not a swarm manager\./],
    ["POST", "/volumes/create", '{"Name":5}', 400, /number into Go struct field CreateOptions\.Name of type string$/],
    [
      "PUT",
      "/volumes/a?version=1",
      '{"Spec":{}}',
      503,
      /^volume update only valid for cluster volumes, but swarm is unavailable$/,
    ],
    ["PUT", "/volumes/a", "", 503, /^volume update only valid for cluster volumes/],
    ["GET", `/volumes?filters=${encodeURIComponent('{"foo":["x"]}')}`, "", 400, /^invalid filter 'foo'$/],
    [
      "POST",
      `/volumes/prune?filters=${encodeURIComponent('{"dangling":["x"]}')}`,
      "",
      400,
      /^invalid filter 'dangling'$/,
    ],
  ];
  for (const [method, path, body, status, message] of refused) {
    const answer = await server.call(method, path, body === "" ? {} : { body });
    assert.equal(answer.status, status, `${method} ${path}: ${answer.text}`);
    assert.match(answer.message ?? "", message);
  }
  assert.deepEqual(engine.calls, []);
});
