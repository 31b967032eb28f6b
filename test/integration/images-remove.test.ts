// Tagging, listing, deleting, importing and checking images on a data root. Needs root and gantry-unpack.

import assert from "node:assert/strict";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, it } from "node:test";
import type { Readable } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import { gzipSync } from "node:zlib";
import { type Digest, chainIdsOf, parseDigest } from "../../src/base/digest.ts";
import { type ManifestRecord, manifestRow } from "../../src/engine/images/records.ts";
import { configOf, dockerArchive, sha256 } from "../support/image-archives.ts";
import { ImageRoom, chunked } from "../support/image-room.ts";
import { file, tarOf } from "../support/tar.ts";

const base = tarOf(file("base", "12345678"));
const top = tarOf(file("top", "1234"));
const config = configOf([base, top]);
const id = `sha256:${sha256(config)}`;
const short = sha256(config).slice(0, 12);
const chain = chainIdsOf([`sha256:${sha256(base)}`, `sha256:${sha256(top)}`] as never);
const container = "0123456789ab".padEnd(64, "f");

async function readAll(stream: Readable): Promise<Buffer> {
  return Buffer.concat(await stream.toArray());
}

async function eventually(holds: () => boolean): Promise<void> {
  const deadline = performance.now() + 60_000;
  while (!holds()) {
    assert.ok(performance.now() < deadline, "it did not come true");
    await sleep(10);
  }
}

let room: ImageRoom;
beforeEach(async () => {
  room = await ImageRoom.open();
  await room.load(dockerArchive([{ config, layers: [base, top], tags: ["app:1"] }]));
  room.events.length = 0;
});
afterEach(async () => {
  await room.close();
});

const remove = (name: string, force = false): ReturnType<ImageRoom["images"]["remove"]> =>
  room.images.remove(name, { force, noPrune: false });
const deleted = [{ Deleted: id }, { Deleted: chain[1] }, { Deleted: chain[0] }];

describe("docker rmi", () => {
  it("deletes the image and its layers with the last name", async () => {
    assert.deepEqual(await remove("app:1"), [{ Untagged: "app:1" }, ...deleted]);
    assert.deepEqual(
      room.events.map(({ action, attributes }) => [action, attributes["name"]]),
      [
        ["untag", id],
        ["delete", id],
      ],
    );
    assert.deepEqual(room.remains(), { tmp: [], snapshots: [], blobs: [] });
    await assert.rejects(remove("app:1"), { kind: "NotFound", message: "No such image: app:1" });
    room = await room.reopen();
    assert.equal(room.images.count(), 0);
  });
  it("only untags while there are other names", async () => {
    await room.images.tag("app:1", "other", "");
    assert.deepEqual(await remove("app:1"), [{ Untagged: "app:1" }]);
    assert.deepEqual(await remove("other"), [{ Untagged: "other:latest" }, ...deleted]);
  });
  it("deletes by id and by its prefix, names included", async () => {
    assert.deepEqual(await remove(short), [{ Untagged: "app:1" }, ...deleted]);
  });
  it("keeps layers that another image needs", async () => {
    await room.load(dockerArchive([{ config: configOf([base]), layers: [base], tags: ["base:1"] }]));
    assert.deepEqual(await remove("app:1"), [{ Untagged: "app:1" }, { Deleted: id }, { Deleted: chain[1] }]);
    assert.deepEqual(room.remains().snapshots, ["1"]);
  });
  it("refuses an id with names in several repositories, unless forced", async () => {
    await room.images.tag("app:1", "other", "x");
    await assert.rejects(remove(id), {
      kind: "Conflict",
      message: `conflict: unable to delete ${short} (must be forced) - image is referenced in multiple repositories`,
    });
    assert.deepEqual(await remove(id, true), [{ Untagged: "app:1" }, { Untagged: "other:x" }, ...deleted]);
  });
  it("refuses what a running container uses, forced or not; a name is taken away by force", async () => {
    room.containers.push({ id: container, running: true });
    const message = `conflict: unable to delete ${short} (cannot be forced) - image is being used by running container 0123456789ab`;
    await assert.rejects(remove(short), { kind: "Conflict", message });
    await assert.rejects(remove(short, true), { kind: "Conflict", message });
    await assert.rejects(remove("app:1"), {
      kind: "Conflict",
      message: `conflict: unable to remove repository reference "app:1" (must force) - container 0123456789ab is using its referenced image ${short}`,
    });
    assert.deepEqual(await remove("app:1", true), [{ Untagged: "app:1" }]);
    assert.deepEqual((await room.images.inspect(id)).RepoTags, []);
  });
  it("refuses what a stopped container uses unless forced, and keeps the layers under it", async () => {
    room.containers.push({ id: container, running: false });
    const { changes, dirs } = await room.snapshots.prepare(container, chain[1]);
    await room.store.commit(changes);
    await assert.rejects(remove(short), {
      kind: "Conflict",
      message: `conflict: unable to delete ${short} (must be forced) - image is being used by stopped container 0123456789ab`,
    });
    assert.deepEqual(await remove(short, true), [{ Untagged: "app:1" }, { Deleted: id }]);
    assert.equal(readFileSync(join(dirs.lower[0] ?? "", "top"), "utf8"), "1234");
    const removal = room.snapshots.removal(container);
    await room.store.commit(removal.changes);
    await removal.discard();
    assert.deepEqual(room.remains(), { tmp: [], snapshots: [], blobs: [] });
  });
  it("waits for a container that is being made of the image, and then refuses", async () => {
    const hold = room.images.hold(id as never);
    const removing = remove("app:1");
    removing.catch(() => undefined);
    await new Promise((resolve) => setTimeout(resolve, 50));
    assert.equal(room.images.count(), 1);
    room.containers.push({ id: container, running: false });
    hold[Symbol.dispose]();
    await assert.rejects(removing, { kind: "Conflict" });
  });
});

