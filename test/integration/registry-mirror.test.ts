// Our registry as a pull-through cache: of itself and of Debian's docker-registry.

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { TestRegistry } from "../support/registry.ts";
import { call, codeOf, digestOf, manifestType, OwnRegistry, pushManifest } from "../support/own-registry.ts";

const layers = [randomBytes(3 << 20), randomBytes(10)];
const blobs = { config: "{}", layers };

/** How many requests there were; a request is logged a moment after its answer, so one more than that is waited for. */
async function requestsFor(registry: OwnRegistry, method: string, path: string): Promise<number> {
  const marker = `/v2/marker-${randomBytes(4).toString("hex")}`;
  await call(registry.url + marker);
  await registry.logged(new RegExp(marker));
  return registry.log.split("\n").filter((line) => line.includes(`method=${method} `) && line.includes(path)).length;
}

test("what was pulled once is served without the upstream; tags are asked for anew when they are old", async () => {
  await using upstream = await OwnRegistry.start();
  const first = await pushManifest(upstream.url, "library/x", "v1", blobs);
  await using mirror = await OwnRegistry.start(["--proxy-upstream", upstream.url, "--proxy-ttl", "1s"]);
  const manifest = (tag = "v1") => call(`${mirror.url}/v2/library/x/manifests/${tag}`);
  const got = await manifest();
  assert.deepEqual([got.status, got.body, got.headers["content-type"]], [200, first.bytes, manifestType]);
  for (const bytes of layers) {
    const url = `${mirror.url}/v2/library/x/blobs/${digestOf(bytes)}`;
    assert.equal((await call(url, { method: "HEAD" })).headers["content-length"], String(bytes.length));
    const answer = await call(url);
    assert.deepEqual([answer.status, digestOf(answer.body)], [200, digestOf(bytes)]);
    const part = await call(url, { headers: { range: "bytes=2-5" } });
    assert.deepEqual([part.status, part.body], [206, bytes.subarray(2, 6)]);
  }
  assert.equal(await requestsFor(upstream, "GET", `blobs/${digestOf(layers[0] ?? "")}`), 1);
  const second = await pushManifest(upstream.url, "library/x", "v1", { ...blobs, config: '{"second":2}' });
  await sleep(1100);
  assert.deepEqual((await manifest()).body, second.bytes);
  assert.deepEqual(JSON.parse((await call(`${mirror.url}/v2/library/x/tags/list`)).body.toString()), {
    name: "library/x",
    tags: ["v1"],
  });
  assert.equal((await manifest("none")).status, 404);
  const push = await call(`${mirror.url}/v2/library/x/blobs/uploads/`, {
    method: "POST",
    headers: { "content-length": 0 },
  });
  assert.deepEqual([push.status, codeOf(push)], [405, "UNSUPPORTED"]);

  await upstream.down();
  await sleep(1100);
  assert.deepEqual((await manifest()).body, second.bytes);
  assert.deepEqual((await manifest(first.digest)).body, first.bytes);
  assert.equal((await call(`${mirror.url}/v2/library/x/blobs/${digestOf(layers[0] ?? "")}`)).body.length, 3 << 20);
  assert.deepEqual(JSON.parse((await call(`${mirror.url}/v2/library/x/tags/list`)).body.toString()), {
    name: "library/x",
    tags: ["v1"],
  });
  const missing = await call(`${mirror.url}/v2/library/other/manifests/v1`);
  assert.deepEqual([missing.status, codeOf(missing)], [503, "UNAVAILABLE"]);
  await mirror.down("SIGKILL");
  await mirror.up();
  assert.deepEqual((await manifest()).body, second.bytes);
});

test("a blob is fetched once for all who want it at the same time", async () => {
  await using upstream = await OwnRegistry.start();
  const large = randomBytes(20 << 20);
  await pushManifest(upstream.url, "a", "v1", { config: "{}", layers: [large] });
  await using mirror = await OwnRegistry.start(["--proxy-upstream", upstream.url]);
  const url = `${mirror.url}/v2/a/blobs/${digestOf(large)}`;
  const answers = await Promise.all(Array.from({ length: 6 }, () => call(url)));
  for (const answer of answers) assert.equal(digestOf(answer.body), digestOf(large));
  assert.equal(await requestsFor(upstream, "GET", `blobs/${digestOf(large)}`), 1);
});

test("what is here for one repository is not served to another that the upstream does not have it in", async () => {
  await using upstream = await OwnRegistry.start();
  await pushManifest(upstream.url, "a", "v1", blobs);
  await pushManifest(upstream.url, "b", "v1", { config: "{}", layers: [] });
  await using mirror = await OwnRegistry.start(["--proxy-upstream", upstream.url]);
  const digest = digestOf(layers[0] ?? "");
  assert.equal((await call(`${mirror.url}/v2/a/blobs/${digest}`)).status, 200);
  assert.equal((await call(`${mirror.url}/v2/b/blobs/${digest}`)).status, 404);
});

test("Debian's docker-registry with a password is an upstream", async () => {
  await using upstream = await TestRegistry.start({ user: { name: "me", password: "secret" } });
  const pushed = await upstream.pushImage("team/x", "v1", { layers: [{ tar: randomBytes(1024) }] });
  const dir = mkdtempSync(join(tmpdir(), "gantry-own-registry-"));
  writeFileSync(join(dir, "password"), "secret\n");
  const flags = ["--proxy-upstream", `http://${upstream.address}`, "--proxy-username", "me"];
  await using mirror = await OwnRegistry.start([...flags, "--proxy-password-file", join(dir, "password")], dir);
  assert.deepEqual((await call(`${mirror.url}/v2/team/x/manifests/v1`)).body, pushed.manifest);
  for (const { digest } of [pushed.config, ...pushed.layers]) {
    const answer = await call(`${mirror.url}/v2/team/x/blobs/${digest}`);
    assert.equal(digestOf(answer.body), digest);
  }
  assert.doesNotMatch(mirror.log, /secret/);
});

/** An upstream that serves one blob wrongly. */
async function startLiar(digest: string, sizeBytes: number, body: Buffer): Promise<Server> {
  const server = createServer((request, response) => {
    if (request.url === "/v2/") response.end("{}");
    else if (request.url?.includes(digest)) {
      response.writeHead(200, { "content-length": sizeBytes });
      if (request.method === "HEAD") response.end();
      else response.end(body);
    } else response.writeHead(404).end();
  });
  const { promise, resolve } = Promise.withResolvers<void>();
  server.listen(0, "127.0.0.1", resolve);
  await promise;
  return server;
}

test("a blob with another digest reaches nobody whole, and is not kept", async () => {
  const body = randomBytes(2 << 20);
  const digest = digestOf("something else");
  const liar = await startLiar(digest, body.length, body);
  try {
    const url = `http://127.0.0.1:${(liar.address() as AddressInfo).port}`;
    await using mirror = await OwnRegistry.start(["--proxy-upstream", url]);
    await assert.rejects(call(`${mirror.url}/v2/a/blobs/${digest}`), /aborted|socket hang up|ECONNRESET/);
    await assert.rejects(call(`${mirror.url}/v2/a/blobs/${digest}`), /aborted|socket hang up|ECONNRESET/);
    const metrics = (await call(`${mirror.url}/metrics`)).body.toString();
    assert.match(metrics, /gantry_registry_blobs 0\n/);
    assert.match(metrics, /gantry_registry_uploads 0\n/);
  } finally {
    liar.close();
    liar.closeAllConnections();
  }
});
