// Loading image archives of every form into a data root. Needs root and gantry-unpack.

import assert from "node:assert/strict";
import { readFileSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, it } from "node:test";
import { gzipSync, zstdCompressSync } from "node:zlib";
import type { ChainId, Digest } from "../../src/base/digest.ts";
import { OciLayout, configOf, dockerArchive, named, oldDockerArchive, sha256 } from "../support/image-archives.ts";
import { ImageRoom, chunked } from "../support/image-room.ts";
import { directory, file, symlink, tarOf } from "../support/tar.ts";

const base = tarOf(directory("bin/"), file("bin/sh", "shell", { mode: 0o755 }), symlink("lib", "usr/lib"));
const second = tarOf(file("etc/conf", "configured"), file("bin/.wh.sh"));
const config = configOf([base, second]);
const image = { config, layers: [base, second], tags: ["app:1.0", "registry.example:5000/team/app:latest"] };
const compressed = {
  none: [],
  gzip: image.layers.map((layer) => gzipSync(layer)),
  zstd: image.layers.map((layer) => zstdCompressSync(layer)),
} as const;
const idOf = (bytes: Uint8Array): Digest => `sha256:${sha256(bytes)}` as Digest;

let room: ImageRoom;
beforeEach(async () => {
  room = await ImageRoom.open();
});
afterEach(async () => {
  await room.close();
});

/** The image is whole: its layers are there with their content, nothing else is but what was to be kept, and check is content. */
async function assertLoaded(keptBlobs: readonly string[] = []): Promise<void> {
  const resolved = await room.images.resolve("app:1.0", undefined);
  assert.equal(resolved.id, idOf(config));
  assert.deepEqual(resolved.config.config?.Cmd, ["sh"]);
  const prepared = await room.snapshots.prepare("container", resolved.topLayer);
  const { dirs } = prepared;
  assert.equal(dirs.lower.length, 2);
  assert.equal(readFileSync(join(dirs.lower[1] ?? "", "bin/sh"), "utf8"), "shell");
  assert.equal(readFileSync(join(dirs.lower[0] ?? "", "etc/conf"), "utf8"), "configured");
  assert.equal(statSync(join(dirs.lower[0] ?? "", "bin/sh")).isCharacterDevice(), true);
  await prepared.undo();
  assert.deepEqual(room.remains(), { tmp: [], snapshots: ["1", "2"], blobs: [sha256(config), ...keptBlobs].sort() });
  assert.deepEqual(await room.images.check({ repair: false }), []);
}

const loaded = ["Loaded image: app:1.0", "Loaded image: registry.example:5000/team/app:latest"];

