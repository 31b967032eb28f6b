// T02–T04, T07, T08 and section 4.5 of the security cases at whole pulls: whatever a registry does or serves, the pull ends in time
// with an error that names the image and what is wrong with it, nothing of it stays but bytes that can be gone on with, and an
// honest registry has to send only the rest. Needs gantry-unpack; root where files belong to others.

import assert from "node:assert/strict";
import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { isEngineError, messageOf } from "../../src/base/errors.ts";
import { type BehaviourName, behaviours, survivable } from "../support/evil-behaviours.ts";
import { evilImages, harmlessImage } from "../support/evil-images.ts";
import { type EvilImage, EvilRegistry } from "../support/evil-registry.ts";
import { ImageRoom } from "../support/image-room.ts";
import { pullLines } from "../support/pull-lines.ts";

const credentials = { username: "u", password: "secret", identityToken: "", registryToken: "", serverAddress: "" };
const secrets = /secret|dTpzZWNyZXQ/;
const limitMs = 30_000;
const quick = { stallTimeoutMs: 400, retryDelayScale: 0.01 };

/** Only what a client asks of an image is about pulls. */
const notAboutPulls = /^(tags|upload)-/;
/** A token for one request is of no use to layers that are fetched side by side. */
const good = survivable.difference(new Set(["tokens-for-one-request"]));
const pulls = Object.keys(behaviours).filter((name): name is BehaviourName => !notAboutPulls.test(name));
/** What is wrong with a layer is said of the layer. */
const inLayers = /-blob$|rst-always|truncated-always|short-length|longer|resume-lies|^redirect|bad-chunks/;

interface Outcome {
  readonly error: unknown;
  readonly tookMs: number;
}

async function attempt(room: ImageRoom, image: string): Promise<Outcome> {
  const start = performance.now();
  const signal = AbortSignal.timeout(limitMs);
  const error = await pullLines(room.images, image, { tag: "1", credentials, signal }).then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  return { error, tookMs: performance.now() - start };
}

/** Bytes of each blob that an earlier pull has left, by digest. */
function ingested(room: ImageRoom): Map<string, number> {
  const directory = join(room.dataRoot, "content/ingest");
  return new Map(
    readdirSync(directory).map((name) => {
      assert.match(name, /^[0-9a-f]{64}(\.done)?$/);
      return [`sha256:${name.slice(0, 64)}`, statSync(join(directory, name)).size];
    }),
  );
}

async function assertNothingLeft(room: ImageRoom): Promise<void> {
  assert.deepEqual(room.remains(), { tmp: [], snapshots: [], blobs: [] });
  assert.deepEqual(await room.images.check({ repair: false }), []);
  assert.deepEqual(await room.images.list({ all: true, filters: new Map(), sharedSize: false }), []);
}

/** Pulls from the registry, which is honest now, and compares what it was asked for with what was missing. */
async function assertOnlyTheRest(room: ImageRoom, registry: EvilRegistry, image: EvilImage): Promise<void> {
  const had = ingested(room);
  const { error } = await attempt(room, `${registry.address}/evil/image`);
  assert.equal(error, undefined);
  const sizeOf = (digest: string): number => image.blobs.get(digest)?.length ?? 0;
  const served = new Map<string, number>();
  for (const { kind, method, path, range } of registry.requests) {
    if (kind !== "blob" || method !== "GET") continue;
    const digest = path.slice(path.lastIndexOf("/") + 1);
    const offset = Number(/^bytes=(\d+)-/.exec(range ?? "")?.[1] ?? 0);
    served.set(digest, (served.get(digest) ?? 0) + sizeOf(digest) - offset);
  }
  for (const digest of image.layers)
    assert.equal(served.get(digest) ?? 0, sizeOf(digest) - (had.get(digest) ?? 0), `bytes of ${digest}`);
  assert.deepEqual(room.remains().tmp, []);
  assert.deepEqual([...ingested(room)], []);
  assert.deepEqual(await room.images.check({ repair: false }), []);
  assert.equal((await room.images.resolve(`${registry.address}/evil/image:1`, undefined)).id, image.config);
}

