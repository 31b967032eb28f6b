// Manifests, indexes and attestation manifests of a build, byte for byte as BuildKit lays them out: two spaces, members in the
// order of Go's structs. Pure. Sources: OCI image-spec 1.1, manifest.md, image-index.md; BuildKit, docs/attestations; archives
// that dockerd 28.5 made (manifests.test.ts).

import { type Digest, digestOf } from "../../../base/digest.ts";
import { type Named, familiarRepository } from "../../../base/reference.ts";
import type { Platform } from "../../../spec/oci/image.ts";
import { renderPlatform } from "../../../spec/oci/platform.ts";
import type { LayerCompression } from "../../images/index.ts";
import type { Attestation } from "../attest/index.ts";
import { renderGoJson, sortMembers } from "./go-json.ts";

type Annotations = Readonly<Record<string, string>> | undefined;

export const ociIndexType = "application/vnd.oci.image.index.v1+json";
export const ociManifestType = "application/vnd.oci.image.manifest.v1+json";
const ociConfigType = "application/vnd.oci.image.config.v1+json";
const ociLayerType = "application/vnd.oci.image.layer.v1.tar";
const dockerListType = "application/vnd.docker.distribution.manifest.list.v2+json";
const dockerManifestType = "application/vnd.docker.distribution.manifest.v2+json";
const dockerConfigType = "application/vnd.docker.container.image.v1+json";
const dockerLayerType = "application/vnd.docker.image.rootfs.diff.tar";
const inTotoType = "application/vnd.in-toto+json";
const attestationType = "application/vnd.docker.attestation.manifest.v1+json";
const emptyType = "application/vnd.oci.empty.v1+json";

/** A document with its descriptor's parts. */
export interface Document {
  readonly mediaType: string;
  readonly digest: Digest;
  readonly bytes: Buffer;
}

export interface ManifestLayer {
  readonly mediaType: string;
  readonly digest: Digest;
  readonly sizeBytes: number;
}

/** A child of an index. */
export interface IndexChild extends Pick<Document, "mediaType" | "digest"> {
  readonly sizeBytes: number;
  readonly platform: Platform;
  readonly annotations: Annotations;
}

function documentOf(mediaType: string, value: unknown): Document {
  const bytes = Buffer.from(renderGoJson(value, 2));
  return { mediaType, digest: digestOf(bytes), bytes };
}

/** "+gzip" for OCI, ".gzip" for Docker. */
export function layerMediaType(compression: LayerCompression, oci: boolean): string {
  const base = oci ? ociLayerType : dockerLayerType;
  return compression === "uncompressed" ? base : `${base}${oci ? "+" : "."}${compression}`;
}

function annotated(annotations: Annotations): object {
  return annotations === undefined ? {} : { annotations: sortMembers(annotations) };
}

/** Members in the order of Go's struct. */
export function renderPlatformObject(platform: Platform): unknown {
  const { architecture, os, variant } = platform;
  const osVersion = platform["os.version"];
  return {
    architecture,
    os,
    ...(osVersion === undefined || osVersion === "" ? {} : { "os.version": osVersion }),
    ...(variant === undefined || variant === "" ? {} : { variant }),
  };
}

export function renderImageManifest(
  config: { readonly digest: Digest; readonly sizeBytes: number },
  layers: readonly ManifestLayer[],
  options: { readonly oci: boolean; readonly annotations: Annotations },
): Document {
  const mediaType = options.oci ? ociManifestType : dockerManifestType;
  return documentOf(mediaType, {
    schemaVersion: 2,
    mediaType,
    config: {
      mediaType: options.oci ? ociConfigType : dockerConfigType,
      digest: config.digest,
      size: config.sizeBytes,
    },
    layers: layers.map(({ mediaType: type, digest, sizeBytes }) => ({ mediaType: type, digest, size: sizeBytes })),
    ...annotated(options.annotations),
  });
}

