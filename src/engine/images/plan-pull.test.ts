import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { digestOf } from "../../base/digest.ts";
import { type EngineError, isEngineError } from "../../base/errors.ts";
import { renderFamiliar } from "../../base/reference.ts";
import type { OciImageConfig } from "../../spec/oci/image.ts";
import type { ParsedDescriptor } from "../../spec/oci/parse.ts";
import { completePlatform } from "../../spec/oci/platform-order.ts";
import { parsePlatform } from "../../spec/oci/platform.ts";
import { checkDocument, checkManifest, chooseManifest, parsePullReference, planLayers } from "./plan-pull.ts";

const oci = "application/vnd.oci.image.manifest.v1+json";
const docker = "application/vnd.docker.distribution.manifest.v2+json";
const index = "application/vnd.oci.image.index.v1+json";
const gzip = "application/vnd.oci.image.layer.v1.tar+gzip";
const configType = "application/vnd.oci.image.config.v1+json";
const digest = digestOf("x");

function descriptor(mediaType: string, more: Partial<ParsedDescriptor> = {}): ParsedDescriptor {
  return { mediaType, digest, size: 1, annotations: {}, platform: undefined, ...more };
}

const refused =
  (text: RegExp, kind: EngineError["kind"] = "InvalidParameter") =>
  (error: unknown): boolean =>
    isEngineError(error, kind) && text.test(error.message);

describe("parsePullReference", () => {
  it("takes tag and digest from either place; a digest decides", () => {
    for (const [image, tag, expected] of [
      ["busybox", "", "busybox"],
      ["busybox", "1", "busybox:1"],
      ["busybox:1", "2", "busybox:2"],
      ["r:5000/a/b", digest, `r:5000/a/b@${digest}`],
      [`a:1@${digest}`, "", `a:1@${digest}`],
      [`a@${digest}`, "1", `a:1@${digest}`],
    ] as const)
      assert.equal(renderFamiliar(parsePullReference(image, tag)), expected);
  });

  it("refuses in dockerd's words", () => {
    assert.throws(() => parsePullReference("A", ""), refused(/must be lowercase/));
    for (const tag of ["-", "sha256:1", `1@${digest}`, "a\nb", "a".repeat(129)])
      assert.throws(() => parsePullReference("a", tag), refused(/^invalid tag format$/), tag);
    assert.throws(() => parsePullReference("scratch", ""), refused(/^'scratch' is a reserved name$/, "Forbidden"));
    assert.throws(() => parsePullReference("docker.io/library/scratch", "1"), refused(/scratch/, "Forbidden"));
  });
});

describe("checkDocument", () => {
  const check = (document: unknown, mediaType: string): ReturnType<typeof checkDocument> =>
    checkDocument({ bytes: Buffer.from(JSON.stringify(document)), mediaType, digest });
  const config = { mediaType: configType, digest, size: 1 };

  it("refuses a document that is another kind than its registry says (CVE-2021-41190)", () => {
    assert.equal(check({ schemaVersion: 2, config, layers: [] }, oci).document.kind, "manifest");
    assert.equal(check({ schemaVersion: 2, manifests: [] }, index).document.kind, "index");
    assert.throws(() => check({ schemaVersion: 2, config, layers: [] }, index), refused(/its registry calls it/));
    assert.throws(() => check({ schemaVersion: 2, manifests: [] }, oci), refused(/its registry calls it/));
    assert.throws(
      () => check({ schemaVersion: 2, manifests: [], layers: [], config }, index),
      refused(/index as well/),
    );
    assert.throws(() => check({ schemaVersion: 2, config, layers: [] }, "text/html"), refused(/its registry calls it/));
  });

  it("refuses schema 1 and what is too large", () => {
    for (const type of ["json", "prettyjws"])
      assert.throws(
        () => check({ schemaVersion: 1 }, `application/vnd.docker.distribution.manifest.v1+${type}`),
        refused(/schema 1 has been removed/),
      );
    assert.throws(
      () => checkDocument({ bytes: Buffer.alloc((4 << 20) + 1, " "), mediaType: oci, digest }),
      refused(/larger than 4194304 bytes/),
    );
  });
});