describe("docker load", () => {
  it("takes a docker-archive of today", async () => {
    assert.deepEqual(await room.load(dockerArchive([image])), loaded);
    await assertLoaded();
  });
  it("takes a docker-archive of old, with a directory for each layer", async () => {
    assert.deepEqual(await room.load(oldDockerArchive([image])), loaded);
    await assertLoaded();
  });
  it("takes archives compressed with gzip and zstd, also of several frames", async () => {
    const whole = dockerArchive([image]);
    const half = Math.floor(whole.length / 2);
    for (const archive of [
      gzipSync(whole),
      zstdCompressSync(whole),
      Buffer.concat([gzipSync(whole.subarray(0, half)), gzipSync(whole.subarray(half))]),
      Buffer.concat([zstdCompressSync(whole.subarray(0, half)), zstdCompressSync(whole.subarray(half))]),
    ]) {
      assert.deepEqual(await room.load(archive), loaded);
      await assertLoaded();
    }
  });
  it("takes an archive that comes byte by byte", async () => {
    assert.deepEqual(await room.load(dockerArchive([image]), { chunkBytes: 7 }), loaded);
    await assertLoaded();
  });
  for (const compression of ["none", "gzip", "zstd"] as const)
    it(`takes an OCI layout with layers compressed by ${compression}`, async () => {
      const layout = new OciLayout();
      const manifest = layout.image(config, image.layers, { compression });
      const archive = layout.tar([
        { ...manifest, ...named("docker.io/library/app:1.0") },
        { ...manifest, ...named("registry.example:5000/team/app:latest") },
      ]);
      assert.deepEqual(await room.load(archive), loaded);
      // The manifest is kept, and what it says is compressed.
      await assertLoaded([manifest.digest.slice(7), ...compressed[compression].map(sha256)]);
    });
  it("takes attestations and unknown blobs in a layout for what they are", async () => {
    const layout = new OciLayout();
    const manifest = layout.image(config, image.layers, { compression: "gzip" });
    const attestation = layout.blob(Buffer.from('{"schemaVersion":2}'), "application/vnd.oci.image.manifest.v1+json", {
      platform: { os: "unknown", architecture: "unknown" },
    });
    layout.blob(gzipSync("no tar at all".repeat(100)), "application/octet-stream");
    layout.blob(Buffer.from("text"), "text/plain");
    const index = layout.index(
      [{ ...manifest, platform: { os: "linux", architecture: "amd64" } }, attestation],
      named("app:1.0"),
    );
    assert.deepEqual(await room.load(layout.tar([index])), ["Loaded image: app:1.0"]);
    await assertLoaded([manifest.digest.slice(7), ...compressed.gzip.map(sha256)]);
  });

  it("chooses the platform in a nested index: this host's, or the one asked for", async () => {
    const layout = new OciLayout();
    const of = (architecture: string, variant?: string): ReturnType<OciLayout["image"]> => {
      const layer = tarOf(file("arch", architecture));
      return layout.image(configOf([layer], { architecture, variant }), [layer], {
        more: { platform: { os: "linux", architecture, variant } },
      });
    };
    const index = layout.index([of("s390x"), of("arm", "v7"), of(process.arch === "arm64" ? "arm64" : "amd64")]);
    const archive = layout.tar([layout.index([index], named("multi:1"))]);
    const host = process.arch === "arm64" ? "arm64" : "amd64";
    assert.deepEqual(await room.load(archive), ["Loaded image: multi:1"]);
    assert.equal((await room.images.inspect("multi:1")).Architecture, host);
    const first = (await room.images.inspect("multi:1")).Id;
    assert.deepEqual(await room.load(archive, { platform: "linux/arm/v7" }), [
      `The image multi:1 already exists, renaming the old one with ID ${first} to empty string`,
      "Loaded image: multi:1",
    ]);
    assert.deepEqual(
      [(await room.images.inspect("multi:1")).Architecture, (await room.images.inspect("multi:1")).Variant],
      ["arm", "v7"],
    );
    await assert.rejects(room.load(archive, { platform: "linux/riscv64" }), {
      kind: "NotFound",
      message: `the archive has no image for linux/riscv64, only for linux/s390x, linux/arm/v7, linux/${host}`,
    });
    await assert.rejects(room.images.resolve("multi:1", "linux/s390x"), {
      kind: "NotFound",
      message:
        "image with reference multi:1 was found but its platform (linux/arm/v7) does not match the specified platform (linux/s390x)",
    });
  });
  it("says the id of an image without a name", async () => {
    assert.deepEqual(await room.load(dockerArchive([{ ...image, tags: [] }])), [`Loaded image ID: ${idOf(config)}`]);
    assert.deepEqual((await room.images.inspect(idOf(config))).RepoTags, []);
  });
  it("leaves the image that loses its name dangling, and says so", async () => {
    await room.load(dockerArchive([image]));
    const other = configOf([base]);
    const said = await room.load(dockerArchive([{ config: other, layers: [base], tags: ["app:1.0"] }]));
    assert.deepEqual(said, [
      `The image app:1.0 already exists, renaming the old one with ID ${idOf(config)} to empty string`,
      "Loaded image: app:1.0",
    ]);
    assert.deepEqual((await room.images.inspect(idOf(config))).RepoTags, ["registry.example:5000/team/app:latest"]);
  });
  it("shares layers between the images of an archive and between archives", async () => {
    const one = { config: configOf([base]), layers: [base], tags: ["one:1"] };
    assert.deepEqual(await room.load(oldDockerArchive([one, image])), ["Loaded image: one:1", ...loaded]);
    await room.load(dockerArchive([one, image]));
    assert.deepEqual(room.remains().snapshots.length, 2);
    const listed = await room.images.list({ all: false, filters: new Map(), sharedSize: true });
    assert.deepEqual(
      new Set(listed.map(({ SharedSize, Size }) => `${SharedSize} of ${Size}`)),
      new Set(["12 of 12", "12 of 22"]),
    );
  });
  it("makes a layer that repeats in one chain a directory of its own each time", async () => {
    const layers = [base, second, base, second];
    const repeated = { config: configOf(layers), layers, tags: ["twice:1"] };
    await room.load(oldDockerArchive([repeated]));
    const { topLayer } = await room.images.resolve("twice:1", undefined);
    const { dirs } = await room.snapshots.prepare("c", topLayer);
    assert.equal(new Set(dirs.lower).size, 4);
    for (const lower of [dirs.lower[1], dirs.lower[3]])
      assert.equal(readFileSync(join(lower ?? "", "bin/sh"), "utf8"), "shell");
    assert.equal(statSync(join(dirs.lower[0] ?? "", "bin/sh")).isCharacterDevice(), true);
  });
  it("takes an image without layers", async () => {
    await room.load(dockerArchive([{ config: configOf([]), layers: [], tags: ["scratch-like:1"] }]));
    const { topLayer } = await room.images.resolve("scratch-like:1", undefined);
    assert.equal(topLayer, undefined);
    assert.deepEqual((await room.snapshots.prepare("c", topLayer)).dirs.lower, []);
  });
  it("announces each image, with its labels", async () => {
    const labelled = configOf([base], { config: { Labels: { team: "blue" } } });
    await room.load(dockerArchive([{ config: labelled, layers: [base], tags: ["l:1"] }]));
    assert.deepEqual(room.events, [
      { type: "image", action: "load", id: idOf(labelled), attributes: { name: idOf(labelled), team: "blue" } },
    ]);
  });
  it("tells progress of layers unless it is to be quiet", async () => {
    const messages = [];
    for await (const message of room.images.load(
      chunked(dockerArchive([image]), 1000),
      { quiet: false, platform: undefined },
      AbortSignal.timeout(60_000),
    ))
      messages.push(message);
    assert.deepEqual(messages[0], {
      status: "Loading layer",
      id: sha256(base).slice(0, 12),
      progressDetail: { current: base.length, total: base.length },
      progress: `[${"=".repeat(50)}>]  3.072kB/3.072kB`,
    });
  });
  it("survives a restart", async () => {
    await room.load(dockerArchive([image]));
    const before = await room.images.inspect("app:1.0");
    room = await room.reopen();
    assert.deepEqual(await room.images.inspect("app:1.0"), before);
    await assertLoaded();
  });
});

