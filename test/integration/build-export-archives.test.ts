// Outputs of builds as archives, directories and tars: their form, that they can be loaded, and that the same image gives the
// same bytes. Needs root.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { type ReadTree, readArchive } from "../support/read-archive.ts";
import { OutputClient, amd64, arm64, exportImages, imageOf, layersOf, output } from "../support/build-outputs.ts";
import { sha256 } from "../support/image-archives.ts";
import { ImageRoom } from "../support/image-room.ts";
import { directory, file, symlink, tarOf } from "../support/tar.ts";

const base = tarOf(directory("bin/"), file("bin/sh", "#!"), file("gone", "x"));
const upper = tarOf(file("a", "hello"), file(".wh.gone", ""), symlink("link", "/etc/passwd"));
const provenance = { predicateType: "https://slsa.dev/provenance/v0.2", predicate: { builder: { id: "" } } };
const sbom = { predicateType: "https://spdx.dev/Document", predicate: { SPDXID: "SPDXRef-DOCUMENT" } };

interface Room extends AsyncDisposable {
  readonly room: ImageRoom;
}

async function openRoom(): Promise<Room> {
  const room = await ImageRoom.open();
  return { room, [Symbol.asyncDispose]: () => room.close() };
}

function json(tree: ReadTree, path: string): Record<string, unknown> {
  return JSON.parse((tree.files.get(path) ?? Buffer.alloc(0)).toString()) as Record<string, unknown>;
}

function blob(tree: ReadTree, digest: string): Record<string, unknown> {
  return json(tree, `blobs/sha256/${digest.slice("sha256:".length)}`);
}

interface Descriptor {
  readonly mediaType: string;
  readonly digest: string;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly platform?: { readonly architecture: string };
}

function manifestsOf(document: Record<string, unknown>): readonly Descriptor[] {
  return document["manifests"] as Descriptor[];
}

