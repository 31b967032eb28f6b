// T07, T03, T04 and section 4.5 of the security cases at the client of registries: whatever a registry does, a pull ends, in time and with a
// clear error, or with the right bytes. No root, no daemon: what a pull leaves behind is tested where pulls are.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { digestOf, parseDigest } from "../../src/base/digest.ts";
import { EngineError, isEngineError } from "../../src/base/errors.ts";
import { silentLogger } from "../../src/base/log.ts";
import { parseNamed } from "../../src/base/reference.ts";
import { createDistribution, type Distribution, planRetry, type Repository } from "../../src/distribution/index.ts";
import { parseDocument } from "../../src/spec/oci/parse.ts";
import { behaviours, type BehaviourName, survivable } from "../support/evil-behaviours.ts";
import { EvilRegistry } from "../support/evil-registry.ts";

const stallTimeoutMs = 400;
const credentials = { username: "u", password: "secret", identityToken: "", registryToken: "", serverAddress: "" };

function client(): Distribution {
  return createDistribution({
    logger: silentLogger,
    config: () => ({
      mirrors: [],
      insecureRegistries: [],
      certsDirectories: [],
      httpProxy: "",
      httpsProxy: "",
      noProxy: "",
      userAgent: "test",
      maxAttempts: 3,
      stallTimeoutMs,
      retryDelayScale: 0.01,
    }),
  });
}

/** A blob as a pull gets it: resumed, limited to its size, and compared with its digest. */
async function fetchBlob(repository: Repository, digest: string, size: number, signal: AbortSignal): Promise<void> {
  let have = Buffer.alloc(0);
  for (let attempt = 1; ; attempt++) {
    try {
      const body = await repository.openBlob(parseDigest(digest), have.length, signal);
      have = Buffer.from(have.subarray(0, body.offset));
      for await (const chunk of body.chunks) {
        have = Buffer.concat([have, chunk]);
        if (have.length > size) throw new EngineError("InvalidParameter", "longer than its descriptor says");
      }
      break;
    } catch (error) {
      const decision = planRetry(error, attempt, 3);
      if (!decision.retry) throw error;
      await sleep(1);
    }
  }
  const got = `sha256:${createHash("sha256").update(have).digest("hex")}`;
  if (got !== digest) throw new EngineError("InvalidParameter", `${digest} is ${got}`);
}

async function pull(registry: EvilRegistry, signal: AbortSignal): Promise<void> {
  const distribution = client();
  try {
    const named = parseNamed(`${registry.address}/evil/image`);
    const repository = await distribution.repository(named, "pull", credentials, signal);
    const { bytes } = await repository.manifest("latest", signal);
    const document = parseDocument(bytes);
    if (document.kind === "index") throw new EngineError("NotFound", "an index without manifests");
    for (const { digest, size } of [document.config, ...document.layers])
      await fetchBlob(repository, digest, size, signal);
    const head = await repository.headManifest("latest", signal);
    assert.notEqual(head, undefined);
  } finally {
    distribution.close();
  }
}

const notAboutPulls = /^(tags|upload)-/;
const pulls = Object.keys(behaviours).filter((name): name is BehaviourName => !notAboutPulls.test(name));

test("there are at least forty ways to misbehave", () => {
  assert.ok(Object.keys(behaviours).length >= 40, String(Object.keys(behaviours).length));
});

for (const name of pulls) {
  const good = survivable.has(name);
  test(`${name}: ${good ? "the image is pulled" : "a clear error, in time"}`, { timeout: 30_000 }, async () => {
    await using registry = await EvilRegistry.start(name);
    const before = process.memoryUsage().rss;
    const outcome = await pull(registry, AbortSignal.timeout(20_000)).then(
      () => undefined,
      (error: unknown) => error,
    );
    if (good) assert.equal(outcome, undefined);
    else {
      assert.ok(isEngineError(outcome), String(outcome));
      assert.notEqual(outcome.kind, "Cancelled", "it had to be ended from outside");
      assert.doesNotMatch(outcome.message, /secret|dTpzZWNyZXQ/);
    }
    assert.ok(registry.requests.length < 40, `${registry.requests.length} requests`);
    assert.ok(process.memoryUsage().rss - before < 192 << 20, "memory");
    for (const { elsewhere, authorization } of registry.requests)
      if (elsewhere) assert.equal(authorization, undefined, "credentials for another host");
  });
}

