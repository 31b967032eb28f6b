// Outputs of builds into registries, ours and Debian's docker-registry: what is there afterwards, that it can be pulled, and
// that a push that fails leaves the image store as it was. Needs root and the package docker-registry.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { hostArchitecture } from "../../src/spec/oci/platform.ts";
import { amd64, arm64, exportImages, imageOf, layersOf, output } from "../support/build-outputs.ts";
import { ImageRoom } from "../support/image-room.ts";
import { OwnRegistry, call, indexType, manifestType } from "../support/own-registry.ts";
import { TestRegistry } from "../support/registry.ts";
import { directory, file, tarOf } from "../support/tar.ts";

const base = tarOf(directory("bin/"), file("bin/sh", "#!"));
const upper = tarOf(file("a", "hello"));
const provenance = { predicateType: "https://slsa.dev/provenance/v0.2", predicate: { builder: { id: "" } } };
const dockerType = "application/vnd.docker.distribution.manifest.v2+json";

interface Registry {
  readonly address: string;
  readonly url: string;
}

async function pull(room: ImageRoom, name: string, tag: string, platform?: string): Promise<void> {
  const request = { image: name, tag, platform, credentials: undefined };
  for await (const message of room.images.pull(request, AbortSignal.timeout(30_000)))
    assert.equal(message.error, undefined, JSON.stringify(message));
}

async function manifest(
  registry: Registry,
  repository: string,
  reference: string,
): Promise<{ readonly status: number; readonly type: string; readonly document: Record<string, unknown> }> {
  const accept = [indexType, manifestType, dockerType].join(", ");
  const answer = await call(`${registry.url}/v2/${repository}/manifests/${reference}`, { headers: { accept } });
  return {
    status: answer.status,
    type: String(answer.headers["content-type"]),
    document: JSON.parse(answer.body.toString()) as Record<string, unknown>,
  };
}

async function startDebian(): Promise<Registry & AsyncDisposable> {
  const registry = await TestRegistry.start();
  return {
    address: registry.address,
    url: `http://${registry.address}`,
    [Symbol.asyncDispose]: () => registry[Symbol.asyncDispose](),
  };
}

for (const [kind, start] of [
  ["our registry", () => OwnRegistry.start()],
  ["docker-registry", startDebian],
] as const)
  describe(`a build pushed to ${kind}`, () => {
    test("one platform: a Docker manifest, kept with the image; the push comes before the name", async () => {
      await using registry = await start();
      await using stack = new AsyncDisposableStack();
      const room = await ImageRoom.open();
      stack.defer(() => room.close());
      const name = `${registry.address}/team/app`;
      const image = imageOf(await layersOf(room, base, upper));
      const { response, imageIds, told, client } = await exportImages(
        room,
        [image],
        [output("image", { name: `${name}:1`, push: "true" })],
      );
      const digest = response["containerimage.digest"] ?? "";
      assert.deepEqual(client.asked, [registry.address]);
      assert.deepEqual(told.lines.slice(-4), [
        "pushing layers",
        `pushing manifest for ${name}:1@${digest}`,
        `writing image ${imageIds[0]}`,
        `naming to ${name}:1`,
      ]);
      const there = await manifest(registry, "team/app", "1");
      assert.deepEqual([there.status, there.type], [200, dockerType]);
      const inspect = await room.images.inspect(`${name}:1`);
      assert.deepEqual(inspect.RepoDigests, [`${name}@${digest}`]);
      assert.deepEqual(await room.images.check({ repair: false }), []);
      const other = await ImageRoom.open();
      stack.defer(() => other.close());
      await pull(other, name, "1");
      assert.equal((await other.images.inspect(`${name}:1`)).Id, imageIds[0]);
    });

    test("several platforms and attestations: an index, of which each platform can be pulled", async () => {
      await using registry = await start();
      await using stack = new AsyncDisposableStack();
      const room = await ImageRoom.open();
      stack.defer(() => room.close());
      const name = `${registry.address}/team/app`;
      const images = [
        imageOf(await layersOf(room, base), { platform: amd64, attestations: [provenance] }),
        imageOf(await layersOf(room, base, upper), { platform: arm64, attestations: [provenance] }),
      ];
      const attributes = { name: `${name}:1`, "annotation-index.a": "b", compression: "zstd" };
      const { response, imageIds } = await exportImages(room, images, [output("registry", attributes)]);
      // The one for this host has the name here as well.
      const own = await room.images.inspect(`${name}:1`);
      assert.deepEqual([imageIds, room.images.count(), own.Architecture], [[own.Id], 1, hostArchitecture()]);
      // The other platform's layer is nobody's here: in a build, its cache keeps it.
      const findings = await room.images.check({ repair: false });
      assert.deepEqual(
        findings.map(({ subject }) => subject.split(" ", 1)[0]),
        ["layer"],
      );
      const { document, type } = await manifest(registry, "team/app", "1");
      assert.deepEqual([type, document["annotations"]], [indexType, { a: "b" }]);
      assert.equal((document["manifests"] as unknown[]).length, 4);
      for (const architecture of ["amd64", "arm64"]) {
        const other = await ImageRoom.open();
        stack.defer(() => other.close());
        await pull(other, name, "1", `linux/${architecture}`);
        const inspect = await other.images.inspect(`${name}:1`);
        assert.equal(inspect.Architecture, architecture);
        assert.deepEqual(inspect.RepoDigests, [`${name}@${response["containerimage.digest"]}`]);
      }
    });

    test("by digest alone there is no tag", async () => {
      await using registry = await start();
      await using stack = new AsyncDisposableStack();
      const room = await ImageRoom.open();
      stack.defer(() => room.close());
      const name = `${registry.address}/team/app`;
      const image = imageOf(await layersOf(room, base));
      const attributes = { name, "push-by-digest": "true" };
      const { response } = await exportImages(room, [image], [output("image", attributes)]);
      assert.equal((await manifest(registry, "team/app", response["containerimage.digest"] ?? "")).status, 200);
      assert.equal((await manifest(registry, "team/app", "latest")).status, 404);
    });
  });