describe("chooseManifest", () => {
  const entry = (architecture: string, more: Partial<ParsedDescriptor> = {}): ParsedDescriptor =>
    descriptor(oci, { digest: digestOf(architecture), platform: { os: "linux", architecture }, ...more });
  const wanted = completePlatform(parsePlatform("linux/amd64"));

  it("skips attestations and names the platform that is missing", () => {
    const attestation = entry("amd64", { annotations: { "vnd.docker.reference.type": "attestation-manifest" } });
    assert.equal(chooseManifest([attestation, entry("arm64"), entry("amd64")], wanted).digest, digestOf("amd64"));
    const unknown = descriptor(oci, { platform: { os: "unknown", architecture: "unknown" } });
    for (const manifests of [[], [attestation], [unknown], [entry("arm64")]])
      assert.throws(
        () => chooseManifest(manifests, wanted),
        refused(/^no matching manifest for linux\/amd64 in the manifest list entries$/, "NotFound"),
      );
  });
});

describe("checkManifest", () => {
  const check = (config: ParsedDescriptor, layers: readonly ParsedDescriptor[], mediaType = oci): void =>
    checkManifest({ kind: "manifest", mediaType, config, layers }, mediaType);
  const config = descriptor(configType);

  it("takes the layer types of OCI and Docker", () => {
    for (const type of ["", "+gzip", "+zstd"])
      check(config, [descriptor(`application/vnd.oci.image.layer.v1.tar${type}`)]);
    for (const type of ["", ".gzip", ".zstd"])
      check(config, [descriptor(`application/vnd.docker.image.rootfs.diff.tar${type}`)], docker);
    check(descriptor("application/octet-stream"), [descriptor(gzip)], docker);
  });

  it("refuses artifacts, plugins, and layers that are none or kept elsewhere, naming them", () => {
    assert.throws(() => check(descriptor("application/x"), []), refused(/^unsupported media type application\/x$/));
    assert.throws(
      () => check(descriptor("application/vnd.docker.plugin.v1+json"), [], docker),
      refused(/^Encountered remote "application\/vnd\.docker\.plugin\.v1\+json"\(plugin\) when fetching$/),
    );
    const which = `layer 2 of 2 \\(${digest}\\)`;
    for (const type of ["text/plain", `${gzip}+encrypted`, "application/vnd.in-toto+json"])
      assert.throws(
        () => check(config, [descriptor(gzip), descriptor(type)]),
        refused(new RegExp(`^${which} has the unsupported media type`)),
      );
    for (const type of [
      "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
      "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
    ])
      assert.throws(
        () => check(config, [descriptor(gzip), descriptor(type)]),
        refused(new RegExp(`^${which} is kept elsewhere .* not fetched$`)),
      );
  });

  it("limits configs and layers", () => {
    assert.throws(() => check(descriptor(configType, { size: (4 << 20) + 1 }), []), refused(/more than 4194304/));
    assert.throws(
      () =>
        check(
          config,
          Array.from({ length: 126 }, () => descriptor(gzip)),
        ),
      refused(/^max depth exceeded$/),
    );
    assert.throws(
      () => check(config, [descriptor(gzip), descriptor(gzip, { size: 2 })]),
      refused(/claimed with two sizes/),
    );
  });
});

describe("planLayers", () => {
  const config = (...diffIds: readonly string[]): OciImageConfig => ({
    architecture: "amd64",
    os: "linux",
    rootfs: { type: "layers", diff_ids: diffIds },
  });

  it("joins layers and diff ids, as many of the one as of the other", () => {
    const other = descriptor(gzip, { digest: digestOf("other") });
    assert.deepEqual(
      planLayers(config(digestOf("1"), digestOf("2")), [descriptor(gzip), other]).map((layer) => layer.diffId),
      [digestOf("1"), digestOf("2")],
    );
    assert.throws(() => planLayers(config(), [descriptor(gzip)]), refused(/don't match image configuration/));
    assert.throws(
      () => planLayers(config(digestOf("1"), digestOf("2")), [descriptor(gzip), descriptor(gzip)]),
      refused(/don't match image configuration/),
    );
    assert.throws(
      () => planLayers({ ...config(), os: "windows" }, []),
      refused(/^image operating system "windows" cannot be used on this platform/),
    );
  });
});
