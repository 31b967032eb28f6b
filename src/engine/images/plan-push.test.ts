import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type ChainId, type Digest, digestOf } from "../../base/digest.ts";
import { type Reference, parseNamed, renderReference } from "../../base/reference.ts";
import { parseDocument } from "../../spec/oci/parse.ts";
import {
  findCompressed,
  indexSources,
  parsePushName,
  planCandidates,
  planMounts,
  planTags,
  renderManifest,
} from "./plan-push.ts";
import type { ManifestRecord } from "./records.ts";

const image = digestOf("image");
const gzip = "application/vnd.oci.image.layer.v1.tar+gzip";

function ref(text: string): Reference {
  return renderReference(parseNamed(text));
}

function manifestOf(name: string, layers: readonly string[], more: Partial<ManifestRecord> = {}): ManifestRecord {
  return {
    digest: digestOf(name),
    imageId: image,
    mediaType: "m",
    sizeBytes: 1,
    index: undefined,
    layers: layers.map((layer) => ({ digest: digestOf(layer), mediaType: gzip, sizeBytes: layer.length })),
    ...more,
  };
}

describe("which tags are pushed", () => {
  const tags: readonly (readonly [Reference, Digest])[] = [
    [ref("r.example/x:two"), digestOf("2")],
    [ref("r.example/x:one"), image],
    [ref(`r.example/x@${digestOf("m")}`), image],
    [ref(`r.example/digests@${digestOf("m")}`), image],
    [ref("r.example/y:one"), image],
    [ref("busybox"), image],
  ];
  const plan = (name: string, tag = ""): string[] =>
    planTags(parsePushName(name, tag), tags).map((item) => `${item.named.path}:${item.named.tag} ${item.imageId}`);

  it("one with a tag, all of the repository without", () => {
    assert.deepEqual(plan("r.example/x", "one"), [`x:one ${image}`]);
    assert.deepEqual(plan("r.example/x:two"), [`x:two ${digestOf("2")}`]);
    assert.deepEqual(plan("r.example/x"), [`x:one ${image}`, `x:two ${digestOf("2")}`]);
    assert.deepEqual(plan("busybox"), [`library/busybox:latest ${image}`]);
  });

  it("a tag given wins over the name's", () => {
    assert.deepEqual(plan("r.example/x:one", "two"), [`x:two ${digestOf("2")}`]);
    assert.deepEqual(plan(`r.example/x@${digestOf("m")}`, "one"), [`x:one ${image}`]);
  });

  for (const [name, tag, message] of [
    ["r.example/nope", "", "An image does not exist locally with the tag: r.example/nope"],
    ["nope", "v1", "An image does not exist locally with the tag: nope"],
    ["r.example/x", "nope", "tag does not exist: r.example/x:nope"],
    [`r.example/x@${digestOf("m")}`, "", "cannot push a digest reference"],
    ["r.example/digests", "", "no tags to push for r.example/digests"],
    ["r.example/x", "a b", "invalid tag format"],
    ["r.example/x", digestOf("m"), "invalid tag format"],
    ["r.example/X", "", "invalid reference format: repository name (X) must be lowercase"],
  ] as const)
    it(`refuses ${name} ${tag} in dockerd's words`, () => {
      assert.throws(() => plan(name, tag), { message });
    });
});

