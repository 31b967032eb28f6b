import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type Digest, parseDigest } from "../../../base/digest.ts";
import { parseNamed } from "../../../base/reference.ts";
import { annotationsFor, parseAnnotation } from "./annotations.ts";
import {
  layerMediaType,
  renderAttestationManifest,
  renderImageManifest,
  renderIndex,
  renderStatement,
  subjectNames,
} from "./manifests.ts";

const digest = (hex: string): Digest => parseDigest(`sha256:${hex}`);
const amd64 = { os: "linux", architecture: "amd64" };
const first = digest("375cc866cab2cebcf18e486ffb8595200d6113555bdff3b84587cc46afec41ee");
const config = {
  digest: digest("505cf50f66fa56f30a480acae4de71fd914ce7479cc463fe9c4f91c0305635ff"),
  sizeBytes: 2180,
};
const sizes = [95, 89];
const layers = (oci: boolean) =>
  [first, digest("915d2841b9923d82a3a369646c7c2857145bf3318b6b9ee5f8dc3e9e4632b55e")].map((item, index) => ({
    digest: item,
    mediaType: layerMediaType("gzip", oci),
    sizeBytes: sizes[index] ?? 0,
  }));

describe("documents that dockerd 28.5 made of the same build", () => {
  it("an OCI manifest and a Docker manifest", () => {
    const digests = [true, false].map(
      (oci) => renderImageManifest(config, layers(oci), { oci, annotations: undefined }).digest,
    );
    assert.deepEqual(digests, [
      "sha256:6a9aeb40f059195d431d383a64b302b02587adf31a7589b0318838c950862ce1",
      "sha256:c25cf7a5442203bf60e4cef1afc46a93778ceb9ecc4ba2d246c3b4755497a128",
    ]);
  });

  it("a statement, the attestation manifest that carries it, and the index of two platforms", () => {
    const provenance = {
      predicateType: "https://slsa.dev/provenance/v0.2",
      predicate: {
        builder: { id: "" },
        buildType: "https://mobyproject.org/buildkit@v1",
        invocation: {
          configSource: { entryPoint: "Dockerfile" },
          parameters: { frontend: "dockerfile.v0", locals: [{ name: "context" }, { name: "dockerfile" }] },
          environment: { platform: "linux/amd64" },
        },
        metadata: {
          buildInvocationID: "jbro3ej6um6ighr2rvm16zmfc",
          buildStartedOn: "2026-11-28T07:50:25.705785923Z",
          buildFinishedOn: "2026-11-28T07:50:25.873326475Z",
          completeness: { parameters: true, environment: true, materials: false },
          reproducible: false,
          "https://mobyproject.org/buildkit@v1#metadata": {},
        },
      },
    };
    const second = digest("6a1c82e911dc39baa1d349219245b7f47902b9684ac4213007776ecae90d41f4");
    const media = layerMediaType("gzip", true);
    const imageOf = (hex: string) =>
      renderImageManifest(
        { digest: digest(hex), sizeBytes: 2310 },
        [
          { digest: first, mediaType: media, sizeBytes: 95 },
          { digest: second, mediaType: media, sizeBytes: 89 },
        ],
        { oci: true, annotations: undefined },
      );
    const images = [
      imageOf("8043be1703eacf962ffc7263c864aca08d1137f74c914a167a28b115357ce55a"),
      imageOf("46acf960e66c4b25211a6af871d11bd32a165325c19e6e795e1c6bf58e1d3306"),
    ];
    const platforms = [amd64, { ...amd64, architecture: "arm64" }];
    const names = [parseNamed("foo:1")];
    const attestations = images.map((image, index) => {
      const platform = platforms[index] ?? amd64;
      return renderAttestationManifest([provenance], subjectNames(names, platform), image, false);
    });
    assert.deepEqual(
      attestations.flatMap(({ manifest, config: own, statements }) => [
        manifest.digest,
        own.digest,
        ...statements.map((statement) => statement.digest),
      ]),
      [
        "sha256:c68612affc6b17b06e883cf433d6a325df6e8cb39997f0e4592f7cf664e2a282",
        "sha256:7fd0d0da1b1aed12aa7f11d61444c1517a3349f9e43476c13a7df8ad4d637b6a",
        "sha256:91c25cc689d878e4dd00e60aa2607a02e579c0d4c2238234328ddaa7eab7b8e1",
        "sha256:d7af9ddb7622dc1cf446ee5d20aae18cbb3314635a5b71b072a110a6901bb4b8",
        "sha256:500b573d8484b33c2e690d5cad3dfd8950f8f1b7e74c253e110c452c61a7e581",
        "sha256:0da29f7fd1242b3ae45c70e68bea8c6b1cc74eafc60e60c40bede8d0c8e97ec8",
      ],
    );
    const index = renderIndex(
      [
        ...images.map((image, at) => ({
          ...image,
          sizeBytes: image.bytes.length,
          platform: platforms[at] ?? amd64,
          annotations: undefined,
        })),
        ...attestations.map(({ child }) => child),
      ],
      { oci: true, annotations: undefined },
    );
    assert.equal(index.digest, "sha256:b0bcccd22e8f3d6c22128ac5fca070770617beb59dcfa53d465ec6f412b1e315");
  });
});

describe("what dockerd 28.5 did not make here", () => {
  it("an artifact has a subject and an empty config", () => {
    const subject = renderImageManifest(config, layers(true), { oci: true, annotations: undefined });
    const { manifest, config: own } = renderAttestationManifest(
      [{ predicateType: "https://x.example/p", predicate: {} }],
      ["_"],
      subject,
      true,
    );
    const document = JSON.parse(manifest.bytes.toString()) as Record<string, unknown>;
    assert.deepEqual(
      [document["artifactType"], document["subject"], own.bytes.toString()],
      [
        "application/vnd.docker.attestation.manifest.v1+json",
        { mediaType: subject.mediaType, digest: subject.digest, size: subject.bytes.length },
        "{}",
      ],
    );
  });

  it("an image without a name is the subject _", () => {
    assert.deepEqual(subjectNames([], amd64), ["_"]);
    assert.match(
      renderStatement({ predicateType: "t", predicate: 1 }, ["_"], first).bytes.toString(),
      /"subject":\[\{"name":"_","digest":\{"sha256":"375cc866/,
    );
  });

  it("annotations have levels and platforms; one that names the platform counts more", () => {
    const annotations = [
      parseAnnotation("annotation[linux/amd64].a.b", "own"),
      parseAnnotation("annotation.a.b", "all"),
      parseAnnotation("annotation-index.c", "index"),
      parseAnnotation("annotation-manifest-descriptor.d", "descriptor"),
    ].filter((item) => item !== undefined);
    assert.deepEqual(
      [
        annotationsFor(annotations, "manifest", amd64),
        annotationsFor(annotations, "manifest", { ...amd64, architecture: "arm64" }),
        annotationsFor(annotations, "index", undefined),
        annotationsFor(annotations, "manifest-descriptor", amd64),
        annotationsFor(annotations, "index-descriptor", undefined),
      ],
      [{ "a.b": "own" }, { "a.b": "all" }, { c: "index" }, { d: "descriptor" }, undefined],
    );
  });
});