/** Blobs and a manifest for an image, as a pull brings them; the room is opened again with them. */
async function addManifest(
  imageId: string,
  layers: readonly string[],
  more: Partial<ManifestRecord> = {},
): Promise<string> {
  const manifest = Buffer.from(JSON.stringify({ layers, more }));
  const written = await Promise.all(
    [manifest, ...layers.map((layer) => Buffer.from(layer))].map((bytes) => room.content.write(bytes, "x")),
  );
  const [first, ...others] = written.map((blob) => blob.digest);
  await room.store.commit([
    ...written.flatMap((blob) => blob.changes),
    manifestRow({
      digest: first as Digest,
      imageId: parseDigest(imageId),
      mediaType: "application/vnd.oci.image.manifest.v1+json",
      sizeBytes: manifest.length,
      index: undefined,
      layers: others.map((digest) => ({ digest, mediaType: "x", sizeBytes: 1 })),
      ...more,
    }),
  ]);
  room = await room.reopen();
  return (first as Digest).slice("sha256:".length);
}

describe("what goes with an image", () => {
  const other = configOf([base]);
  const otherId = `sha256:${sha256(other)}`;
  beforeEach(async () => {
    await room.load(dockerArchive([{ config: other, layers: [base], tags: ["base:1"] }]));
  });
  it("are its manifests and the blobs that no other image needs", async () => {
    await addManifest(id, ["shared", "own"]);
    const kept = await addManifest(otherId, ["shared"]);
    assert.equal(room.remains().blobs.length, 6);
    await remove("app:1");
    assert.deepEqual(room.remains().blobs, [kept, sha256("shared"), sha256(other)].sort());
    assert.deepEqual(await room.store.load("blobs").then((rows) => rows.length), 3);
    assert.deepEqual(await room.store.load("manifests").then((rows) => rows.length), 1);
    assert.deepEqual(await room.images.check({ repair: false }), []);
    await remove("base:1");
    assert.deepEqual(room.remains(), { tmp: [], snapshots: [], blobs: [] });
    assert.deepEqual(await room.store.load("manifests"), []);
  });
  it("are parents without a name, unless noprune; a parent with a child stays", async () => {
    const setParent = async (): Promise<void> => {
      await room.store.commit([{ put: "images", row: { id, doc: JSON.stringify({ parent: otherId }) } }]);
      room = await room.reopen();
    };
    await setParent();
    assert.equal((await room.images.inspect(id)).Parent, otherId);
    const refused = {
      kind: "Conflict",
      message: `conflict: unable to delete ${sha256(other).slice(0, 12)} (cannot be forced) - image has dependent child images`,
    };
    await assert.rejects(remove(otherId), refused);
    await assert.rejects(remove(otherId, true), refused);
    assert.deepEqual(await remove("base:1"), [{ Untagged: "base:1" }]);
    const listed = async (all: boolean): Promise<unknown> =>
      (await room.images.list({ all, filters: new Map(), sharedSize: false })).map(({ Id, ParentId }) => [
        Id,
        ParentId,
      ]);
    assert.deepEqual(await listed(false), [[id, otherId]]);
    assert.deepEqual(((await listed(true)) as unknown[]).length, 2);
    assert.deepEqual(await room.images.remove("app:1", { force: false, noPrune: true }), [
      { Untagged: "app:1" },
      { Deleted: id },
      { Deleted: chain[1] },
    ]);
    assert.deepEqual(await remove(otherId), [{ Deleted: otherId }, { Deleted: chain[0] }]);

    await room.load(dockerArchive([{ config: other, layers: [base], tags: [] }]));
    await room.load(dockerArchive([{ config, layers: [base, top], tags: ["app:1"] }]));
    await setParent();
    assert.deepEqual(await remove("app:1"), [
      { Untagged: "app:1" },
      { Deleted: id },
      { Deleted: chain[1] },
      { Deleted: otherId },
      { Deleted: chain[0] },
    ]);
    assert.deepEqual(room.remains(), { tmp: [], snapshots: [], blobs: [] });
  });
  it("waits on disk while the image is being saved; the save is whole, and then it goes", async () => {
    const archive = await room.images.save(["app:1"], undefined, AbortSignal.timeout(60_000));
    assert.deepEqual(await remove("app:1"), [{ Untagged: "app:1" }, { Deleted: id }]);
    await assert.rejects(room.images.inspect(id), { kind: "NotFound" });
    const bytes = await readAll(archive);
    for (const layer of [base, top]) assert.ok(bytes.includes(layer), "a layer is missing in the archive");
    await eventually(() => room.remains().snapshots.length === 1 && room.remains().blobs.length === 1);
    assert.deepEqual(room.remains().blobs, [sha256(other)]);
    assert.deepEqual(await room.images.check({ repair: false }), []);
  });
  it("goes at the next start when the engine is killed in the middle of such a save", async () => {
    await addManifest(id, ["own"]);
    const archive = await room.images.save(["app:1"], undefined, AbortSignal.timeout(60_000));
    await remove("app:1");
    assert.equal(room.remains().snapshots.length, 2);
    room = await room.reopen();
    assert.deepEqual([room.remains().snapshots.length, room.remains().blobs], [1, [sha256(other)]]);
    assert.deepEqual(await room.images.check({ repair: false }), []);
    archive.destroy();
  });
});

