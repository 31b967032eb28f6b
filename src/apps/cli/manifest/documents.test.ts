// Manifest documents in docker's form. The list's digest is the one that docker CLI 28 pushed for the same images.

import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { digestOf } from "../../../base/digest.ts";
import {
  annotate,
  blobsOf,
  entriesOfList,
  platformOfConfig,
  renderGoJson,
  renderImageManifest,
  renderList,
  renderRemoteList,
  type ImageManifest,
} from "./documents.ts";
import { ManifestStore } from "./store.ts";

const hex = (digit: string): string => `sha256:${digit.repeat(64)}`;
const docker2 = "application/vnd.docker.distribution.manifest.v2+json";
const layerType = "application/vnd.docker.image.rootfs.diff.tar.gzip";

function image(ref: string, platform: ImageManifest["Descriptor"]["platform"]): ImageManifest {
  const document = {
    layers: [
      { digest: hex("b"), size: 2, mediaType: layerType },
      { digest: hex("c"), size: 3, urls: ["https://x/"] },
    ],
    config: { digest: hex("a"), size: 1, mediaType: "application/vnd.docker.container.image.v1+json" },
    mediaType: docker2,
    schemaVersion: 2,
  };
  return renderImageManifest(ref, { bytes: Buffer.from(JSON.stringify(document)), mediaType: docker2 }, platform);
}

test("members stand in docker's order, whatever the registry's", () => {
  const made = image("docker.io/library/a:1", { os: "linux", architecture: "amd64" });
  assert.equal(
    renderGoJson(made.SchemaV2Manifest, ""),
    `{"schemaVersion":2,"mediaType":"${docker2}","config":{"mediaType":"application/vnd.docker.container.image.v1+json","size":1,"digest":"${hex("a")}"},"layers":[{"mediaType":"${layerType}","size":2,"digest":"${hex("b")}"},{"size":3,"digest":"${hex("c")}","urls":["https://x/"]}]}`,
  );
  assert.deepEqual(Object.keys(made), ["Ref", "Descriptor", "Raw", "SchemaV2Manifest"]);
  assert.equal(made.Descriptor.digest, digestOf(Buffer.from(made.Raw, "base64")));
});

test("blobs are the configuration and the layers that registries have", () => {
  assert.deepEqual(blobsOf(image("a", undefined)), [
    { digest: hex("a"), size: 1 },
    { digest: hex("b"), size: 2 },
  ]);
});

test("a list is docker's, byte for byte", () => {
  const entry = (digest: string, architecture: string, more: object = {}): ImageManifest => ({
    Ref: "x",
    Descriptor: { mediaType: docker2, digest, size: 527, platform: { architecture, os: "linux", ...more } },
    Raw: "",
  });
  const { text, mediaType } = renderList([
    entry("sha256:5247a7d532194b8afd6ab77845299581e41b306fa07ce02035e249791bc6d28f", "arm64", {
      variant: "v8",
      "os.features": ["a", "b"],
      "os.version": "1.2",
    }),
    entry("sha256:cea1fa462e0a837cb0b2493d337d05483f2a63968c2d2a34e52b36f3f563d420", "amd64"),
  ]);
  assert.equal(mediaType, "application/vnd.docker.distribution.manifest.list.v2+json");
  assert.equal(digestOf(text), "sha256:62b018eb19ddad9364d484089346129072e7ca1e2b29a05e2510baa03f9c537c");
  assert.equal(renderRemoteList(Buffer.from(text), mediaType), text);
  assert.deepEqual(entriesOfList(Buffer.from(text))[1]?.platform, { architecture: "amd64", os: "linux" });
});

test("an image without a platform cannot be in a list", () => {
  assert.throws(() => renderList([image("a:1", undefined)]), /must have an OS and Architecture/);
});

test("annotations change what they name; impossible platforms are refused", () => {
  const base = image("a", { os: "linux", architecture: "arm64" });
  const none = { os: "", architecture: "", variant: "", osVersion: "", osFeatures: [] };
  assert.deepEqual(annotate(base, { ...none, variant: "v8", osFeatures: ["b", "b"] }).Descriptor.platform, {
    architecture: "arm64",
    os: "linux",
    "os.features": ["b"],
    variant: "v8",
  });
  assert.throws(
    () => annotate(base, { ...none, os: "windows" }),
    /^CliError: manifest entry for image has unsupported os\/arch combination: windows\/$/,
  );
});

test("other documents than image manifests are refused by name", () => {
  assert.throws(
    () => renderImageManifest("a", { bytes: Buffer.from("{}"), mediaType: "text/html" }, undefined),
    /unsupported manifest format: text\/html of a/,
  );
  assert.throws(() => platformOfConfig(Buffer.from("[]")), /is not a JSON object/);
});

test("lists are kept in docker's files and forgotten again", () => {
  const dir = mkdtempSync(join(tmpdir(), "gantry-manifests-"));
  try {
    const store = new ManifestStore(dir);
    const list = "reg.example:5000/l:1";
    assert.throws(() => store.mustList(list), /^CliError: No such manifest: reg\.example:5000\/l:1$/);
    const kept = image("docker.io/library/b:1", { os: "linux", architecture: "amd64" });
    store.save(list, "docker.io/library/b:1", kept);
    store.save(list, "docker.io/library/a:1", kept);
    assert.equal(store.list(list)?.length, 2);
    assert.deepEqual(store.get(list, "docker.io/library/b:1"), kept);
    assert.deepEqual(new ManifestStore(dir).has(list, "docker.io/library/c:1"), false);
    store.remove(list);
    assert.equal(store.list(list), undefined);
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
});
