// docker save, and what comes back: archives read by ourselves, podman and skopeo; what a layout brought compressed is kept as it
// came. Needs root, gantry-unpack, gantry-pack, podman, skopeo, xz and bzip2.

import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, it } from "node:test";
import { gzipSync } from "node:zlib";
import { OciLayout, configOf, dockerArchive, named, sha256 } from "../support/image-archives.ts";
import { ImageRoom, chunked } from "../support/image-room.ts";
import { directory, file, symlink, tarOf } from "../support/tar.ts";

const base = tarOf(directory("bin/"), file("bin/sh", "shell", { mode: 0o755 }), symlink("lib", "usr/lib"));
const second = tarOf(file("etc/conf", "configured", { pax: { mtime: "1000000000.123456789" } }), file("bin/.wh.sh"));
const baseImage = { config: configOf([base]), layers: [base], tags: ["base:1", "base:2"] };
const appImage = { config: configOf([base, second]), layers: [base, second], tags: ["localhost:5000/app:1"] };
const signal = AbortSignal.timeout(300_000);

let room: ImageRoom;
let dir: string;
beforeEach(async () => {
  room = await ImageRoom.open();
  dir = mkdtempSync(join(tmpdir(), "gantry-save-"));
});
afterEach(async () => {
  await room.close();
  rmSync(dir, { recursive: true, force: true });
});

async function save(from: ImageRoom, names: readonly string[], platform?: string): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of await from.images.save(names, platform, signal)) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

