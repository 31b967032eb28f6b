// The routes about space: system df, and prune.

import assert from "node:assert/strict";
import { test } from "node:test";
import { TestServer } from "./fake-client.ts";
import { FakeEngine } from "./fake-engine.ts";

test("system df asks for the types that are given, for all of them before 1.42 and without any", async () => {
  const engine = new FakeEngine();
  await using server = await TestServer.start(engine);
  const all = ["container", "image", "volume", "build-cache"];
  for (const [path, types] of [
    ["/v1.51/system/df", all],
    ["/v1.51/system/df?type=image&type=volume&type=image", ["image", "volume"]],
    ["/v1.41/system/df?type=nonsense", all],
  ] as const) {
    engine.calls.length = 0;
    assert.equal((await server.call("GET", path)).status, 200);
    assert.deepEqual(engine.calls, [{ method: "system.diskUsage", args: [types] }]);
  }
  for (const type of ["foo", ""]) {
    const refused = await server.call("GET", `/v1.51/system/df?type=${type}`);
    assert.deepEqual([refused.status, refused.message], [400, `unknown object type: ${type}`]);
  }
});

test("image prune hands its filters over, and refuses others in dockerd's words", async () => {
  const engine = new FakeEngine();
  await using server = await TestServer.start(engine);
  const prune = (filters: unknown): ReturnType<TestServer["call"]> =>
    server.call("POST", `/v1.51/images/prune?filters=${encodeURIComponent(JSON.stringify(filters))}`);
  const answer = await prune({ dangling: { false: true }, until: ["24h"] });
  assert.equal(answer.text.trim(), '{"ImagesDeleted":null,"SpaceReclaimed":0}');
  assert.deepEqual(engine.calls, [
    {
      method: "images.prune",
      args: [
        new Map([
          ["dangling", ["false"]],
          ["until", ["24h"]],
        ]),
      ],
    },
  ]);
  const refused = await prune({ reference: ["a"] });
  assert.deepEqual([refused.status, refused.message], [400, "invalid filter 'reference'"]);
});

test("prune of networks and build cache finds none, whatever the filters; unknown filters are refused", async () => {
  await using server = await TestServer.start(new FakeEngine());
  for (const [path, expected] of [
    ["networks", { NetworksDeleted: null }],
    ["build", { CachesDeleted: null, SpaceReclaimed: 0 }],
  ] as const) {
    assert.deepEqual(JSON.parse((await server.call("POST", `/v1.51/${path}/prune`)).text), expected);
    const refused = await server.call("POST", `/v1.51/${path}/prune?filters=${encodeURIComponent('{"foo":["a"]}')}`);
    assert.deepEqual([refused.status, refused.message], [400, "invalid filter 'foo'"]);
  }
});

test("platforms of images are looked at since the versions that have them", async () => {
  const engine = new FakeEngine();
  await using server = await TestServer.start(engine);
  const arm = encodeURIComponent('{"os":"linux","architecture":"arm64"}');
  for (const [method, path, call] of [
    ["GET", `/v1.51/images/a/json?platform=${arm}`, { method: "images.inspect", args: ["a", "linux/arm64"] }],
    ["DELETE", `/v1.49/images/a?platforms=x`, undefined],
    ["GET", `/v1.47/images/a/history?platform=x`, undefined],
    ["GET", `/v1.48/images/a/json?platform=x`, undefined],
  ] as const) {
    engine.calls.length = 0;
    assert.equal((await server.call(method, path)).status, 200, path);
    if (call !== undefined) assert.deepEqual(engine.calls, [call]);
  }
  for (const [method, path, message] of [
    [
      "GET",
      `/v1.51/images/a/json?manifests=1&platform=${arm}`,
      "conflicting options: manifests and platform options cannot both be set",
    ],
    ["DELETE", `/v1.51/images/a?platforms=${arm}&platforms=${arm}`, "multiple platforms are not supported"],
    ["GET", '/v1.51/images/a/history?platform={"os":"linux"}', "both OS and Architecture must be provided"],
  ] as const) {
    const refused = await server.call(method, path.replaceAll('"', "%22").replace("{", "%7B").replace("}", "%7D"));
    assert.deepEqual([refused.status, refused.message], [400, message]);
  }
});

test("the name filter of API before 1.41 is a reference", async () => {
  const engine = new FakeEngine();
  await using server = await TestServer.start(engine);
  await server.call("GET", "/v1.40/images/json?filter=app");
  await server.call("GET", "/v1.41/images/json?filter=app");
  assert.deepEqual(
    engine.calls.map(({ args }) => (args[0] as { readonly filters: ReadonlyMap<string, unknown> }).filters),
    [new Map([["reference", ["app"]]]), new Map()],
  );
});
