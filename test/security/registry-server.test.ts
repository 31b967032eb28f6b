// T10 at our own registry, beyond test/integration/registry.test.ts: uploads by the thousand that nobody ends, lengths that lie,
// ranges and names that are none.

import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { Agent, request } from "node:http";
import { connect } from "node:net";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { call, codeOf, digestOf, OwnRegistry, pushBlob } from "../support/own-registry.ts";

const uploads = 10_000;

/** POST on a connection that others use as well; its status. */
function post(agent: Agent, url: string): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  const sent = request(url, { method: "POST", agent, headers: { "content-length": 0 } }, (answer) => {
    answer.resume();
    answer.once("end", () => resolve(answer.statusCode ?? 0));
  });
  sent.once("error", reject);
  sent.end();
  return promise;
}

/** Sends bytes, hangs up its side, and gives back what comes. */
function send(url: string, text: string): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>();
  const socket = connect(Number(new URL(url).port), "127.0.0.1");
  let answer = "";
  socket.on("data", (chunk) => (answer += chunk.toString("latin1")));
  socket.on("error", () => {});
  socket.once("close", () => resolve(answer));
  socket.end(text);
  return promise;
}

test(`T10: ${uploads} uploads that nobody ends are served, and swept`, { timeout: 120_000 }, async () => {
  await using registry = await OwnRegistry.start(["--upload-expiry", "2s"]);
  const agent = new Agent({ keepAlive: true, maxSockets: 32 });
  try {
    let begun = 0;
    const client = async (): Promise<void> => {
      while (begun < uploads) {
        begun++;
        assert.equal(await post(agent, `${registry.url}/v2/a/blobs/uploads/`), 202);
      }
    };
    await Promise.all(Array.from({ length: 32 }, client));
  } finally {
    agent.destroy();
  }
  const digest = await pushBlob(registry.url, "a", "still served");
  assert.equal((await call(`${registry.url}/v2/a/blobs/${digest}`)).body.toString(), "still served");
  const deadline = performance.now() + 60_000;
  while (readdirSync(join(registry.data, "uploads")).length > 0) {
    assert.ok(performance.now() < deadline, "not swept within a minute");
    await sleep(50);
  }
});

test("T10: a body that is shorter than its length leaves no blob and no manifest", async () => {
  await using registry = await OwnRegistry.start();
  const bytes = "0123456789";
  for (const length of [11, 1000, 2 ** 40]) {
    const head = `Host: a\r\nContent-Length: ${length}\r\nContent-Type: application/vnd.oci.image.manifest.v1+json\r\n\r\n`;
    await send(registry.url, `POST /v2/a/blobs/uploads/?digest=${digestOf(bytes)} HTTP/1.1\r\n${head}${bytes}`);
    await send(registry.url, `PUT /v2/a/manifests/x HTTP/1.1\r\n${head}${bytes}`);
    assert.equal((await call(`${registry.url}/v2/a/blobs/${digestOf(bytes)}`)).status, 404);
    assert.equal((await call(`${registry.url}/v2/a/manifests/x`)).status, 404);
  }
  assert.equal((await call(`${registry.url}/v2/`)).status, 200);
});

test("T10: ranges that overlap, run backwards or are none get the whole blob or 416", async () => {
  await using registry = await OwnRegistry.start();
  const digest = await pushBlob(registry.url, "a", "0123456789");
  const get = (range: string) => call(`${registry.url}/v2/a/blobs/${digest}`, { headers: { range } });
  const part = await get("bytes=2-4");
  assert.deepEqual([part.status, part.body.toString()], [206, "234"]);
  for (const range of [
    "bytes=5-2",
    "bytes=-0",
    "bytes=10-",
    `bytes=${"9".repeat(30)}-`,
    "bytes=0-,0-",
    "bytes=x",
    "lines=1-2",
    "bytes=--5",
  ]) {
    const answer = await get(range);
    assert.ok([200, 416].includes(answer.status), `${range}: ${answer.status}`);
    if (answer.status === 200) assert.equal(answer.body.toString(), "0123456789", range);
  }
});

test("T10: names and digests in another case, or with tricks in them, are refused", async () => {
  await using registry = await OwnRegistry.start();
  const digest = await pushBlob(registry.url, "a", "x");
  for (const name of ["A", "a/B", "a//b", "a/.b", "a/b.", "-a", "a%00", "a%0a", "a".repeat(300), "a/%2e%2e/b"]) {
    const answer = await call(`${registry.url}/v2/${name}/blobs/${digest}`);
    assert.ok([400, 404].includes(answer.status), `${name}: ${answer.status}`);
  }
  for (const wrong of [digest.toUpperCase(), `SHA256:${digest.slice(7)}`, `sha256:${digest.slice(7).toUpperCase()}`]) {
    const answer = await call(`${registry.url}/v2/a/blobs/${wrong}`);
    assert.deepEqual([answer.status, codeOf(answer)], [400, "DIGEST_INVALID"], wrong);
  }
  assert.equal((await call(`${registry.url}/v2/a/blobs/${digest}`)).status, 200);
});