describe("archives of a build", () => {
  for (const type of ["docker", "oci"])
    test(`type=${type} is loaded under its names, and the image store has nothing of it before`, async () => {
      await using opened = await openRoom();
      await using other = await openRoom();
      const { room } = opened;
      const layers = await layersOf(room, base, upper);
      const attributes = { name: "app:1,registry.example/app:2" };
      const { client, response, told } = await exportImages(room, [imageOf(layers)], [output(type, attributes)]);
      const archive = client.streams.get(0) ?? Buffer.alloc(0);
      assert.equal(room.images.count(), 0);
      assert.deepEqual(room.remains().blobs, []);
      assert.deepEqual(told.lines, [
        `exporting to ${type} image format`,
        "exporting layers",
        `exporting manifest ${response["containerimage.digest"]}`,
        `exporting config ${response["containerimage.config.digest"]}`,
        "sending tarball",
      ]);
      const tree = readArchive(archive);
      assert.deepEqual(tree.paths, [...tree.paths].sort());
      const index = json(tree, "index.json");
      assert.deepEqual(
        manifestsOf(index).map(({ annotations, digest }) => [digest, annotations]),
        [
          ["docker.io/library/app:1", "1"],
          ["registry.example/app:2", "2"],
        ].map(([name, tag]) => [
          response["containerimage.digest"],
          {
            "io.containerd.image.name": name,
            "org.opencontainers.image.created": "2023-11-14T22:13:20Z",
            "org.opencontainers.image.ref.name": tag,
          },
        ]),
      );
      await other.room.load(archive);
      const inspect = await other.room.images.inspect("app:1");
      assert.equal(inspect.Id, response["containerimage.config.digest"]);
      assert.deepEqual(inspect.RepoTags, ["app:1", "registry.example/app:2"]);
    });

  test("compressions: what is asked for, and the same bytes twice", async () => {
    await using opened = await openRoom();
    const { room } = opened;
    const image = imageOf(await layersOf(room, base, upper));
    const types: unknown[] = [];
    for (const compression of ["gzip", "zstd", "uncompressed"]) {
      const outputs = [0, 1].map((index) => output("oci", { compression, "compression-level": "1" }, index));
      const { client } = await exportImages(room, [image], outputs);
      const [one = Buffer.alloc(0), two] = [client.streams.get(0), client.streams.get(1)];
      assert.deepEqual(one, two);
      const tree = readArchive(one);
      const [child] = manifestsOf(json(tree, "index.json"));
      types.push((blob(tree, child?.digest ?? "")["layers"] as Descriptor[]).map(({ mediaType }) => mediaType));
      await using other = await openRoom();
      await other.room.load(one);
      assert.equal(other.room.images.count(), 1);
    }
    const media = "application/vnd.oci.image.layer.v1.tar";
    assert.deepEqual(types, [
      [`${media}+gzip`, `${media}+gzip`],
      [`${media}+zstd`, `${media}+zstd`],
      [media, media],
    ]);
    assert.deepEqual([room.remains().tmp, room.content.totalBytes()], [[], 0]);
  });

  test("several platforms and attestations are an index, annotated as asked", async () => {
    await using opened = await openRoom();
    const { room } = opened;
    const images = [
      imageOf(await layersOf(room, base), { attestations: [provenance, sbom] }),
      imageOf(await layersOf(room, base, upper), { platform: arm64, attestations: [provenance] }),
    ];
    const attributes = {
      name: "app:1",
      "annotation.a": "1",
      "annotation[linux/arm64].b": "2",
      "annotation-index.c": "3",
      "annotation-manifest-descriptor.d": "4",
      "annotation-index-descriptor.e": "5",
    };
    const { client, response } = await exportImages(room, images, [output("oci", attributes)]);
    const tree = readArchive(client.streams.get(0) ?? Buffer.alloc(0));
    const [root] = manifestsOf(json(tree, "index.json"));
    assert.equal(root?.digest, response["containerimage.digest"]);
    assert.equal(root?.annotations?.["e"], "5");
    const index = blob(tree, root?.digest ?? "");
    const children = manifestsOf(index);
    assert.deepEqual(index["annotations"], { c: "3" });
    assert.deepEqual(
      children.map(({ annotations, platform }) => [platform?.architecture, Object.keys(annotations ?? {})]),
      [
        ["amd64", ["d"]],
        ["arm64", ["d"]],
        ["unknown", ["vnd.docker.reference.digest", "vnd.docker.reference.type"]],
        ["unknown", ["vnd.docker.reference.digest", "vnd.docker.reference.type"]],
      ],
    );
    const [first, second, attested] = children.map(({ digest }) => blob(tree, digest));
    assert.deepEqual([first?.["annotations"], second?.["annotations"]], [{ a: "1" }, { a: "1", b: "2" }]);
    assert.equal(children[2]?.annotations?.["vnd.docker.reference.digest"], children[0]?.digest);
    const statements = ((attested ?? {})["layers"] as Descriptor[]).map(({ digest }) => blob(tree, digest));
    assert.deepEqual(
      statements.map((statement) => [statement["predicateType"], statement["predicate"]]),
      [provenance, sbom].map(({ predicate, predicateType }) => [predicateType, predicate]),
    );
    await using other = await openRoom();
    await other.room.load(client.streams.get(0) ?? Buffer.alloc(0));
    assert.equal((await other.room.images.inspect("app:1")).Architecture, "amd64");
  });

  test("into a directory of the client every blob is written under its digest", async () => {
    await using opened = await openRoom();
    const { room } = opened;
    const image = imageOf(await layersOf(room, base, upper));
    const { client, response } = await exportImages(room, [image], [output("oci", { tar: "false" })]);
    assert.equal(client.blobs.size, 4);
    const descriptor = JSON.parse(
      Buffer.from(response["containerimage.descriptor"] ?? "", "base64").toString(),
    ) as Descriptor;
    assert.ok(client.blobs.has(descriptor.digest));
  });

  test("a client that goes away fails its output and leaves the image store as it was", async () => {
    await using opened = await openRoom();
    const { room } = opened;
    const image = imageOf(await layersOf(room, base, upper));
    const client = new OutputClient();
    client.failure = new Error("no space at the client");
    await assert.rejects(
      exportImages(room, [image], [output("image", { name: "app:1" }, 0), output("oci", {}, 1)], { client }),
      /no space at the client/,
    );
    assert.deepEqual([room.images.count(), room.remains().tmp, room.content.totalBytes()], [0, [], 0]);
  });
});

