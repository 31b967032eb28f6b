// Hostile image archives (T01, T02): whatever an archive says about itself, nothing of a refused one stays, and what it costs
// is bounded. Needs root and gantry-unpack.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { afterEach, beforeEach, describe, it } from "node:test";
import { Readable } from "node:stream";
import { createGzip, gzipSync } from "node:zlib";
import { OciLayout, configOf, dockerArchive, named, oldDockerArchive, sha256 } from "../support/image-archives.ts";
import { ImageRoom } from "../support/image-room.ts";
import { end, file, hardlink, member, symlink, tarOf } from "../support/tar.ts";

const layer = tarOf(file("a", "x"));
const config = configOf([layer]);
const good = { config, layers: [layer], tags: ["good:1"] };
const docker = (manifest: unknown, ...others: Parameters<typeof file>[]): Buffer =>
  tarOf(
    ...others.map((args) => file(...args)),
    file("c.json", config),
    file("l.tar", layer),
    file("manifest.json", JSON.stringify(manifest)),
  );
const oci = (index: unknown, layout = new OciLayout()): Buffer =>
  tarOf(
    layout.tar([]).subarray(0, -end.length - 2048),
    file("index.json", JSON.stringify(index)),
    file("oci-layout", "{}"),
  );

let room: ImageRoom;
beforeEach(async () => {
  room = await ImageRoom.open({ maxLayerBytes: 16 << 20, maxEntries: 50_000 });
});
afterEach(async () => {
  await room.close();
});

function refuses(title: string, archive: () => Uint8Array, message: RegExp, kind = "InvalidParameter"): void {
  it(`refuses ${title}`, async () => {
    await assert.rejects(room.load(archive()), (error: Error & { kind?: string }) => {
      assert.match(error.message, message);
      assert.equal(error.kind, kind, error.message);
      return true;
    });
    assert.deepEqual([room.images.count(), room.remains()], [0, { tmp: [], snapshots: [], blobs: [] }]);
  });
}

describe("what is no image archive", () => {
  refuses("nothing", () => new Uint8Array(0), /empty/);
  refuses("text", () => Buffer.from("hello"), /unexpected EOF/);
  refuses("more text", () => Buffer.from("hello ".repeat(200)), /invalid tar header/);
  refuses("a tar without a manifest", () => layer, /not an image archive/);
  refuses("an empty tar", () => end, /not an image archive/);
  refuses("truncated bzip2", () => Buffer.from("BZh91AY&SY"), /^bzip2: unexpected EOF$/);
  refuses("truncated xz", () => Buffer.from([0xfd, 0x37, 0x7a, 0x58, 0x5a, 0, 1, 2, 3]), /^xz: /);
  refuses(
    "xz that needs more memory than is given to it",
    () => execFileSync("xz", ["-c", "--lzma2=preset=0,dict=1GiB"], { input: dockerArchive([good]) }),
    /^xz: Memory usage limit reached$/,
  );
  refuses(
    "an xz bomb",
    () => {
      const hollow = tarOf(file("a.tar", tarOf(file("zeros", Buffer.alloc(64 << 20)))));
      return execFileSync("xz", ["-c", "-0"], { input: hollow, maxBuffer: 1 << 28 });
    },
    /limit|exceed|larger|more than/i,
  );
  refuses(
    "damaged gzip",
    () => {
      const bytes = gzipSync(dockerArchive([good]));
      bytes.fill(0x55, 20, 60);
      return bytes;
    },
    /gzip:/,
  );
  refuses("truncated gzip", () => gzipSync(dockerArchive([good])).subarray(0, -40), /unexpected EOF/);
  refuses("damaged zstd", () => Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]), /zstd:/);
  refuses(
    "zstd that wants a window of 2 GiB",
    () => Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0x00, 0xa8, 0x01, 0x00, 0x00]),
    /zstd:/,
  );
  for (const bytes of [300, 600, 1500, 2600])
    refuses(
      `an archive cut after ${bytes} bytes`,
      () => dockerArchive([good]).subarray(0, bytes),
      /unexpected EOF|not an image archive/,
    );
  refuses(
    "a layer's tar that is cut inside a whole archive",
    () => oldDockerArchive([{ ...good, layers: [tarOf(file("a", "x".repeat(4000))).subarray(0, 2048)] }]),
    /truncated/,
  );
});