function assertRefused({ error, tookMs }: Outcome, image: string): Error {
  assert.ok(isEngineError(error), String(error));
  assert.notEqual(error.kind, "Cancelled", `it had to be ended from outside after ${Math.round(tookMs)} ms`);
  assert.doesNotMatch(error.message, secrets);
  // oxlint-disable-next-line no-control-regex
  assert.doesNotMatch(error.message, /[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/);
  assert.ok(error.message.length < 5000 && error.message.length > 10, `${error.message.length} characters`);
  assert.ok(error.message.includes(image) || !/layer|config|digest/.test(error.message), `unnamed: ${error.message}`);
  return error;
}

describe("a registry that is", { concurrency: 4 }, () => {
  for (const name of pulls)
    it(`${name}: ${good.has(name) ? "the image is pulled" : "an error in time, nothing left, and the next pull goes on"}`, {
      timeout: 2 * limitMs,
    }, async () => {
      await using registry = await EvilRegistry.start(name);
      const room = await ImageRoom.open(quick);
      try {
        const outcome = await attempt(room, `${registry.address}/evil/image`);
        for (const { elsewhere, authorization } of registry.requests)
          assert.ok(!elsewhere || authorization === undefined, "credentials for another host");
        assert.ok(registry.requests.length < 60, `${registry.requests.length} requests`);
        if (good.has(name)) {
          assert.equal(outcome.error, undefined);
          assert.deepEqual(await room.images.check({ repair: false }), []);
          return;
        }
        const { message } = assertRefused(outcome, `${registry.address}/evil/image`);
        if (inLayers.test(name)) assert.match(message, /layer \d of 2 \(sha256:[0-9a-f]{64}\)/);
        await assertNothingLeft(room);
        registry.behave("honest");
        await assertOnlyTheRest(room, registry, registry.image);
      } finally {
        await room.close();
      }
    });
});

describe("an image with", { concurrency: 2 }, () => {
  for (const [name, { image, says }] of Object.entries(evilImages))
    it(`${name} is refused, and nothing of it stays`, { timeout: 2 * limitMs }, async () => {
      const evil = image();
      await using registry = await EvilRegistry.start("honest", evil);
      const room = await ImageRoom.open({ ...quick, maxLayerBytes: 8 << 20 });
      const before = process.memoryUsage().rss;
      try {
        const outcome = await attempt(room, `${registry.address}/evil/image`);
        const { message } = assertRefused(outcome, `${registry.address}/evil/image`);
        assert.match(message, says);
        assert.ok(process.memoryUsage().rss - before < 256 << 20, "memory");
        await assertNothingLeft(room);
      } finally {
        await room.close();
      }
    });

  it("indexes four deep is pulled", async () => {
    const image = harmlessImage();
    await using registry = await EvilRegistry.start("honest", image);
    const room = await ImageRoom.open(quick);
    try {
      await assertOnlyTheRest(room, registry, image);
    } finally {
      await room.close();
    }
  });
});

describe("a pull beside a hostile one of the same blobs", { concurrency: 2 }, () => {
  for (const name of ["wrong-digest-blob", "slow-blob", "silent-blob", "truncated-always", "endless-blob"] as const)
    it(`gets them from its own registry: ${name}`, { timeout: 2 * limitMs }, async () => {
      await using evil = await EvilRegistry.start(name);
      await using honest = await EvilRegistry.start();
      const room = await ImageRoom.open(quick);
      try {
        const hostile = attempt(room, `${evil.address}/evil/image`);
        while (!evil.requests.some(({ kind }) => kind === "blob"))
          await new Promise((resolve) => setTimeout(resolve, 5));
        const { error } = await attempt(room, `${honest.address}/good/image`);
        assert.equal(error, undefined);
        await hostile;
        assert.deepEqual(await room.images.check({ repair: false }), []);
        assert.deepEqual(room.remains().tmp, []);
      } finally {
        await room.close();
      }
    });

  it("is not refused because of a size that the other one claims", { timeout: 2 * limitMs }, async () => {
    await using honest = await EvilRegistry.start();
    const lying = honest.image.manifest.toString().replace(/"size":(\d{6})/, (_, size) => `"size":${Number(size) + 1}`);
    await using evil = await EvilRegistry.start("silent-blob", { ...honest.image, manifest: Buffer.from(lying) });
    const room = await ImageRoom.open(quick);
    try {
      const hostile = attempt(room, `${evil.address}/evil/image`);
      while (!evil.requests.some(({ kind }) => kind === "blob")) await new Promise((resolve) => setTimeout(resolve, 5));
      const { error } = await attempt(room, `${honest.address}/good/image`);
      assert.equal(error, undefined);
      assert.ok(isEngineError((await hostile).error));
      assert.deepEqual(await room.images.check({ repair: false }), []);
    } finally {
      await room.close();
    }
  });
});

describe("a pull of which one step fails", () => {
  for (const how of ["refused", "reset", "cut"] as const)
    it(`leaves no lock and nothing half, whichever step it is: ${how} (T08)`, { timeout: 3 * limitMs }, async () => {
      // Ping, token, manifest, config, layers.
      await using registry = await EvilRegistry.start("challenge-after-garbage");
      const image = `${registry.address}/evil/image`;
      let failures = 0;
      for (let step = 0, isMet = true; isMet; step++) {
        // A new one knows no tokens.
        const room = await ImageRoom.open(quick);
        try {
          registry.fail(step, how);
          const { error } = await attempt(room, image);
          isMet = registry.requests.length > step;
          if (error !== undefined) {
            failures++;
            assert.ok(isEngineError(error) && error.kind !== "Cancelled", messageOf(error));
            await assertNothingLeft(room);
          }
          registry.fail(-1, how);
          const again = await attempt(room, image);
          assert.equal(again.error, undefined, `after step ${step}`);
          assert.ok(again.tookMs < 5000, `${again.tookMs} ms after step ${step}`);
          await room.images.remove(`${image}:1`, { force: false, noPrune: false });
          await assertNothingLeft(room);
        } finally {
          await room.close();
        }
        assert.ok(isMet || step >= 6, `only ${step} steps`);
      }
      if (how === "refused") assert.ok(failures >= 5, `${failures} failures`);
    });
});
