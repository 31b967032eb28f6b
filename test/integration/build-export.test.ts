// Outputs of builds into the image store: what is there afterwards, what is told, and what a failure leaves. Needs root.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { amd64, arm64, exportImages, exportersOf, imageOf, layersOf, output } from "../support/build-outputs.ts";
import { ImageRoom } from "../support/image-room.ts";
import { directory, file, tarOf } from "../support/tar.ts";

const base = tarOf(directory("bin/"), file("bin/sh", "#!"));
const upper = tarOf(file("a", "hello"));

describe("a build into the image store", () => {
  test("is one commit: the image has its layers, names and config, and nothing is compressed", async () => {
    await using stack = new AsyncDisposableStack();
    const room = await ImageRoom.open();
    stack.defer(() => room.close());
    const layers = await layersOf(room, base, upper);
    const { response, imageIds, told } = await exportImages(
      room,
      [imageOf(layers)],
      [output("moby", { name: "app:1,registry.example/team/app" })],
    );
    const [id] = imageIds;
    assert.deepEqual(response, {
      "containerimage.config.digest": id,
      "containerimage.digest": id,
      "image.name": "docker.io/library/app:1,registry.example/team/app:latest",
    });
    assert.deepEqual(told.lines, [
      "exporting to image",
      "exporting layers",
      `writing image ${id}`,
      "naming to docker.io/library/app:1",
      "naming to registry.example/team/app:latest",
    ]);
    const inspect = await room.images.inspect("app:1");
    assert.deepEqual(
      [inspect.Id, inspect.RepoTags, inspect.RepoDigests, inspect.RootFS?.Layers, inspect.Config?.Labels],
      [id, ["app:1", "registry.example/team/app:latest"], [], layers, { made: "by a test" }],
    );
    // The config alone.
    assert.equal(room.remains().blobs.length, 1);
    assert.deepEqual(await room.images.check({ repair: false }), []);
    assert.deepEqual(
      room.events.map(({ action, attributes }) => [action, attributes["name"]]),
      [
        ["tag", "app:1"],
        ["tag", "registry.example/team/app:latest"],
        ["create", id],
      ],
    );
    const again = await exportImages(room, [imageOf(layers)], [output("image", { name: "other" })]);
    assert.deepEqual(again.imageIds, [id]);
  });

  test("an image without a name is there by its id, and one that is not to be stored is not", async () => {
    await using stack = new AsyncDisposableStack();
    const room = await ImageRoom.open();
    stack.defer(() => room.close());
    const layers = await layersOf(room, base);
    const hidden = await exportImages(
      room,
      [imageOf(layers)],
      [output("image", { store: "false" }), output("cacheonly")],
    );
    assert.deepEqual([hidden.imageIds, room.images.count()], [[], 0]);
    const { imageIds } = await exportImages(room, [imageOf(layers)], [output("image")]);
    assert.equal((await room.images.inspect(imageIds[0] ?? "")).RepoTags?.length, 0);
  });

  test("what cannot be made is refused before the build, by name", async () => {
    await using stack = new AsyncDisposableStack();
    const room = await ImageRoom.open();
    stack.defer(() => room.close());
    const exporters = exportersOf(room);
    const refused = (type: string, attributes: Record<string, string>, platforms = [amd64]): string => {
      try {
        exporters.validate([output(type, attributes)], platforms);
      } catch (error) {
        return (error as Error).message;
      }
      return "";
    };
    const both = [amd64, arm64];
    assert.deepEqual(
      [
        refused("bogus", {}),
        refused("image", { name: "x", foo: "bar" }),
        refused("local", { name: "x" }),
        refused("image", { name: "B?D" }),
        refused("image", { push: "true" }),
        refused("image", { compression: "foo" }),
        refused("oci", { compression: "estargz" }),
        refused("image", { "annotation-foo.x": "1" }),
        refused("image", { push: "perhaps" }),
        refused("docker", {}, both),
        refused("image", { name: "x" }, both),
        refused("image", { name: "x", push: "true" }, both),
        refused("oci", {}, both),
      ],
      [
        'exporter "bogus" could not be found',
        'unknown attribute "foo" of exporter image',
        'unknown attribute "name" of exporter local',
        "invalid reference format: repository name (library/B?D) must be lowercase",
        "can't push an image without a name: tag is needed when pushing to registry",
        "unsupported compression type foo",
        "compression=estargz is not supported; use gzip, zstd or uncompressed",
        "unrecognized annotation type foo",
        'non-bool value "perhaps" specified for push',
        "docker exporter does not support exporting manifest lists, use the oci exporter instead",
        "the image store holds one platform under a name: send images of several platforms to a registry with --push, " +
          "or into an archive with --output type=oci,dest=FILE",
        "",
        "",
      ],
    );
  });

  test("times belong to the build: an output can neither choose others nor rewrite them", async () => {
    await using stack = new AsyncDisposableStack();
    const room = await ImageRoom.open();
    stack.defer(() => room.close());
    const image = imageOf(await layersOf(room, base));
    const run = (attributes: Record<string, string>, epoch?: number) =>
      exportImages(room, [image], [output("image", attributes)], epoch === undefined ? {} : { epoch });
    await assert.rejects(run({ "source-date-epoch": "2" }, 1), /set the build argument SOURCE_DATE_EPOCH/);
    await assert.rejects(run({ "rewrite-timestamp": "true" }), /rewrite-timestamp needs the build argument/);
    assert.equal(room.images.count(), 0);
    await run({ "source-date-epoch": "1", "rewrite-timestamp": "true" }, 1);
    assert.equal(room.images.count(), 1);
  });

  test("attestations that were asked for are told not to be in the image", async () => {
    await using stack = new AsyncDisposableStack();
    const room = await ImageRoom.open();
    stack.defer(() => room.close());
    const attestations = [{ predicateType: "https://slsa.dev/provenance/v0.2", predicate: {} }];
    const image = imageOf(await layersOf(room, base), { attestations });
    const { told } = await exportImages(room, [image], [output("image", { name: "x" })]);
    assert.deepEqual(told.warnings, [
      "attestations are recorded with the build, not attached to an image in the image store",
    ]);
  });

  test("a layer that is gone makes no image", async () => {
    await using stack = new AsyncDisposableStack();
    const room = await ImageRoom.open();
    stack.defer(() => room.close());
    const layers = await layersOf(room, base);
    await room.snapshots.collect([]);
    await assert.rejects(exportImages(room, [imageOf(layers)], [output("image", { name: "x" })]), { kind: "DataLoss" });
    assert.equal(room.images.count(), 0);
    assert.deepEqual(room.remains().blobs, []);
  });
});