describe("a build pushed", () => {
  test("with an attestation is an index under the image's name, and the store has its digest", async () => {
    await using registry = await OwnRegistry.start();
    await using stack = new AsyncDisposableStack();
    const room = await ImageRoom.open();
    stack.defer(() => room.close());
    const name = `${registry.address}/team/app`;
    const image = imageOf(await layersOf(room, base), { attestations: [provenance] });
    const { response } = await exportImages(room, [image], [output("registry", { name })]);
    const digest = response["containerimage.digest"] ?? "";
    assert.equal((await manifest(registry, "team/app", "latest")).type, indexType);
    assert.deepEqual((await room.images.inspect(name)).RepoDigests, [`${name}@${digest}`]);
    assert.deepEqual(await room.images.check({ repair: false }), []);
    await room.images.remove(name, { force: false, noPrune: false });
    await room.images.remove(`${name}@${digest}`, { force: false, noPrune: false }).catch(() => undefined);
    assert.deepEqual([room.images.count(), room.remains().blobs], [0, []]);
  });

  test("to a registry that is not there names it, and leaves the image store as it was", async () => {
    await using stack = new AsyncDisposableStack();
    const room = await ImageRoom.open({ retryDelayScale: 0 });
    stack.defer(() => room.close());
    const image = imageOf(await layersOf(room, base));
    const attributes = { name: "127.0.0.1:1/app", push: "true" };
    await assert.rejects(exportImages(room, [image], [output("image", attributes)]), {
      message: /^failed to push 127\.0\.0\.1:1\/app:latest: /,
    });
    assert.deepEqual([room.images.count(), room.content.totalBytes(), room.remains().tmp], [0, 0, []]);
  });

  test("what was annotated without a push is pushed with its annotations later", async () => {
    await using registry = await OwnRegistry.start();
    await using stack = new AsyncDisposableStack();
    const room = await ImageRoom.open();
    stack.defer(() => room.close());
    const name = `${registry.address}/app`;
    const image = imageOf(await layersOf(room, base));
    await exportImages(room, [image], [output("image", { name, "annotation.a": "b" })]);
    const request = { name, tag: "latest", credentials: undefined } as Parameters<typeof room.images.push>[0];
    for await (const message of room.images.push(request, AbortSignal.timeout(30_000)))
      assert.equal(message.error, undefined);
    assert.deepEqual((await manifest(registry, "app", "latest")).document["annotations"], { a: "b" });
  });
});