describe("docker-archives that contradict themselves", () => {
  refuses("a manifest that is no list", () => docker({}), /manifest.json: not an array/);
  refuses("a manifest of wrong types", () => docker([{ Config: 5, Layers: [] }]), /Config: not a string/);
  refuses("layers of wrong types", () => docker([{ Config: "c.json", Layers: ["l.tar", 5] }]), /not a string/);
  refuses(
    "a missing config",
    () => docker([{ Config: "nope.json", Layers: ["l.tar"] }]),
    /config "nope.json" is missing/,
  );
  refuses("a missing layer", () => docker([{ Config: "c.json", Layers: ["nope.tar"] }]), /layer "nope.tar" is missing/);
  refuses(
    "paths that lead out",
    () => docker([{ Config: "../../etc/passwd", Layers: [] }]),
    /invalid path in the archive/,
  );
  refuses(
    "a layer too few",
    () => docker([{ Config: "c.json", Layers: [] }]),
    /layers length mismatch: expected 0, got 1/,
  );
  refuses(
    "a layer too many",
    () => docker([{ Config: "c.json", Layers: ["l.tar", "l.tar"] }]),
    /layers length mismatch: expected 2, got 1/,
  );
  refuses(
    "a layer that is another's",
    () => docker([{ Config: "c.json", Layers: ["m.tar"] }], ["m.tar", tarOf(file("b"))]),
    /layer diffID mismatch for layer 0/,
  );
  refuses("a document in place of a layer", () => docker([{ Config: "c.json", Layers: ["c.json"] }]), /is not a layer/);
  refuses("a layer in place of a config", () => docker([{ Config: "l.tar", Layers: ["l.tar"] }]), /is not a document/);
  refuses(
    "a tag that is no reference",
    () => docker([{ Config: "c.json", Layers: ["l.tar"], RepoTags: ["Foo:1"] }]),
    /must be lowercase/,
  );
  refuses(
    "a tag without a tag",
    () => docker([{ Config: "c.json", Layers: ["l.tar"], RepoTags: ["foo"] }]),
    /invalid tag "foo"/,
  );
  refuses(
    "links in a circle",
    () =>
      tarOf(symlink("a", "b"), symlink("b", "a"), file("manifest.json", JSON.stringify([{ Config: "a", Layers: [] }]))),
    /config "a" is missing/,
  );
  refuses("a symlink that leads out", () => tarOf(symlink("a", "../../x")), /invalid path in the archive/);
  refuses("a member that leads out", () => tarOf(file("../x", "y")), /invalid path in the archive/);
  refuses(
    "a blob that is not what its name says",
    () => tarOf(file(`blobs/sha256/${sha256("other")}`, "this"), file("manifest.json", "[]")),
    /is corrupt/,
  );
  refuses(
    "a layer that is not what its name says",
    () => tarOf(file(`blobs/sha256/${sha256("other")}`, layer), file("manifest.json", "[]")),
    /digest mismatch/,
  );
  refuses("a hostile layer", () => dockerArchive([{ ...good, layers: [tarOf(file("../x"))] }]), /contains "\.\."/);
  refuses(
    "a good image together with a bad one, as a whole",
    () =>
      docker([
        { Config: "c.json", Layers: ["l.tar"], RepoTags: ["good:1"] },
        { Config: "c.json", Layers: ["nope"] },
      ]),
    /layer "nope" is missing/,
  );
  it("follows a layer's hard link within the archive", async () => {
    const archive = tarOf(
      file("c.json", config),
      file("l.tar", layer),
      hardlink("d/l.tar", "l.tar"),
      file("manifest.json", JSON.stringify([{ Config: "c.json", Layers: ["d/l.tar"] }])),
    );
    assert.deepEqual(await room.load(archive), [`Loaded image ID: sha256:${sha256(config)}`]);
  });
});

