import assert from "node:assert/strict";
import { test } from "node:test";
import { type DiffId, digestOf } from "../../../base/digest.ts";
import { parseCacheExport, parseCacheImport } from "./attributes.ts";
import { parseCacheConfig, renderCacheConfig } from "./cache-config.ts";
import type { CacheRequest } from "./index.ts";

const diff = (name: string): DiffId => digestOf(name) as string as DiffId;
const record = {
  id: "0".repeat(25),
  keys: ["content:1"],
  layers: [diff("a"), diff("b")],
  createdAt: "2026-01-01T00:00:00Z",
  description: "RUN a",
  hasLayers: true,
};

test("a cache's document says what it was made of, and BuildKit reads it as one without records", () => {
  const document = {
    records: [
      record,
      { ...record, id: "1".repeat(25), layers: [diff("a")] },
      { ...record, layers: [], hasLayers: false },
    ],
    locations: new Map([[diff("a"), { digest: digestOf("blob"), sizeBytes: 5, mediaType: "x" }]]),
    mounts: [{ id: "pip", digest: digestOf("mount"), sizeBytes: 7 }],
  };
  const bytes = renderCacheConfig(document);
  assert.deepEqual(parseCacheConfig(bytes), document);
  const { layers, records } = JSON.parse(bytes.toString()) as { layers: { blob: string }[]; records: unknown[] };
  assert.deepEqual([layers.map(({ blob }) => blob), records], [[digestOf("blob")], []]);
});

test("another builder's document is none of ours", () => {
  assert.equal(parseCacheConfig(Buffer.from('{"layers":[],"records":[]}')), undefined);
});

test("hostile documents are refused", () => {
  const ours = (gantry: unknown): Buffer => Buffer.from(JSON.stringify({ gantry }));
  const layer = (parent: number): object => ({ diffId: diff("a"), parent });
  const common = { version: 1, blobs: [], mounts: [] };
  for (const document of [
    { ...common, layers: [layer(0)], records: [] },
    { ...common, layers: [layer(1), layer(0)], records: [] },
    { ...common, layers: Array.from({ length: 127 }, (_, index) => layer(index - 1)), records: [] },
    { ...common, layers: [], records: [{ ...record, layers: undefined, layer: 3 }] },
    { ...common, layers: [], records: [{ ...record, layers: undefined, id: "../../etc", layer: -1 }] },
    { ...common, version: 2, layers: [], records: [] },
  ])
    assert.throws(() => parseCacheConfig(ours(document)), { kind: "InvalidParameter" });
});

test("attributes are checked before anything is built", () => {
  const request = (type: string, attributes: Record<string, string>): CacheRequest =>
    ({ type, attributes }) as unknown as CacheRequest;
  for (const [type, attributes, kind, message] of [
    ["gha", {}, "NotImplemented", /use type=registry,ref=… or type=local/],
    ["s3", {}, "NotImplemented", /^cache type s3 is not supported/],
    ["ftp", {}, "InvalidParameter", "unknown cache type: ftp"],
    ["registry", {}, "InvalidParameter", "cache type registry needs ref=…"],
    ["registry", { ref: "a", color: "red" }, "InvalidParameter", "unknown attribute color of cache type registry"],
    ["registry", { ref: "a", mode: "all" }, "InvalidParameter", "invalid mode all: one of min, max is possible"],
    ["registry", { ref: "A" }, "InvalidParameter", /must be lowercase/],
    ["inline", { mode: "max" }, "InvalidParameter", /mode=min only/],
    ["local", { dest: "/a", compression: "lz4" }, "InvalidParameter", /^invalid compression lz4/],
  ] as const)
    assert.throws(() => parseCacheExport(request(type, attributes)), { kind, message });
  assert.deepEqual(parseCacheImport(request("registry", { ref: "app", mounts: "false" })), {
    type: "registry",
    named: { domain: "docker.io", path: "library/app", tag: "latest", digest: undefined },
    fillMounts: false,
  });
  assert.equal(parseCacheImport(request("inline", {})), undefined);
});