describe("docker tag", () => {
  it("names an image by name, id or prefix, moves a name, and tells", async () => {
    await room.images.tag(short, "registry:5000/a/b", "v1");
    assert.deepEqual((await room.images.inspect(id)).RepoTags, ["app:1", "registry:5000/a/b:v1"]);
    assert.deepEqual(
      room.events.map(({ action, attributes }) => [action, attributes["name"]]),
      [["tag", "registry:5000/a/b:v1"]],
    );
    room = await room.reopen();
    assert.deepEqual((await room.images.inspect("registry:5000/a/b:v1")).Id, id);
  });
  for (const [repository, tag, message] of [
    ["Foo", "x", "invalid reference format: repository name (library/Foo) must be lowercase"],
    ["foo", "x y", "invalid tag format"],
    ["foo//bar", "", "invalid reference format"],
    [`foo@sha256:${"0".repeat(64)}`, "", "cannot import digest reference"],
    ["sha256", "x", "refusing to create an ambiguous tag using digest algorithm as name"],
    ["a".repeat(64), "", `invalid repository name (${"a".repeat(64)}), cannot specify 64-byte hexadecimal strings`],
  ] as const)
    it(`refuses ${repository.slice(0, 20)}:${tag}`, async () => {
      await assert.rejects(room.images.tag("app:1", repository, tag), { kind: "InvalidParameter", message });
    });
});