describe("configs that lie", () => {
  const withConfig = (json: unknown): Buffer => {
    const bytes = Buffer.from(typeof json === "string" ? json : JSON.stringify(json));
    return dockerArchive([{ config: bytes, layers: [layer], tags: [] }]);
  };
  const valid = JSON.parse(config.toString()) as Record<string, unknown>;
  const diffIds = [`sha256:${sha256(layer)}`];
  refuses("no JSON", () => withConfig("{no"), /not JSON/);
  refuses(
    "another operating system",
    () => withConfig({ ...valid, os: "windows" }),
    /cannot load windows image on linux/,
  );
  refuses("no rootfs", () => withConfig({ ...valid, rootfs: undefined }), /rootfs: not an object/);
  refuses(
    "a rootfs of another type",
    () => withConfig({ ...valid, rootfs: { type: "x", diff_ids: diffIds } }),
    /rootfs.type/,
  );
  refuses(
    "digests of another form",
    () => withConfig({ ...valid, rootfs: { type: "layers", diff_ids: [diffIds[0]?.toUpperCase()] } }),
    /invalid digest/,
  );
  refuses(
    "a digest with a path",
    () => withConfig({ ...valid, rootfs: { type: "layers", diff_ids: ["sha256:../../../../etc/passwd"] } }),
    /invalid digest/,
  );
  refuses("an Env that is no list", () => withConfig({ ...valid, config: { Env: "A=b" } }), /Env: not an array/);
  refuses("a Cmd with a number", () => withConfig({ ...valid, config: { Cmd: [1] } }), /not a string/);
  refuses("labels that are no strings", () => withConfig({ ...valid, config: { Labels: { a: {} } } }), /not a string/);
  refuses("a NUL in Env", () => withConfig({ ...valid, config: { Env: ["A=\0"] } }), /NUL byte/);
  refuses("a history that is no list", () => withConfig({ ...valid, history: {} }), /history: not an array/);
  refuses("a config that is a manifest as well", () => withConfig({ ...valid, layers: [] }), /a manifest as well/);
  refuses(
    "a key twice",
    () => withConfig(`{"rootfs":{"type":"layers","diff_ids":[]},${config.toString().slice(1)}`),
    /appears twice/,
  );
  refuses(
    "a key twice, once escaped",
    () => withConfig(`{"\\u0072ootfs":{},${config.toString().slice(1)}`),
    /appears twice/,
  );
  refuses("a million brackets", () => withConfig("[".repeat(1_000_000)), /nested deeper/);
  refuses(
    "a config of 5 MiB",
    () => withConfig(JSON.stringify({ ...valid, author: "x".repeat(5 << 20) })),
    /more than 4194304 are refused/,
  );
  it("drops members that it does not know, __proto__ among them", async () => {
    await room.load(
      withConfig(
        `{"__proto__":{"polluted":true},"config":{"Labels":{"__proto__":"x"}},"rootfs":{"type":"layers","diff_ids":["${diffIds[0]}"]}}`,
      ),
    );
    assert.equal(({} as { polluted?: boolean }).polluted, undefined);
    assert.equal(room.images.count(), 1);
  });
});

describe("OCI layouts that contradict themselves", () => {
  const layout = new OciLayout();
  const manifest = layout.image(config, [layer]);
  const withDocument = (document: Readonly<Record<string, unknown>>): Buffer => {
    const own = new OciLayout();
    own.image(config, [layer]);
    return own.tar([own.blob(Buffer.from(JSON.stringify(document)), "application/vnd.oci.image.manifest.v1+json")]);
  };
  refuses(
    "no oci-layout",
    () => tarOf(file("index.json", '{"schemaVersion":2,"manifests":[]}')),
    /oci-layout is missing/,
  );
  refuses("an index without images", () => layout.tar([]), /names no image/);
  refuses("an index that is a manifest", () => oci({ schemaVersion: 2, config: manifest, layers: [] }), /not an index/);
  refuses("an index with layers", () => oci({ schemaVersion: 2, manifests: [], layers: [] }), /index as well/);
  refuses(
    "an index with a config in other letters",
    () => oci({ schemaVersion: 2, manifests: [], Config: {} }),
    /index as well/,
  );
  refuses(
    "a manifest with manifests",
    () => withDocument({ schemaVersion: 2, config: manifest, layers: [], manifests: [] }),
    /index as well/,
  );
  refuses(
    "a manifest of schema 1",
    () => withDocument({ schemaVersion: 2, config: manifest, layers: [], fsLayers: [] }),
    /schema 1 as well/,
  );
  refuses(
    "another schemaVersion",
    () => withDocument({ schemaVersion: 1, config: manifest, layers: [] }),
    /schemaVersion/,
  );
  refuses(
    "a manifest with an index's media type",
    () =>
      withDocument({
        schemaVersion: 2,
        mediaType: "application/vnd.oci.image.index.v1+json",
        config: manifest,
        layers: [],
      }),
    /mediaType is another's/,
  );
  refuses("a descriptor of wrong types", () => layout.tar([{ ...manifest, size: -1 }]), /bad size/);
  refuses("a descriptor with another size", () => layout.tar([{ ...manifest, size: manifest.size + 1 }]), /bytes, not/);
  refuses("a missing manifest", () => layout.tar([{ ...manifest, digest: `sha256:${sha256("nope")}` }]), /is missing/);
  refuses(
    "a digest of another algorithm",
    () => layout.tar([{ ...manifest, digest: `sha512:${"0".repeat(128)}` }]),
    /invalid digest/,
  );
  refuses(
    "annotations that are no strings",
    () => layout.tar([{ ...manifest, annotations: { a: 1 } }]),
    /not a string/,
  );
  refuses("a name that is no reference", () => layout.tar([{ ...manifest, ...named("A//b") }]), /reference format/);
  refuses(
    "indexes nested too deeply",
    () => {
      const own = new OciLayout();
      let inner = own.image(config, [layer]);
      for (let i = 0; i < 8; i++) inner = own.index([inner]);
      return own.tar([inner]);
    },
    /nested too deeply/,
  );
  refuses(
    "200 layers",
    () => {
      const layers = Array.from({ length: 200 }, () => layer);
      return oldDockerArchive([{ config: configOf(layers), layers, tags: [] }]);
    },
    /max depth exceeded/,
  );
});