/** Unpacks an archive by tar; its files by path. */
function unpacked(archive: Uint8Array): Map<string, Buffer> {
  const into = mkdtempSync(join(dir, "x-"));
  execFileSync("tar", ["-C", into, "-xf", "-"], { input: archive });
  const files = readdirSync(into, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  return new Map(
    files
      .map((entry) => [join(entry.parentPath, entry.name), readFileSync(join(entry.parentPath, entry.name))])
      .map(([path, bytes]) => [(path as string).slice(into.length + 1), bytes as Buffer]),
  );
}

function ingests(of: ImageRoom): readonly string[] {
  return readdirSync(join(of.dataRoot, "content/ingest"));
}

describe("docker save", () => {
  it("gives back each layer and config byte for byte, and the same archive every time", async () => {
    await room.load(dockerArchive([baseImage, appImage]));
    const archive = await save(room, ["base", "localhost:5000/app:1"]);
    const files = unpacked(archive);
    for (const bytes of [base, second, baseImage.config, appImage.config])
      assert.ok(files.get(`blobs/sha256/${sha256(bytes)}`)?.equals(bytes));
    assert.equal(files.size, 4 + 2 + 4);
    assert.deepEqual(JSON.parse(files.get("repositories")?.toString() ?? ""), {
      base: { 1: sha256(base), 2: sha256(base) },
      "localhost:5000/app": { 1: sha256(second) },
    });
    assert.ok(archive.equals(await save(room, ["localhost:5000/app:1", "base:2", "base:1", "base:2"])));
    const again = await room.reopen();
    assert.ok(archive.equals(await save(again, ["base", "localhost:5000/app:1"])));
    room = again;
  });

  it("is loaded again by a daemon that has nothing, and saves to the same bytes there", async () => {
    await room.load(dockerArchive([baseImage, appImage]));
    const archive = await save(room, ["base", "localhost:5000/app:1"]);
    const other = await ImageRoom.open();
    try {
      assert.deepEqual(await other.load(archive), [
        "Loaded image: base:1",
        "Loaded image: base:2",
        "Loaded image: localhost:5000/app:1",
      ]);
      assert.deepEqual(await other.images.check({ repair: false }), []);
      assert.deepEqual(other.remains().blobs, [sha256(baseImage.config), sha256(appImage.config)].sort());
      assert.ok(archive.equals(await save(other, ["base", "localhost:5000/app:1"])));
    } finally {
      await other.close();
    }
  });

  it("is read by podman and skopeo", async () => {
    await room.load(dockerArchive([baseImage, appImage]));
    const path = join(dir, "saved.tar");
    writeFileSync(path, await save(room, ["base:1", "localhost:5000/app:1"]));
    const inspected = JSON.parse(
      execFileSync("skopeo", ["inspect", `docker-archive:${path}:localhost:5000/app:1`], { encoding: "utf8" }),
    ) as { readonly Layers: readonly string[] };
    assert.deepEqual(inspected.Layers, [`sha256:${sha256(base)}`, `sha256:${sha256(second)}`]);
    const layout = join(dir, "layout");
    mkdirSync(layout);
    execFileSync("tar", ["-C", layout, "-xf", path]);
    const raw = JSON.parse(
      execFileSync("skopeo", ["inspect", "--raw", "--config", `oci:${layout}:1`], { encoding: "utf8" }),
    ) as unknown;
    assert.ok([baseImage, appImage].some(({ config }) => JSON.stringify(raw) === config.toString()));
    const podman = (...args: readonly string[]): string =>
      execFileSync(
        "podman",
        ["--root", join(dir, "p"), "--runroot", join(dir, "r"), "--storage-driver", "vfs", ...args],
        {
          encoding: "utf8",
          stdio: ["ignore", "pipe", "pipe"],
        },
      );
    assert.match(podman("load", "-i", path), /localhost:5000\/app:1/);
    assert.equal(
      podman("image", "inspect", "--format", "{{.Id}}", "localhost:5000/app:1").trim(),
      sha256(appImage.config),
    );
  });

  it("takes ids, prefixes and repositories, and refuses what there is not", async () => {
    await room.load(dockerArchive([baseImage, appImage]));
    const tagsOf = async (...names: string[]): Promise<unknown> =>
      (
        JSON.parse(
          unpacked(await save(room, names))
            .get("manifest.json")
            ?.toString() ?? "",
        ) as { RepoTags: unknown }[]
      ).map(({ RepoTags }) => RepoTags);
    const id = sha256(baseImage.config);
    assert.deepEqual(await tagsOf(id), [null]);
    assert.deepEqual(await tagsOf(`sha256:${id}`, id.slice(0, 12)), [null]);
    assert.deepEqual(await tagsOf(id, "base:2"), [["base:2"]]);
    assert.deepEqual(await tagsOf("base"), [["base:1", "base:2"]]);
    for (const [name, kind, message] of [
      ["nope", "NotFound", "No such image: nope"],
      ["base:nope", "NotFound", "reference does not exist"],
      [`base@sha256:${id}`, "NotFound", "reference does not exist"],
      ["BAD", "InvalidParameter", "invalid reference format: repository name (library/BAD) must be lowercase"],
    ] as const)
      await assert.rejects(room.images.save([name], undefined, signal), { kind, message });
    await assert.rejects(room.images.save([], undefined, signal), { kind: "InvalidParameter" });
    await assert.rejects(room.images.save(["base:1"], "linux/arm64", signal), {
      message: "no suitable export target found for platform linux/arm64",
    });
  });

  it("goes on when its image is deleted meanwhile, and what is left of that goes afterwards", async () => {
    const large = tarOf(file("large", Buffer.alloc(8 << 20, "x")));
    const image = { config: configOf([large]), layers: [large], tags: ["large:1"] };
    await room.load(dockerArchive([image]));
    const whole = await save(room, ["large:1"]);
    const stream = await room.images.save(["large:1"], undefined, signal);
    const iterator = stream[Symbol.asyncIterator]();
    const chunks = [(await iterator.next()).value as Buffer];
    await room.images.remove("large:1", { force: false, noPrune: false });
    assert.equal(room.images.count(), 0);
    for (let next = await iterator.next(); next.done !== true; next = await iterator.next())
      chunks.push(next.value as Buffer);
    assert.ok(whole.equals(Buffer.concat(chunks)));
    // What is left goes a moment after the last byte.
    const isLeft = (): boolean => Object.values(room.remains()).some((names) => names.length > 0);
    for (let wait = 0; isLeft() && wait < 1000; wait++) await new Promise((resolve) => setTimeout(resolve, 50));
    assert.deepEqual(room.remains(), { tmp: [], snapshots: [], blobs: [] });
  });

  it("stops when its reader leaves", async () => {
    const large = tarOf(file("large", Buffer.alloc(32 << 20, "x")));
    await room.load(dockerArchive([{ config: configOf([large]), layers: [large], tags: ["large:1"] }]));
    const abort = new AbortController();
    const stream = await room.images.save(["large:1"], undefined, abort.signal);
    await stream[Symbol.asyncIterator]().next();
    abort.abort();
    await new Promise((resolve) => (stream.closed ? resolve(undefined) : stream.once("close", resolve)));
    const packers = (): number =>
      spawnSync("ps", ["--ppid", String(process.pid), "-o", "comm="], { encoding: "utf8" })
        .stdout.split("\n")
        .filter((name) => name.includes("gantry-pack")).length;
    for (let wait = 0; packers() > 0 && wait < 100; wait++) await new Promise((resolve) => setTimeout(resolve, 50));
    assert.equal(packers(), 0);
    assert.equal((await room.images.remove("large:1", { force: false, noPrune: false })).length > 0, true);
    assert.deepEqual(room.remains().snapshots, []);
  });
});

describe("docker load keeps", () => {
  it("the manifest and the compressed blobs of an OCI layout, verbatim", async () => {
    const layout = new OciLayout();
    const manifest = layout.image(appImage.config, appImage.layers, { compression: "gzip", more: named("app:1") });
    assert.deepEqual(await room.load(layout.tar([manifest])), ["Loaded image: app:1"]);
    const kept = [base, second].map((layer) => gzipSync(layer));
    const expected = [manifest.digest.slice(7), sha256(appImage.config), ...kept.map(sha256)].sort();
    assert.deepEqual(room.remains().blobs, expected);
    for (const blob of kept)
      assert.ok(readFileSync(join(room.dataRoot, "content/blobs/sha256", sha256(blob))).equals(blob));
    assert.deepEqual(ingests(room), []);
    // The same again brings nothing new.
    await room.load(layout.tar([manifest]));
    assert.deepEqual(room.remains().blobs, expected);
    assert.deepEqual(ingests(room), []);
    assert.deepEqual(await room.images.check({ repair: false }), []);
    room = await room.reopen();
    await room.images.remove("app:1", { force: false, noPrune: false });
    assert.deepEqual(room.remains(), { tmp: [], snapshots: [], blobs: [] });
  });

  it("annotations of a layout's manifest, which a save writes again", async () => {
    const layout = new OciLayout();
    const config = layout.blob(baseImage.config, "application/vnd.oci.image.config.v1+json");
    const layer = layout.blob(gzipSync(base), "application/vnd.oci.image.layer.v1.tar+gzip");
    const annotations = { "org.example.b": "2", "org.example.a": "1" };
    const mediaType = "application/vnd.oci.image.manifest.v1+json";
    const document = { schemaVersion: 2, mediaType, config, layers: [layer], annotations };
    await room.load(layout.tar([layout.blob(Buffer.from(JSON.stringify(document)), mediaType, named("noted:1"))]));
    const saved = [...unpacked(await save(room, ["noted:1"])).values()].map(String);
    const manifest = saved.find((text) => text.includes('"annotations":{"org.example.a"'));
    assert.deepEqual((JSON.parse(manifest ?? "{}") as { annotations?: unknown }).annotations, annotations);
  });

  it("what BuildKit writes: a docker-archive with the index of compressed layers beside", async () => {
    const layout = new OciLayout();
    const manifest = layout.image(baseImage.config, [base], { compression: "gzip", more: named("built:1") });
    const blob = (hex: string): string => `blobs/sha256/${hex}`;
    const docker = [
      { Config: blob(sha256(baseImage.config)), RepoTags: ["built:1"], Layers: [blob(sha256(gzipSync(base)))] },
    ];
    assert.deepEqual(await room.load(layout.tar([manifest], [file("manifest.json", JSON.stringify(docker))])), [
      "Loaded image: built:1",
    ]);
    assert.deepEqual(
      room.remains().blobs,
      [manifest.digest.slice(7), sha256(baseImage.config), sha256(gzipSync(base))].sort(),
    );
  });

  it("no tar of a docker-archive, and no compressed blob that no manifest wants", async () => {
    await room.load(dockerArchive([baseImage]));
    const layout = new OciLayout();
    layout.blob(gzipSync(second), "application/vnd.oci.image.layer.v1.tar+gzip");
    const plain = layout.image(appImage.config, appImage.layers, { more: named("app:1") });
    await room.load(layout.tar([plain]));
    assert.deepEqual(
      room.remains().blobs,
      [sha256(baseImage.config), sha256(appImage.config), plain.digest.slice(7)].sort(),
    );
    assert.deepEqual(ingests(room), []);
  });

  it("nothing of a layout whose compressed blob is not what its name says", async () => {
    const good = gzipSync(base);
    const lying = tarOf(
      file(`blobs/sha256/${"1".repeat(64)}`, good),
      file("index.json", '{"schemaVersion":2,"manifests":[]}'),
      file("oci-layout", '{"imageLayoutVersion":"1.0.0"}'),
    );
    await assert.rejects(room.load(lying), { kind: "InvalidParameter", message: /is corrupt/ });
    assert.deepEqual(room.remains(), { tmp: [], snapshots: [], blobs: [] });
    assert.deepEqual(ingests(room), []);
  });
});

describe("names of a loaded layout", () => {
  for (const [name, said] of [
    ["docker.io/library/pod:1", "Loaded image: pod:1"],
    ["localhost/bud:latest", "Loaded image: localhost/bud:latest"],
    ["example.org/crane", "Loaded image: example.org/crane:latest"],
    ["latest", `Loaded image ID: sha256:${sha256(baseImage.config)}`],
    ["No/Such-Name:1", `Loaded image ID: sha256:${sha256(baseImage.config)}`],
    [`a/b@sha256:${"1".repeat(64)}`, `Loaded image ID: sha256:${sha256(baseImage.config)}`],
    [`a/b:2@sha256:${"1".repeat(64)}`, "Loaded image: a/b:2"],
  ] as const)
    it(`of ref.name ${name} are what it lists, and never a digest`, async () => {
      const layout = new OciLayout();
      const annotations = { "org.opencontainers.image.ref.name": name };
      const manifest = layout.image(baseImage.config, [base], { compression: "gzip", more: { annotations } });
      assert.deepEqual(await room.load(layout.tar([manifest])), [said]);
      const { RepoDigests } = await room.images.inspect(sha256(baseImage.config));
      assert.deepEqual(RepoDigests, []);
    });
});

describe("parents in an archive", () => {
  const archive = (child: Uint8Array): Buffer => {
    const entries = [
      { Config: "p.json", RepoTags: ["p:1"], Layers: ["a.tar"] },
      {
        Config: "c.json",
        RepoTags: ["c:1"],
        Layers: ["a.tar", "b.tar"],
        Parent: `sha256:${sha256(baseImage.config)}`,
      },
    ];
    return tarOf(
      file("a.tar", base),
      file("b.tar", second),
      file("p.json", baseImage.config),
      file("c.json", child),
      file("manifest.json", JSON.stringify(entries)),
    );
  };

  it("are kept, and saved again", async () => {
    await room.load(archive(appImage.config));
    assert.equal((await room.images.inspect("c:1")).Parent, `sha256:${sha256(baseImage.config)}`);
    room = await room.reopen();
    const saved =
      unpacked(await save(room, ["c:1", "p:1"]))
        .get("manifest.json")
        ?.toString() ?? "";
    assert.match(saved, new RegExp(`"Parent":"sha256:${sha256(baseImage.config)}"`));
  });

  it("are refused when the histories disagree", async () => {
    const foreign = configOf([base, second], { history: [{ created_by: "else" }, { created_by: "layer 1" }] });
    await assert.rejects(room.load(archive(foreign)), {
      kind: "InvalidParameter",
      message: /is not a valid parent for/,
    });
    assert.equal(room.images.count(), 0);
  });
});

describe("bzip2 and xz", () => {
  const compress = (program: string, bytes: Uint8Array): Buffer =>
    execFileSync(program, ["-c"], { input: bytes, maxBuffer: 1 << 28 });

  for (const program of ["bzip2", "xz"] as const) {
    it(`archives and layers of ${program} are loaded`, async () => {
      await room.load(compress(program, dockerArchive([baseImage])));
      const docker = [{ Config: "c.json", RepoTags: ["app:1"], Layers: ["a.tar", "b.tar"] }];
      await room.load(
        tarOf(
          file("a.tar", compress(program, base)),
          file("b.tar", compress(program, second)),
          file("c.json", appImage.config),
          file("manifest.json", JSON.stringify(docker)),
        ),
      );
      assert.equal((await room.images.inspect("app:1")).Id, `sha256:${sha256(appImage.config)}`);
      assert.deepEqual(await room.images.check({ repair: false }), []);
    });

    it(`a root file system of ${program} is imported`, async () => {
      const options = { reference: "in:1", message: "", changes: ["CMD sh"], platform: undefined };
      const said: unknown[] = [];
      for await (const line of room.images.import(chunked(compress(program, base), 1000), options, signal))
        said.push(line);
      const { RootFS, Id, Comment } = await room.images.inspect("in:1");
      assert.deepEqual(said, [{ status: Id }]);
      assert.deepEqual(RootFS?.Layers, [`sha256:${sha256(base)}`]);
      assert.equal(Comment, "Imported from -");
      assert.deepEqual(
        room.events.map(({ action, attributes }) => [action, action === "tag" ? attributes?.["name"] : ""]),
        [
          ["tag", "in:1"],
          ["import", ""],
        ],
      );
    });
  }
});

describe("docker load refuses", () => {
  it("archives of Docker before 1.10, and says what to do", async () => {
    const old = tarOf(file("repositories", '{"a":{"b":"c"}}'), directory("c/"), file("c/layer.tar", base));
    await assert.rejects(room.load(old), { kind: "InvalidParameter", message: /Docker before 1\.10 .* save it again/ });
    assert.deepEqual(room.remains(), { tmp: [], snapshots: [], blobs: [] });
  });

  for (const [what, members, message] of [
    ["a config outside", [{ Config: "../../etc/passwd", RepoTags: ["x:1"], Layers: [] }], /invalid path/],
    ["an absolute config", [{ Config: "/etc/passwd", RepoTags: ["x:1"], Layers: [] }], /is missing/],
    ["a symlinked config", [{ Config: "link", RepoTags: ["x:1"], Layers: [] }], /is missing/],
    ["a symlinked layer", [{ Config: "c.json", RepoTags: ["x:1"], Layers: ["link"] }], /is missing/],
    ["a link that leads out", [{ Config: "out", RepoTags: ["x:1"], Layers: [] }], /invalid path/],
  ] as const)
    it(what, async () => {
      const archive = tarOf(
        file("c.json", baseImage.config),
        symlink("link", "/etc/passwd"),
        ...(what === "a link that leads out" ? [symlink("out", "../etc/passwd")] : []),
        file("manifest.json", JSON.stringify(members)),
      );
      await assert.rejects(room.load(archive), { kind: "InvalidParameter", message });
      assert.equal(room.images.count(), 0);
    });
});