test("a registry that stops answering is given up when the caller ends it", async () => {
  await using registry = await EvilRegistry.start("silent");
  const ending = new AbortController();
  setTimeout(() => ending.abort(), 50);
  await assert.rejects(pull(registry, ending.signal), (error) => isEngineError(error, "Cancelled"));
});

test("foreign layers are not fetched from where the manifest says", async () => {
  await using registry = await EvilRegistry.start("foreign-layer");
  await assert.rejects(pull(registry, AbortSignal.timeout(20_000)), (error) => isEngineError(error, "NotFound"));
  assert.ok(registry.requests.some(({ path }) => path.endsWith("b".repeat(64))));
});

async function tagsOf(name: BehaviourName): Promise<{ readonly count: number; readonly error: unknown }> {
  await using registry = await EvilRegistry.start(name);
  const distribution = client();
  const signal = AbortSignal.timeout(90_000);
  const repository = await distribution.repository(parseNamed(`${registry.address}/x`), "pull", undefined, signal);
  let count = 0;
  try {
    for await (const tag of repository.tags(signal)) count += tag.length > 0 ? 1 : 0;
    return { count, error: undefined };
  } catch (error) {
    return { count, error };
  } finally {
    distribution.close();
  }
}

for (const name of ["tags-loop", "tags-for-ever", "tags-elsewhere", "tags-control", "tags-million"] as const)
  test(`${name}: the list ends with an error`, { timeout: 120_000 }, async () => {
    const { count, error } = await tagsOf(name);
    assert.ok(isEngineError(error, "InvalidParameter"), String(error));
    assert.ok(count <= 1_000_000);
  });

async function upload(
  name: BehaviourName,
  size: number,
): Promise<{ readonly stored: boolean; readonly requests: EvilRegistry["requests"] }> {
  await using registry = await EvilRegistry.start(name);
  const distribution = client();
  const signal = AbortSignal.timeout(20_000);
  const bytes = Buffer.alloc(size, "evil");
  const digest = digestOf(bytes);
  try {
    const repository = await distribution.repository(parseNamed(`${registry.address}/x`), "push", credentials, signal);
    await repository.uploadBlob(
      {
        digest,
        sizeBytes: size,
        async *open(offset: number) {
          for (let at = offset; at < size; at += 65_536) yield bytes.subarray(at, at + 65_536);
        },
      },
      () => {},
      signal,
    );
    return { stored: registry.uploads.get(digest)?.length === size, requests: registry.requests };
  } finally {
    distribution.close();
  }
}

for (const name of ["honest", "upload-lost", "upload-broken"] as const)
  test(`${name}: the blob arrives`, async () => {
    assert.equal((await upload(name, 1_000_000)).stored, true);
  });

test("upload-broken: what the registry has is not sent again", async () => {
  const { requests } = await upload("upload-broken", 1_000_000);
  assert.deepEqual(
    requests.filter(({ kind }) => kind === "upload").map(({ method }) => method),
    ["POST", "PATCH", "GET", "PATCH", "PUT"],
  );
});

test("upload-too-much: the blob is sent in pieces", async () => {
  const { stored, requests } = await upload("upload-too-much", 40_000_000);
  assert.equal(stored, true);
  assert.equal(requests.filter(({ method }) => method === "PATCH").length, 4);
});

test("upload-elsewhere: the blob goes where the registry says, credentials do not", async () => {
  const { stored, requests } = await upload("upload-elsewhere", 1000);
  assert.equal(stored, true);
  assert.ok(requests.some(({ elsewhere }) => elsewhere));
  assert.ok(requests.every(({ elsewhere, authorization }) => !elsewhere || authorization === undefined));
});

for (const name of ["upload-keeps-nothing", "upload-to-file"] as const)
  test(`${name}: the upload ends with an error`, async () => {
    await assert.rejects(upload(name, 100_000), (error) => isEngineError(error) && error.kind !== "Cancelled");
  });
