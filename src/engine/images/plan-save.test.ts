import assert from "node:assert/strict";
import { test } from "node:test";
import { type DiffId, chainIdsOf, parseDiffId, parseDigest } from "../../base/digest.ts";
import { parseNamed } from "../../base/reference.ts";
import type { HistoryEntry } from "../../spec/oci/image.ts";
import { type PlannedEntry, type SavedImage, planSave } from "./plan-save.ts";

// Two images as dockerd 28.5 saved them; digests of manifests and all documents are what it wrote.
const baseId = parseDigest("sha256:0ae238c2049e08b44251ff28337eef2e072ddce690a509cd9efd8a3987b7b6fa");
const derivedId = parseDigest("sha256:33806ced45c272bcd852969836c1be5e0bfa5d6ff816610d3db96ec8009a2e62");
const lower = parseDiffId("sha256:d4c6bf67457083c482c135a6ebb76e3c19871bc08d0dffa2fb329912957bfb7b");
const upper = parseDiffId("sha256:7b77ebb12051ac95142bc85776bcecf7af0c3d81b3f0cc66cba6143854658e04");
const sizes = new Map<string, number>([
  [chainIdsOf([lower])[0] as string, 1_996_800],
  [chainIdsOf([lower, upper])[1] as string, 3072],
]);
const first = { created: "2026-11-28T00:42:22.323982767Z", comment: "msg" };
const second = {
  created: "2026-11-28T00:42:22.823003301Z",
  created_by: "/bin/sh",
  author: "me",
  comment: "my comment",
};

function imageOf(
  id: SavedImage["id"],
  configBytes: number,
  layers: readonly DiffId[],
  history: readonly HistoryEntry[],
  more: Partial<SavedImage> & { readonly tags?: readonly string[] } = {},
): SavedImage {
  const { tags = [], ...rest } = more;
  const created = history.at(-1)?.created;
  return {
    id,
    configBytes: Buffer.alloc(configBytes),
    config: {
      architecture: "amd64",
      os: "linux",
      ...(created === undefined ? {} : { created }),
      history,
      rootfs: { type: "layers", diff_ids: layers },
    },
    chain: chainIdsOf(layers),
    references: tags.map(parseNamed),
    annotations: {},
    parent: undefined,
    ...rest,
  };
}

const base = imageOf(baseId, 879, [lower], [first], { tags: ["base:2", "base:1"] });
const derived = imageOf(derivedId, 1323, [lower, upper], [first, second], { tags: ["derived:1"], parent: baseId });

function plan(...images: readonly SavedImage[]): readonly PlannedEntry[] {
  return planSave(images, (chainId) => sizes.get(chainId) ?? 1024);
}

function textOf(entries: readonly PlannedEntry[], path: string): string | undefined {
  const entry = entries.find((candidate) => candidate.path === path);
  return entry !== undefined && "bytes" in entry ? Buffer.from(entry.bytes).toString() : undefined;
}

const layerOf = {
  lower: { mediaType: "application/vnd.oci.image.layer.v1.tar", size: 1_996_800, digest: lower },
  upper: { mediaType: "application/vnd.oci.image.layer.v1.tar", size: 3072, digest: upper },
};

test("documents are what dockerd writes for the same images", () => {
  const entries = plan(derived, base);
  const manifests = [
    { digest: "sha256:1837e76206e6c333c98e9e1e8ba184950bb01941047d1980999866334cc72f3c", size: 400, name: "base:1" },
    { digest: "sha256:1837e76206e6c333c98e9e1e8ba184950bb01941047d1980999866334cc72f3c", size: 400, name: "base:2" },
    { digest: "sha256:565d8d59d5c4feb150684ca4fed26624059913c5abedeb79c795e940dca6573a", size: 551, name: "derived:1" },
  ];
  assert.deepEqual(JSON.parse(textOf(entries, "index.json") ?? ""), {
    schemaVersion: 2,
    mediaType: "application/vnd.oci.image.index.v1+json",
    manifests: manifests.map(({ digest, size, name }) => ({
      mediaType: "application/vnd.oci.image.manifest.v1+json",
      digest,
      size,
      annotations: {
        "io.containerd.image.name": `docker.io/library/${name}`,
        "org.opencontainers.image.ref.name": name.split(":")[1],
      },
    })),
  });
  const path = (digest: string): string => digest.replace("sha256:", "blobs/sha256/");
  assert.deepEqual(JSON.parse(textOf(entries, "manifest.json") ?? ""), [
    {
      Config: path(baseId),
      RepoTags: ["base:1", "base:2"],
      Layers: [path(lower)],
      LayerSources: { [lower]: layerOf.lower },
    },
    {
      Config: path(derivedId),
      RepoTags: ["derived:1"],
      Layers: [path(lower), path(upper)],
      Parent: baseId,
      LayerSources: { [lower]: layerOf.lower, [upper]: layerOf.upper },
    },
  ]);
  assert.equal(
    textOf(entries, "repositories"),
    `{"base":{"1":"${lower.slice(7)}","2":"${lower.slice(7)}"},"derived":{"1":"${upper.slice(7)}"}}\n`,
  );
  assert.equal(textOf(entries, "oci-layout"), '{"imageLayoutVersion": "1.0.0"}');
});