describe("docker images", () => {
  const list = async (filters: Readonly<Record<string, readonly string[]>>): Promise<string[]> =>
    (await room.images.list({ all: false, filters: new Map(Object.entries(filters)), sharedSize: false })).map(
      ({ Id, RepoTags }) => RepoTags?.[0] ?? Id ?? "",
    );
  it("filters by label, reference, dangling, before, since and until; newest first", async () => {
    const newer = configOf([base], { created: "2021-01-01T00:00:00Z", config: { Labels: { a: "b", c: "" } } });
    const nameless = configOf([top], { created: "2019-01-01T00:00:00Z" });
    await room.load(
      dockerArchive([
        { config: newer, layers: [base], tags: ["team/newer:2", "x.y/z:3"] },
        { config: nameless, layers: [top], tags: [] },
      ]),
    );
    const namelessId = `sha256:${sha256(nameless)}`;
    const cases: readonly (readonly [Record<string, string[]>, readonly string[]])[] = [
      [{}, ["team/newer:2", "app:1", namelessId]],
      [{ dangling: ["true"] }, [namelessId]],
      [{ dangling: ["0"] }, ["team/newer:2", "app:1"]],
      [{ label: ["a"] }, ["team/newer:2"]],
      [{ label: ["a=b", "c="] }, ["team/newer:2"]],
      [{ label: ["a=c"] }, []],
      [{ before: ["app:1"] }, [namelessId]],
      [{ since: ["app:1"] }, ["team/newer:2"]],
      [{ until: ["2020-06-01"] }, ["app:1", namelessId]],
      [{ until: ["1577934246"] }, ["app:1", namelessId]],
      [{ until: ["24h"] }, ["team/newer:2", "app:1", namelessId]],
      [{ reference: ["app"] }, ["app:1"]],
      [{ reference: ["*:1"] }, ["app:1"]],
      [{ reference: ["*/*"] }, ["team/newer:2"]],
      [{ reference: ["x.y/z:[0-9]"] }, ["x.y/z:3"]],
      [{ reference: ["a?p", "nothing"] }, ["app:1"]],
    ];
    for (const [filters, expected] of cases) assert.deepEqual(await list(filters), expected, JSON.stringify(filters));
  });
  it("refuses unknown filters and values", async () => {
    await assert.rejects(list({ foo: ["a"] }), { kind: "InvalidParameter", message: "invalid filter 'foo'" });
    await assert.rejects(list({ "label!": ["a"] }), { kind: "InvalidParameter", message: "invalid filter 'label!'" });
    await assert.rejects(list({ dangling: ["a"] }), {
      kind: "InvalidParameter",
      message: "invalid filter 'dangling=[a]'",
    });
    await assert.rejects(list({ before: ["nope"] }), { kind: "NotFound", message: "No such image: nope:latest" });
    await assert.rejects(list({ until: ["nope"] }), {
      kind: "InvalidParameter",
      message: 'failed to parse value as time or duration: "nope"',
    });
  });
});

describe("docker import", () => {
  const run = async (
    archive: Uint8Array,
    options: Partial<Parameters<ImageRoom["images"]["import"]>[1]> = {},
  ): Promise<string> => {
    const all = { reference: undefined, message: "", changes: [], platform: undefined, ...options };
    let status = "";
    for await (const message of room.images.import(chunked(archive, 1000), all, AbortSignal.timeout(60_000)))
      status = message.status ?? status;
    return status;
  };
  it("makes an image of one layer, with changes, message and platform", async () => {
    const status = await run(gzipSync(tarOf(file("etc/passwd", "root"))), {
      reference: "mine:7",
      message: "hello",
      changes: ['CMD ["a"]', "ENV X=1 Y=$X\nWORKDIR /w"],
      platform: "linux/arm64/v8",
    });
    const inspected = await room.images.inspect("mine:7");
    assert.equal(inspected.Id, status);
    assert.deepEqual(
      [inspected.Comment, inspected.Architecture, inspected.Variant, inspected.Size],
      ["hello", "arm64", "v8", 4],
    );
    assert.deepEqual(
      [inspected.Config?.Cmd, inspected.Config?.Env, inspected.Config?.WorkingDir],
      [["a"], ["X=1", "Y="], "/w"],
    );
    assert.deepEqual(
      (await room.images.history("mine:7")).map(({ Id, Comment, Size, Tags }) => ({ Id, Comment, Size, Tags })),
      [{ Id: status, Comment: "hello", Size: 4, Tags: ["mine:7"] }],
    );
    assert.deepEqual(
      room.events.map(({ action }) => action),
      ["tag", "import"],
    );
  });
  it("refuses bad arguments before it reads, and bad archives without leaving anything", async () => {
    const before = room.remains();
    await assert.rejects(run(base, { reference: "Foo" }), {
      kind: "InvalidParameter",
      message: "invalid reference format: repository name (library/Foo) must be lowercase",
    });
    await assert.rejects(run(base, { changes: ["RUN x"] }), {
      kind: "InvalidParameter",
      message: "RUN is not a valid change command",
    });
    await assert.rejects(run(base, { platform: "windows/amd64" }), {
      kind: "InvalidParameter",
      message: "operating system is not supported",
    });
    await assert.rejects(run(Buffer.from("hello")), { kind: "InvalidParameter", message: /unexpected EOF/ });
    await assert.rejects(run(tarOf(file("../x"))), { kind: "InvalidParameter" });
    assert.deepEqual(room.remains(), before);
  });
});