export function renderIndex(
  children: readonly IndexChild[],
  options: { readonly oci: boolean; readonly annotations: Annotations },
): Document {
  const mediaType = options.oci ? ociIndexType : dockerListType;
  return documentOf(mediaType, {
    schemaVersion: 2,
    mediaType,
    manifests: children.map((child) => ({
      mediaType: child.mediaType,
      digest: child.digest,
      size: child.sizeBytes,
      ...annotated(child.annotations),
      platform: renderPlatformObject(child.platform),
    })),
    ...annotated(options.annotations),
  });
}

/** "pkg:docker/foo@1?platform=linux%2Farm64" of each name; "_" for an image without one. */
export function subjectNames(names: readonly Named[], platform: Platform): readonly string[] {
  if (names.length === 0) return ["_"];
  return names.map(
    (named) =>
      `pkg:docker/${familiarRepository(named)}@${named.tag ?? ""}?platform=${encodeURIComponent(renderPlatform(platform))}`,
  );
}

/** An in-toto statement about an image's manifest. */
export function renderStatement(attestation: Attestation, names: readonly string[], digest: Digest): Document {
  const sha256 = digest.slice("sha256:".length);
  const bytes = Buffer.from(
    renderGoJson({
      _type: "https://in-toto.io/Statement/v0.1",
      predicateType: attestation.predicateType,
      subject: names.map((name) => ({ name, digest: { sha256 } })),
      predicate: attestation.predicate,
    }),
  );
  return { mediaType: inTotoType, digest: digestOf(bytes), bytes };
}

export interface AttestationManifest {
  readonly manifest: Document;
  readonly config: Document;
  readonly statements: readonly Document[];
  readonly child: IndexChild;
}

/**
 * The manifest that carries an image's attestations, and its place in the index.
 *
 * @param subject the image's manifest
 * @param asArtifact an OCI artifact with a subject, in place of an image for an unknown platform
 */
export function renderAttestationManifest(
  attestations: readonly Attestation[],
  names: readonly string[],
  subject: Document,
  asArtifact: boolean,
): AttestationManifest {
  const statements = attestations.map((attestation) => renderStatement(attestation, names, subject.digest));
  const layers = statements.map(({ mediaType, digest, bytes }, index) => ({
    mediaType,
    digest,
    size: bytes.length,
    annotations: { "in-toto.io/predicate-type": attestations[index]?.predicateType ?? "" },
  }));
  const config = asArtifact ? emptyConfig() : attestationConfig(statements);
  const manifest = documentOf(ociManifestType, {
    schemaVersion: 2,
    mediaType: ociManifestType,
    ...(asArtifact ? { artifactType: attestationType } : {}),
    config: { mediaType: config.mediaType, digest: config.digest, size: config.bytes.length },
    layers,
    ...(asArtifact
      ? { subject: { mediaType: subject.mediaType, digest: subject.digest, size: subject.bytes.length } }
      : {}),
  });
  const child: IndexChild = {
    mediaType: manifest.mediaType,
    digest: manifest.digest,
    sizeBytes: manifest.bytes.length,
    platform: { architecture: "unknown", os: "unknown" },
    annotations: {
      "vnd.docker.reference.digest": subject.digest,
      "vnd.docker.reference.type": "attestation-manifest",
    },
  };
  return { manifest, config, statements, child };
}

function attestationConfig(statements: readonly Document[]): Document {
  const bytes = Buffer.from(
    renderGoJson({
      architecture: "unknown",
      os: "unknown",
      config: {},
      rootfs: { type: "layers", diff_ids: statements.map(({ digest }) => digest) },
    }),
  );
  return { mediaType: ociConfigType, digest: digestOf(bytes), bytes };
}

function emptyConfig(): Document {
  const bytes = Buffer.from("{}");
  return { mediaType: emptyType, digest: digestOf(bytes), bytes };
}