describe("bombs", () => {
  refuses(
    "a layer of more bytes than allowed",
    () => dockerArchive([{ ...good, layers: [tarOf(file("big", Buffer.alloc(17 << 20)))] }]),
    /larger than the 16777216 bytes allowed/,
  );
  refuses(
    "a layer of more members than allowed",
    () =>
      oldDockerArchive([
        { ...good, layers: [Buffer.concat([...Array.from({ length: 50_001 }, () => member(file("f"))), end])] },
      ]),
    /more than 50000 members/,
  );
  refuses(
    "a sparse file of 1 TiB",
    () =>
      dockerArchive([
        {
          ...good,
          layers: [
            tarOf(
              file("s", "0\n".padEnd(512, "\0"), {
                pax: { "GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": String(2 ** 40) },
              }),
            ),
          ],
        },
      ]),
    /larger than/,
  );
  refuses(
    "100,000 and more files around the layers",
    () => Buffer.concat([...Array.from({ length: 100_001 }, (_, i) => member(file(`f${i}`))), end]),
    /more than 100000 files/,
  );
  refuses(
    "a hundred documents of 4 MiB",
    () => tarOf(...Array.from({ length: 20 }, (_, i) => file(`d${i}.json`, Buffer.alloc(4 << 20, " ")))),
    /documents are too large/,
  );
  it("bounds a gzipped layer that would be 1,000 times as large, and the memory that it takes", async () => {
    const before = process.memoryUsage().rss;
    const gzip = createGzip({ level: 9 });
    const zeros = Buffer.alloc(1 << 20);
    Readable.from(
      (function* () {
        yield member(file("zeros", "", { size: 300 << 20 }));
        for (let i = 0; i < 300; i++) yield zeros;
        yield end;
      })(),
    ).pipe(gzip);
    const bomb = Buffer.concat(await gzip.toArray());
    const own = new OciLayout();
    const manifest = {
      schemaVersion: 2,
      config: own.blob(config, "application/vnd.oci.image.config.v1+json"),
      layers: [own.blob(bomb, "application/vnd.oci.image.layer.v1.tar+gzip")],
    };
    const archive = own.tar([
      own.blob(Buffer.from(JSON.stringify(manifest)), "application/vnd.oci.image.manifest.v1+json"),
    ]);
    await assert.rejects(room.load(archive), /larger than the 16777216 bytes allowed/);
    assert.ok(process.memoryUsage().rss - before < 200 << 20);
    assert.deepEqual(room.remains(), { tmp: [], snapshots: [], blobs: [] });
  });
  it("bounds zeros without end behind a compressed archive", async () => {
    const archive = gzipSync(Buffer.concat([dockerArchive([good]), Buffer.alloc(64 << 20)]));
    await assert.rejects(room.load(archive), /too much data after the end/);
  });
});
