import assert from "node:assert/strict";
import { test } from "node:test";
import { digestOf } from "../base/digest.ts";
import { RegistryError } from "./errors.ts";
import { accepts, parseManifestDocument } from "./manifest-document.ts";

const oci = "application/vnd.oci.image.manifest.v1+json";
const index = "application/vnd.oci.image.index.v1+json";
const docker = "application/vnd.docker.distribution.manifest.v2+json";
const descriptor = (letter: string, extra: object = {}): object => ({
  mediaType: "application/octet-stream",
  digest: `sha256:${letter.repeat(64)}`,
  size: 3,
  ...extra,
});
const manifest = { schemaVersion: 2, config: descriptor("a"), layers: [descriptor("b")] };
const bytesOf = (value: unknown): Buffer => Buffer.from(typeof value === "string" ? value : JSON.stringify(value));

test("a manifest needs its config and layers, an index its manifests", () => {
  const bytes = bytesOf({ ...manifest, mediaType: oci, subject: descriptor("c"), annotations: { k: "v" } });
  assert.deepEqual(parseManifestDocument(bytes, `${oci}; charset=utf-8`), {
    digest: digestOf(bytes),
    mediaType: oci,
    sizeBytes: bytes.length,
    kind: "manifest",
    needs: ["a", "b"].map((letter) => ({ digest: `sha256:${letter.repeat(64)}`, sizeBytes: 3 })),
    subject: `sha256:${"c".repeat(64)}`,
    artifactType: "application/octet-stream",
    annotations: { k: "v" },
  });
  const document = parseManifestDocument(bytesOf({ schemaVersion: 2, manifests: [descriptor("d")] }), undefined);
  assert.equal(document.kind, "index");
  assert.equal(document.mediaType, index);
  assert.equal(document.artifactType, undefined);
  assert.deepEqual(document.needs, [{ digest: `sha256:${"d".repeat(64)}`, sizeBytes: 3 }]);
});

test("what is to be had elsewhere is not needed here", () => {
  const layers = [
    descriptor("b", { urls: ["https://example.com/layer"] }),
    descriptor("c", { mediaType: "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip" }),
    descriptor("d"),
  ];
  const { needs } = parseManifestDocument(bytesOf({ ...manifest, layers }), oci);
  assert.deepEqual(
    needs.map(({ digest }) => digest.at(-1)),
    ["a", "d"],
  );
});

test("T03: documents of two kinds, with keys twice, or of another type than they say are refused", () => {
  const cases: [unknown, string | undefined, RegExp][] = [
    [{ ...manifest, manifests: [] }, oci, /index as well/],
    [{ ...manifest, Manifests: [] }, oci, /index as well/],
    [{ ...manifest, mediaType: oci }, index, /says that it is/],
    [{ ...manifest, mediaType: index }, undefined, /mediaType is another's/],
    [manifest, index, /no media type of an image manifest/],
    [{ schemaVersion: 2, manifests: [] }, docker, /no media type of an index/],
    [manifest, "text/html", /no media type/],
    ['{"schemaVersion":2,"layers":[],"layers":[]}', oci, /twice/],
    [{ schemaVersion: 1, fsLayers: [], history: [] }, undefined, /schemaVersion/],
    [manifest, "application/vnd.docker.distribution.manifest.v1+prettyjws", /schema 1/],
    [{ ...manifest, config: descriptor("a", { digest: "sha256:../../x" }) }, oci, /digest/],
    [{ ...manifest, subject: { digest: "md5:x" } }, oci, /digest/],
    [{ ...manifest, layers: [descriptor("b", { size: -1 })] }, oci, /size/],
    ["[".repeat(100_000), oci, /nested/],
    ["nonsense", oci, /./],
  ];
  for (const [value, type, message] of cases)
    assert.throws(
      () => parseManifestDocument(bytesOf(value), type),
      (error) => error instanceof RegistryError && error.status === 400 && message.test(error.message),
      String(message),
    );
});

test("an Accept header takes a type by its name or a wildcard, not with q=0", () => {
  assert.equal(accepts(undefined, oci), true);
  assert.equal(accepts(`text/html, ${oci};q=0.5`, oci), true);
  assert.equal(accepts("*/*", oci), true);
  assert.equal(accepts(docker, oci), false);
  assert.equal(accepts(`${oci};q=0`, oci), false);
});