describe("loads at the same time", () => {
  it("share one unpacking of a layer, and each gets its image", async () => {
    const big = tarOf(...Array.from({ length: 200 }, (_, i) => file(`f${i}`, Buffer.alloc(50_000, i))));
    const archives = Array.from({ length: 4 }, (_, i) =>
      dockerArchive([{ config: configOf([big], { author: `a${i}` }), layers: [big], tags: [`img${i}:1`] }]),
    );
    await Promise.all(archives.map((archive) => room.load(archive)));
    assert.deepEqual([room.images.count(), room.remains().snapshots.length, room.remains().tmp], [4, 1, []]);
    assert.deepEqual(await room.images.check({ repair: false }), []);
  });
  it("do not take over what another one got wrong", async () => {
    const bad = Buffer.from(dockerArchive([image]));
    const at = bad.indexOf("shell");
    bad.write("SHELL", at);
    const [wrong, right] = await Promise.allSettled([room.load(bad), room.load(dockerArchive([image]))]);
    assert.equal(wrong.status, "rejected");
    assert.deepEqual(right.status === "fulfilled" ? right.value : right.reason, loaded);
    await assertLoaded();
  });
  it("leave nothing when they are cancelled", async () => {
    const cancel = new AbortController();
    const big = tarOf(file("zeros", Buffer.alloc(8 << 20)));
    const archive = dockerArchive([{ config: configOf([big]), layers: [big], tags: ["big:1"] }]);
    const stream = chunked(archive, 100_000);
    stream.once("data", () => cancel.abort());
    await assert.rejects(
      async () => {
        for await (const _ of room.images.load(stream, { quiet: true, platform: undefined }, cancel.signal));
      },
      { kind: "Cancelled" },
    );
    assert.deepEqual(room.remains(), { tmp: [], snapshots: [], blobs: [] });
  });
});