describe("the image that comes with the engine", () => {
  it("is loaded once in the life of a data root", async () => {
    const path = join(room.dataRoot, "embedded.tar");
    writeFileSync(path, dockerArchive([{ config: configOf([base]), layers: [base], tags: ["busybox:latest"] }]));
    assert.equal(await room.images.loadEmbedded(path, AbortSignal.timeout(60_000)), true);
    await remove("busybox");
    room = await room.reopen();
    assert.equal(await room.images.loadEmbedded(path, AbortSignal.timeout(60_000)), false);
    assert.equal(room.images.count(), 1);
  });
});

describe("check", () => {
  it("finds manifests without their bytes or their image and repairs them; layers that were never fetched are none", async () => {
    const hex = await addManifest(id, [], {
      layers: [{ digest: parseDigest(`sha256:${"9".repeat(64)}`), mediaType: "x", sizeBytes: 7 }],
    });
    assert.deepEqual(await subjects(false), []);
    await room.store.commit([{ delete: "blobs", key: `sha256:${hex}` }]);
    room = await room.reopen();
    const expected = `F10 manifest: its bytes are gone (blob sha256:${hex}); push or pull the image again`;
    assert.deepEqual(await subjects(false), [expected]);
    assert.deepEqual(await subjects(true), [`${expected} (repaired)`]);
    assert.deepEqual(await subjects(false), []);
    assert.deepEqual(await room.store.load("manifests"), []);
  });

  const subjects = async (repair: boolean): Promise<string[]> =>
    (await room.images.check({ repair })).map(
      ({ invariant, subject, detail, repaired }) =>
        `${invariant} ${subject.split(" ")[0]}: ${detail}${repaired ? " (repaired)" : ""}`,
    );
  it("finds garbage on disk and repairs it", async () => {
    mkdirSync(join(room.dataRoot, "snapshots/99/fs"), { recursive: true });
    writeFileSync(join(room.dataRoot, "content/blobs/sha256", "1".repeat(64)), "x");
    const expected = ["F14 directory: no row names it", "F10 file: no row names it"];
    assert.deepEqual(await subjects(false), expected);
    assert.deepEqual(
      await subjects(true),
      expected.map((line) => `${line} (repaired)`),
    );
    assert.deepEqual(await subjects(false), []);
  });
  it("finds layers and blobs that nobody needs and repairs them", async () => {
    const spare = tarOf(file("spare", "x"));
    await room.snapshots.unpack(
      undefined,
      `sha256:${sha256(spare)}` as never,
      chunked(spare, 512),
      AbortSignal.timeout(60_000),
    );
    const blob = await room.content.write(Buffer.from("{}"), "text/plain");
    await room.store.commit(blob.changes);
    blob.committed();
    const expected = ["F10 layer: no image and no container needs it", "F10 blob: no image needs it"];
    assert.deepEqual(
      await subjects(true),
      expected.map((line) => `${line} (repaired)`),
    );
    assert.deepEqual(await subjects(false), []);
    assert.deepEqual(room.remains(), { tmp: [], snapshots: ["1", "2"], blobs: [sha256(config)] });
  });
  it("reports lost layers and configs, and a new load of the image mends both", async () => {
    rmSync(join(room.dataRoot, "snapshots/1"), { recursive: true });
    writeFileSync(join(room.dataRoot, "content/blobs/sha256", sha256(config)), "{}");
    const found = await subjects(true);
    assert.equal(
      found.filter((line) => /F10 layer: its directory .* is missing$/.test(line)).length,
      1,
      found.join("\n"),
    );
    assert.equal(
      found.filter((line) => line === "F10 blob: its file is missing or corrupt").length,
      1,
      found.join("\n"),
    );
    room = await room.reopen();
    assert.equal(room.images.count(), 0);
    assert.match(
      (await subjects(false)).join("\n"),
      /F10 image: blob sha256:\w+ is missing or corrupt; load the image again/,
    );
    await room.load(dockerArchive([{ config, layers: [base, top], tags: ["app:1"] }]));
    assert.deepEqual(await subjects(false), []);
    assert.equal(readFileSync(join(room.dataRoot, "snapshots/1/fs/base"), "utf8"), "12345678");
  });
});
