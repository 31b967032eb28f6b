import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { digestOf } from "../../base/digest.ts";
import { isEngineError } from "../../base/errors.ts";
import type { Distribution, Repository } from "../../distribution/index.ts";
import type { ImagesDeps } from "./images.ts";
import { inspectDistribution, parseSearchFilters, platformOfConfig, searchRegistry } from "./registry-queries.ts";

const never = new AbortController().signal;
const hit = { name: "a", description: "", star_count: 3, is_official: true, is_automated: false };

function filters(values: Readonly<Record<string, readonly string[]>>): ReadonlyMap<string, readonly string[]> {
  return new Map(Object.entries(values));
}

/** A registry with one repository, whose documents are by tag and digest. */
function registryWith(documents: Readonly<Record<string, { readonly bytes: Buffer; readonly mediaType: string }>>) {
  const find = (reference: string) =>
    documents[reference] ?? Object.values(documents).find(({ bytes }) => digestOf(bytes) === reference);
  const repository: Partial<Repository> = {
    headManifest: async (reference) => {
      const found = find(reference);
      return found && { ...found, digest: digestOf(found.bytes), sizeBytes: found.bytes.length };
    },
    manifest: async (reference) => {
      const found = find(reference);
      assert.ok(found);
      return { ...found, digest: digestOf(found.bytes) };
    },
    openBlob: async (digest) => {
      const bytes = find(digest)?.bytes ?? Buffer.alloc(0);
      return {
        offset: 0,
        sizeBytes: bytes.length,
        chunks: (async function* () {
          yield bytes;
        })(),
      };
    },
  };
  const distribution: Partial<Distribution> = {
    repository: async () => repository as Repository,
    search: async () => [hit, { ...hit, name: "b", is_official: false, star_count: 0 }],
  };
  return { distribution } as ImagesDeps;
}

const config = Buffer.from('{"architecture":"arm","variant":"v7","os":"linux","os.version":"1"}');
const manifest = Buffer.from(
  JSON.stringify({
    schemaVersion: 2,
    config: { mediaType: "c", digest: digestOf(config), size: config.length },
    layers: [],
  }),
);
const index = Buffer.from(
  JSON.stringify({
    schemaVersion: 2,
    manifests: [
      { mediaType: "m", digest: digestOf("1"), size: 1, platform: { os: "linux", architecture: "amd64" } },
      { mediaType: "m", digest: digestOf("2"), size: 1 },
      { mediaType: "m", digest: digestOf("3"), size: 1, platform: { os: "w", architecture: "x", "os.version": "10" } },
    ],
  }),
);

describe("distribution inspect", () => {
  const deps = registryWith({
    one: { bytes: manifest, mediaType: "m" },
    many: { bytes: index, mediaType: "i" },
    config: { bytes: config, mediaType: "c" },
  });

  it("takes the platform of a manifest from its config", async () => {
    assert.deepEqual(await inspectDistribution(deps, "r.example/x:one", undefined, never), {
      Descriptor: { mediaType: "m", digest: digestOf(manifest), size: manifest.length },
      Platforms: [{ architecture: "arm", os: "linux", "os.version": "1", variant: "v7" }],
    });
  });

  it("lists the platforms of an index that names some", async () => {
    assert.deepEqual(await inspectDistribution(deps, "r.example/x:many", undefined, never), {
      Descriptor: { mediaType: "i", digest: digestOf(index), size: index.length },
      Platforms: [
        { architecture: "amd64", os: "linux" },
        { architecture: "x", os: "w", "os.version": "10" },
      ],
    });
  });

  it("says what is not there, and that an image id is no name", async () => {
    await assert.rejects(inspectDistribution(deps, "r.example/x", undefined, never), (error) => {
      return isEngineError(error, "NotFound") && error.message === "manifest unknown: manifest unknown";
    });
    await assert.rejects(inspectDistribution(deps, "a".repeat(64), undefined, never), (error) => {
      return isEngineError(error, "InvalidParameter") && error.message === "no manifest found for full image ID";
    });
  });

  it("refuses a config that is not what the manifest says", async () => {
    const lying = registryWith({ one: { bytes: manifest, mediaType: "m" } });
    await assert.rejects(inspectDistribution(lying, "r.example/x:one", undefined, never), /sent something else/);
  });

  it("knows no platform of a config that is no image's", () => {
    assert.deepEqual(platformOfConfig(Buffer.from("[]")), []);
    assert.deepEqual(platformOfConfig(Buffer.from("nothing")), []);
    assert.deepEqual(platformOfConfig(Buffer.from('{"os":1}')), []);
    assert.deepEqual(platformOfConfig(Buffer.from("{}")), []);
  });
});

describe("search", () => {
  const names = async (values: Readonly<Record<string, readonly string[]>>): Promise<readonly string[]> => {
    const request = { term: "x", limit: 25, filters: filters(values), credentials: undefined };
    return (await searchRegistry(registryWith({}), request, never)).map(({ name }) => name);
  };

  it("keeps what the filters let through", async () => {
    assert.deepEqual(await names({}), ["a", "b"]);
    assert.deepEqual(await names({ "is-official": ["true"] }), ["a"]);
    assert.deepEqual(await names({ "is-official": ["0"] }), ["b"]);
    assert.deepEqual(await names({ stars: ["1", "3"] }), ["a"]);
    assert.deepEqual(await names({ stars: ["1", "4"] }), []);
    assert.deepEqual(await names({ "is-automated": ["false"] }), ["a", "b"]);
    assert.deepEqual(await names({ "is-automated": ["true"] }), []);
  });

  for (const [key, value, message] of [
    ["stars", "x", `invalid filter 'stars=x': strconv.Atoi: parsing "x": invalid syntax`],
    ["is-official", "x", "invalid filter 'is-official=[x]'"],
    ["is-automated", "maybe", "invalid filter 'is-automated=[maybe]'"],
  ] as const)
    it(`refuses ${key}=${value} in dockerd's words`, () => {
      assert.throws(() => parseSearchFilters(filters({ [key]: [value] })), { message });
    });

  it("refuses a term with a scheme", async () => {
    const request = { term: "https://r.example/x", limit: 25, filters: filters({}), credentials: undefined };
    await assert.rejects(searchRegistry(registryWith({}), request, never), {
      message: "invalid repository name: repository name (https://r.example/x) should not have a scheme",
    });
  });
});