describe("the snapshotter", () => {
  it("makes a writable layer whose root looks like the image's", async () => {
    const layer = tarOf(directory("./", { mode: 0o711 }), file("x"));
    await room.load(dockerArchive([{ config: configOf([layer]), layers: [layer], tags: ["m:1"] }]));
    const { topLayer } = await room.images.resolve("m:1", undefined);
    const prepared = await room.snapshots.prepare("key", topLayer);
    assert.equal(statSync(prepared.dirs.upper).mode & 0o7777, 0o711);
    assert.deepEqual(readdirSync(prepared.dirs.work), []);
    await room.store.commit(prepared.changes);
    room = await room.reopen();
    assert.deepEqual(room.snapshots.dirs("key"), prepared.dirs);
  });
  it("counts bytes written, each file once, and those of the layers below", async () => {
    await room.load(dockerArchive([image]));
    const { topLayer } = await room.images.resolve("app:1.0", undefined);
    const { dirs } = await room.snapshots.prepare("key", topLayer);
    const { writeFileSync, linkSync, mkdirSync } = await import("node:fs");
    mkdirSync(join(dirs.upper, "d"));
    writeFileSync(join(dirs.upper, "d/a"), "12345");
    linkSync(join(dirs.upper, "d/a"), join(dirs.upper, "b"));
    assert.deepEqual(await room.snapshots.usage("key"), { writableBytes: 5, totalBytes: 5 + 22 });
  });
  it("deletes a writable layer whose paths are longer than the kernel takes", async () => {
    const { execFileSync } = await import("node:child_process");
    const prepared = await room.snapshots.prepare("deep", undefined);
    execFileSync("python3", [
      "-c",
      "import os,sys\nos.chdir(sys.argv[1])\nfor i in range(300):\n os.mkdir('d'*50); os.chdir('d'*50)",
      prepared.dirs.upper,
    ]);
    await prepared.undo();
    assert.deepEqual(room.remains(), { tmp: [], snapshots: [], blobs: [] });
  });
  it("unpacks a layer over another one by their digests", async () => {
    const first = await room.snapshots.unpack(
      undefined,
      `sha256:${sha256(base)}` as never,
      chunked(base, 999),
      AbortSignal.timeout(60_000),
    );
    const top: ChainId = await room.snapshots.unpack(
      first,
      `sha256:${sha256(second)}` as never,
      chunked(second, 999),
      AbortSignal.timeout(60_000),
    );
    assert.equal(top, `sha256:${sha256(`sha256:${sha256(base)} sha256:${sha256(second)}`)}`);
    assert.deepEqual([room.snapshots.layerSize(first), room.snapshots.layerSize(top)], [12, 10]);
    assert.equal(await room.snapshots.collect([top]), 0);
    assert.equal(await room.snapshots.collect([first]), 10);
    assert.deepEqual([room.snapshots.has(first), room.snapshots.has(top)], [true, false]);
  });
  it("keeps everything out of reach of the host's users", async () => {
    await room.load(dockerArchive([image]));
    for (const path of ["snapshots", "tmp", "content"])
      assert.equal(statSync(join(room.dataRoot, path)).mode & 0o777, 0o700, path);
  });
});
