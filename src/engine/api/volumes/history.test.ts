// The routes about volumes at other moments: what is handed over, and what is refused before.

import assert from "node:assert/strict";
import { test } from "node:test";
import { TestServer } from "../fake-client.ts";
import { FakeEngine } from "../fake-engine.ts";

test("snapshots are taken, listed, restored and removed with what was asked for", async () => {
  const engine = new FakeEngine();
  await using server = await TestServer.start(engine);
  const body = JSON.stringify({ Name: "before", Comment: "why" });
  const calls = [
    ["POST", "/volumes/v/snapshots", body, 201, ["volumes.snapshot", "v", { name: "before", comment: "why" }]],
    ["POST", "/volumes/v/snapshots", "", 201, ["volumes.snapshot", "v", { name: "", comment: "" }]],
    ["GET", "/volumes/v/snapshots", "", 200, ["volumes.snapshots", "v"]],
    ["DELETE", "/volumes/v/snapshots/before", "", 204, ["volumes.removeSnapshot", "v", "before"]],
    [
      "POST",
      "/volumes/v/restore?snapshot=before",
      "",
      200,
      ["volumes.restore", "v", { snapshot: "before", discard: false }],
    ],
    [
      "POST",
      "/volumes/v/restore?snapshot=before&discard=1",
      "",
      200,
      ["volumes.restore", "v", { snapshot: "before", discard: true }],
    ],
    ["GET", "/volumes/v/export", "", 200, ["volumes.export", "v", undefined]],
    ["GET", "/volumes/v/export?snapshot=before", "", 200, ["volumes.export", "v", "before"]],
    [
      "POST",
      `/volumes/import?name=w&labels=${encodeURIComponent('{"a":"b"}')}`,
      "",
      201,
      ["volumes.import", { name: "w", labels: { a: "b" } }],
    ],
  ] as const;
  for (const [method, path, text, status, [name, ...args]] of calls) {
    engine.calls.length = 0;
    const answer = await server.call(method, `/v1.51${path}`, text === "" ? {} : { body: text });
    assert.deepEqual([answer.status, engine.calls], [status, [{ method: name, args }]], path);
  }
});

test("bad requests about snapshots are refused before anything is called", async () => {
  const engine = new FakeEngine();
  await using server = await TestServer.start(engine);
  for (const [method, path, message] of [
    ["POST", "/volumes/v/restore", "the parameter snapshot is missing"],
    ["GET", "/volumes/v/export?snapshot=", "the parameter snapshot is missing"],
    ["POST", "/volumes/import", "the parameter name is missing"],
  ] as const) {
    const refused = await server.call(method, `/v1.51${path}`);
    assert.deepEqual([refused.status, refused.message], [400, message]);
  }
  for (const labels of ["{", "[]", '{"a":1}', '"x"']) {
    const refused = await server.call("POST", `/v1.51/volumes/import?name=w&labels=${encodeURIComponent(labels)}`);
    assert.equal(refused.status, 400, labels);
  }
  const typed = await server.call("POST", "/v1.51/volumes/v/snapshots", { body: '{"Name":1}' });
  assert.equal(typed.status, 400);
  assert.deepEqual(engine.calls, []);
});