test("entries are sorted, each once, with the times of their images", () => {
  const entries = plan(derived, base);
  const paths = entries.map(({ path }) => path);
  assert.deepEqual(paths, [...new Set(paths)].sort());
  const times = Object.fromEntries(entries.map(({ path, mtimeSeconds }) => [path, mtimeSeconds]));
  const created = Date.parse("2026-11-28T00:42:22Z") / 1000;
  assert.deepEqual(times, {
    "blobs/": 0,
    "blobs/sha256/": 0,
    [`blobs/sha256/${baseId.slice(7)}`]: created,
    "blobs/sha256/1837e76206e6c333c98e9e1e8ba184950bb01941047d1980999866334cc72f3c": 0,
    [`blobs/sha256/${derivedId.slice(7)}`]: created,
    "blobs/sha256/565d8d59d5c4feb150684ca4fed26624059913c5abedeb79c795e940dca6573a": 0,
    [`blobs/sha256/${upper.slice(7)}`]: created,
    [`blobs/sha256/${lower.slice(7)}`]: created,
    "index.json": 0,
    "manifest.json": 0,
    "oci-layout": 0,
    repositories: 0,
  });
});

test("the order in which images and tags were named does not matter", () => {
  const turned = { ...base, references: base.references.toReversed() };
  assert.deepEqual(plan(derived, base), plan(turned, derived));
});

test("a layer that several images have is there once, with the time of the oldest", () => {
  const old = imageOf(parseDigest(`sha256:${"1".repeat(64)}`), 10, [lower], [{ created: "2001-09-09T01:46:40Z" }]);
  for (const entries of [plan(old, base), plan(base, old)]) {
    const layers = entries.filter((entry) => "layer" in entry);
    assert.deepEqual(
      layers.map(({ path, mtimeSeconds }) => [path, mtimeSeconds]),
      [[`blobs/sha256/${lower.slice(7)}`, 1_000_000_000]],
    );
  }
});

test("an image without a name is in both documents, without a name", () => {
  const entries = plan({ ...base, references: [] }, derived);
  const [named, nameless] = JSON.parse(textOf(entries, "manifest.json") ?? "") as { RepoTags: unknown }[];
  assert.deepEqual([named?.RepoTags, nameless?.RepoTags], [["derived:1"], null]);
  const { manifests } = JSON.parse(textOf(entries, "index.json") ?? "") as { manifests: { annotations?: unknown }[] };
  assert.deepEqual(
    manifests.map(({ annotations }) => annotations === undefined),
    [false, true],
  );
  assert.equal(textOf(plan({ ...base, references: [] }), "repositories"), undefined);
});

test("a parent is named only when it is saved as well and the histories agree", () => {
  const parents = (...images: readonly SavedImage[]): unknown =>
    (JSON.parse(textOf(plan(...images), "manifest.json") ?? "") as { Parent?: string }[]).map(({ Parent }) => Parent);
  assert.deepEqual(parents(derived), [undefined]);
  assert.deepEqual(parents(base, derived), [undefined, baseId]);
  const foreign = imageOf(derivedId, 1323, [lower, upper], [second, second], { tags: ["derived:1"], parent: baseId });
  assert.deepEqual(parents(base, foreign), [undefined, undefined]);
});

test("annotations of the original manifest are the manifest's", () => {
  const entries = plan({ ...base, annotations: { b: "2", a: "1" } });
  const manifest = entries.find((entry) => "bytes" in entry && Buffer.from(entry.bytes).includes('"annotations"'));
  assert.ok(manifest !== undefined && "bytes" in manifest);
  const text = Buffer.from(manifest.bytes).toString();
  assert.ok(text.endsWith('"annotations":{"a":"1","b":"2"}}'), text);
});

test("an image without layers has no sources and no place in repositories", () => {
  const bare = imageOf(parseDigest(`sha256:${"2".repeat(64)}`), 10, [], [], { tags: ["bare:1"] });
  const entries = plan(bare);
  assert.equal(textOf(entries, "repositories"), undefined);
  assert.deepEqual(JSON.parse(textOf(entries, "manifest.json") ?? ""), [
    { Config: `blobs/sha256/${"2".repeat(64)}`, RepoTags: ["bare:1"], Layers: [] },
  ]);
});