describe("which manifest is pushed", () => {
  const chain = ["a", "b"] as unknown as readonly ChainId[];
  const target = parseNamed("r.example/x:1");
  const choose = (
    manifests: readonly ManifestRecord[],
    references: readonly string[],
    absent: readonly string[] = [],
  ): Digest[] => {
    const missing = new Set(absent.map((name) => digestOf(name)));
    const has = (digest: Digest): boolean => !missing.has(digest);
    return planCandidates({ chain }, manifests, references.map(ref), target, has).map(
      ({ manifest }) => manifest.digest,
    );
  };
  const whole = manifestOf("whole", ["l1", "l2"]);
  const other = manifestOf("other", ["l1", "l3"]);

  it("the one that was pulled from the same repository, even with blobs missing", () => {
    const references = [`r.example/x@${other.digest}`, `q.example/x@${whole.digest}`];
    assert.deepEqual(choose([whole, other], references, ["l3"]), [other.digest, whole.digest]);
  });

  it("the one that came through an index which the repository has", () => {
    const indexed = manifestOf("other", ["l1", "l3"], { index: digestOf("index") });
    assert.deepEqual(choose([whole, indexed], [`r.example/x@${digestOf("index")}`], ["l3"])[0], indexed.digest);
  });

  it("else one whose blobs are here, then one of the same registry", () => {
    assert.deepEqual(choose([whole, other], [`r.example/y@${other.digest}`], ["l3"]), [whole.digest, other.digest]);
    assert.equal(choose([whole, other], [`r.example/y@${other.digest}`])[0], other.digest);
    assert.equal(choose([whole, other], [`r.example/y@${whole.digest}`])[0], whole.digest);
  });

  it("between equals always the same", () => {
    assert.deepEqual(choose([whole, other], []), choose([other, whole], []));
  });

  it("never one whose own bytes are gone, or that has other layers than the image", () => {
    assert.deepEqual(choose([whole, manifestOf("short", ["l1"])], [], ["whole"]), []);
  });

  it("what is missing is told", () => {
    const has = (digest: Digest): boolean => digest !== digestOf("l2");
    assert.deepEqual(planCandidates({ chain }, [whole], [], target, has), [
      { manifest: whole, missing: [{ digest: digestOf("l2"), mediaType: gzip, sizeBytes: 2 }] },
    ]);
  });
});

describe("where blobs can be had", () => {
  const pulled = manifestOf("pulled", ["base", "top"], { index: digestOf("index") });
  const again = manifestOf("again", ["base"], { imageId: digestOf("second") });
  const sources = indexSources(
    [pulled, again],
    new Map([
      [image, [ref("r.example/tagged:only"), ref(`r.example/one@${digestOf("index")}`)]],
      [digestOf("second"), [ref(`r.example/one@${again.digest}`), ref(`q.example/two@${again.digest}`)]],
    ]),
  );
  const paths = (layer: string): string[] =>
    (sources.get(digestOf(layer)) ?? []).map(({ domain, path }) => `${domain}/${path}`);

  it("in the repositories of every manifest that has them, each once; a tag alone says nothing", () => {
    assert.deepEqual(paths("base"), ["r.example/one", "q.example/two"]);
    assert.deepEqual(paths("top"), ["r.example/one"]);
    assert.deepEqual(paths("nothing"), []);
  });

  it("mounts come from the same registry only, from the nearest first, and not from the target itself", () => {
    const all = ["r.example/z/a", "r.example/x/b", "q.example/x/c", "r.example/x/target", "r.example/a/d"];
    const mounts = planMounts(all.map(parseNamed), parseNamed("r.example/x/target"), 2);
    assert.deepEqual(
      mounts.map(({ path }) => path),
      ["x/b", "a/d"],
    );
  });
});

describe("the manifest of an image that has none", () => {
  it("takes the gzip blob of a layer that another image brought", () => {
    const zstd = { digest: digestOf("z"), mediaType: "application/vnd.oci.image.layer.v1.tar+zstd", sizeBytes: 1 };
    const manifests = [manifestOf("zstd", [], { layers: [zstd] }), manifestOf("gzip", ["layer"])];
    const ids = (): readonly string[] => ["diff"];
    assert.equal(findCompressed("diff", ["gzip"], manifests, ids, () => true)?.digest, digestOf("layer"));
    assert.equal(
      findCompressed("diff", ["gzip"], manifests, ids, () => false),
      undefined,
    );
    assert.equal(
      findCompressed("other", ["gzip"], manifests, ids, () => true),
      undefined,
    );
    assert.equal(
      findCompressed(
        "diff",
        ["gzip"],
        manifests,
        () => [],
        () => true,
      ),
      undefined,
    );
  });

  it("has dockerd's layout to the byte", () => {
    const bytes = renderManifest({ digest: digestOf("c"), sizeBytes: 420 }, [{ digest: digestOf("l"), sizeBytes: 95 }]);
    assert.equal(
      bytes.toString(),
      `{
   "schemaVersion": 2,
   "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
   "config": {
      "mediaType": "application/vnd.docker.container.image.v1+json",
      "size": 420,
      "digest": "${digestOf("c")}"
   },
   "layers": [
      {
         "mediaType": "application/vnd.docker.image.rootfs.diff.tar.gzip",
         "size": 95,
         "digest": "${digestOf("l")}"
      }
   ]
}`,
    );
    assert.equal(parseDocument(bytes).kind, "manifest");
    assert.match(renderManifest({ digest: digestOf("c"), sizeBytes: 1 }, []).toString(), /"layers": \[\]\n}$/);
  });
});