describe("file systems of a build", () => {
  test("type=local is the merged tree with owners, links and times; type=tar has the same", async () => {
    await using opened = await openRoom();
    const { room } = opened;
    const image = imageOf(await layersOf(room, base, upper));
    const { client, told } = await exportImages(room, [image], [output("local", {}, 0), output("tar", {}, 1)]);
    const lines = (client.directories.get(0) ?? "").split("\n");
    // Without the root, which has the time of the copy.
    assert.deepEqual(
      lines.filter((line) => line !== "" && !line.startsWith(" ")).map((line) => line.replace(/\.0+ .*/, "")),
      [
        "a f 644 0:0 1000000000",
        "bin d 755 0:0 1000000000",
        "bin/sh f 644 0:0 1000000000",
        "link l 777 0:0 1000000000",
        "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824  ./a",
        `${sha256("#!")}  ./bin/sh`,
      ],
    );
    assert.match(lines.join("\n"), /^link l .* \/etc\/passwd$/m);
    const tree = readArchive(client.streams.get(1) ?? Buffer.alloc(0));
    assert.deepEqual(
      tree.paths.filter((path) => path !== "./" && path !== ""),
      ["a", "bin/", "bin/sh", "link"],
    );
    assert.deepEqual(told.lines, [
      "exporting to client directory",
      "copying files",
      "exporting to client tarball",
      "sending tarball",
    ]);
    assert.deepEqual(room.remains().tmp, []);
  });

  test("several platforms stand side by side, with their attestations", async () => {
    await using opened = await openRoom();
    const { room } = opened;
    const images = [amd64, arm64].map((platform) => ({ platform }));
    const built = [];
    for (const { platform } of images)
      built.push(imageOf(await layersOf(room, base), { platform, attestations: [provenance, sbom] }));
    const { client } = await exportImages(room, built, [
      output("local", { "attestation-prefix": "x-" }, 0),
      output("tar", {}, 1),
    ]);
    const names = (client.directories.get(0) ?? "")
      .split("\n")
      .map((line) => line.split(" ")[0] ?? "")
      .filter((name) => name.includes("json"));
    assert.deepEqual(names, [
      "linux_amd64/x-provenance.json",
      "linux_amd64/x-sbom.spdx.json",
      "linux_arm64/x-provenance.json",
      "linux_arm64/x-sbom.spdx.json",
    ]);
    const { paths } = readArchive(client.streams.get(1) ?? Buffer.alloc(0));
    assert.ok(paths.includes("linux_arm64/bin/sh") && paths.includes("linux_amd64/provenance.json"), paths.join());
  });

  test("with an epoch every time is the epoch, and two outputs are the same", async () => {
    await using opened = await openRoom();
    const { room } = opened;
    const now = tarOf({ ...file("new", "x"), mtime: 1_900_000_000, pax: { mtime: "1900000000.123456789" } });
    const image = imageOf(await layersOf(room, base, now), { attestations: [sbom] });
    const plain = { ...image, attestations: [] };
    const epoch = 1_700_000_000;
    const outputs = [output("tar", {}, 0), output("tar", {}, 1), output("local", {}, 2)];
    const { client } = await exportImages(room, [image], outputs, { epoch });
    assert.deepEqual(client.streams.get(0), client.streams.get(1));
    const stripped = await exportImages(room, [plain], [output("tar")], { epoch });
    for (const bytes of [client.streams.get(0), stripped.client.streams.get(0)]) {
      const { times } = readArchive(bytes ?? Buffer.alloc(0));
      assert.deepEqual(
        [...times].filter(([, time]) => time !== epoch),
        [],
      );
    }
    const times = (client.directories.get(2) ?? "").match(/ \d+\.\d+ /g) ?? [];
    assert.deepEqual([...new Set(times)], [" 1700000000.0000000000 "]);
  });

  test("an image without layers is an empty tree", async () => {
    await using opened = await openRoom();
    const { client } = await exportImages(opened.room, [imageOf([])], [output("tar", {}, 0), output("local", {}, 1)]);
    assert.deepEqual([...readArchive(client.streams.get(0) ?? Buffer.alloc(0)).files], []);
    assert.match(client.directories.get(1) ?? "", /^ d 755 [^\n]*\n$/);
  });
});
