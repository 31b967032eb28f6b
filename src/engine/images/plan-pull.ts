// Decides what a pull means: which repository and reference, which entry of an index, and whether a manifest is an image that
// this engine can run. Pure. Texts are those of the reference daemon where it has one.

import { type Digest, type DiffId, parseDigest, parseDiffId } from "../../base/digest.ts";
import { EngineError } from "../../base/errors.ts";
import { type Named, parseNamed, withTag } from "../../base/reference.ts";
import type { OciImageConfig } from "../../spec/oci/image.ts";
import { type ParsedDescriptor, type ParsedDocument, parseDocument } from "../../spec/oci/parse.ts";
import { type ExactPlatform, bestOf } from "../../spec/oci/platform-order.ts";
import { renderPlatform } from "../../spec/oci/platform.ts";
import { maxDocumentBytes } from "../../spec/parse-json.ts";

/** Indexes in indexes; nobody writes more than two. */
export const maxIndexDepth = 4;
/** As many as can be mounted. */
const maxLayers = 125;

const schema1Types = /^application\/vnd\.docker\.distribution\.manifest\.v1\+(json|prettyjws)$/;
const indexTypes = new Set([
  "application/vnd.oci.image.index.v1+json",
  "application/vnd.docker.distribution.manifest.list.v2+json",
]);
const dockerManifestType = "application/vnd.docker.distribution.manifest.v2+json";
const manifestTypes = new Set(["application/vnd.oci.image.manifest.v1+json", dockerManifestType]);

const ociConfigTypes = new Set([
  "application/vnd.oci.image.config.v1+json",
  "application/vnd.docker.container.image.v1+json",
]);
/** What old registries and builders wrote for a Docker config; dockerd takes these as well. */
const dockerConfigTypes = new Set([...ociConfigTypes, "application/octet-stream", "application/json", "text/html", ""]);
const pluginConfigType = "application/vnd.docker.plugin.v1+json";

const layerType =
  /^application\/vnd\.(?:oci\.image\.layer\.v1\.tar(?:\+gzip|\+zstd)?|docker\.image\.rootfs\.diff\.tar(?:\.gzip|\.zstd)?)$/;
const foreignLayerType =
  /^application\/vnd\.(?:oci\.image\.layer\.nondistributable\.v1\.tar|docker\.image\.rootfs\.foreign\.diff\.tar)/;

function refused(message: string): EngineError {
  return new EngineError("InvalidParameter", message);
}

/**
 * What is to be pulled; a name with neither tag nor digest means all tags.
 *
 * @param tag a tag or a digest, which counts in place of the image's own; "" for none
 * @throws InvalidParameter "invalid reference format …", "invalid tag format"
 * @throws Forbidden        "'scratch' is a reserved name"
 */
export function parsePullReference(image: string, tag: string): Named {
  const named = parseNamed(image);
  if (named.domain === "docker.io" && named.path === "library/scratch")
    throw new EngineError("Forbidden", "'scratch' is a reserved name");
  if (tag === "") return named;
  if (/^sha256:[0-9a-f]{64}$/.test(tag)) return { ...named, tag: undefined, digest: parseDigest(tag) };
  return { ...withTag(named, tag), digest: named.digest };
}

/** A manifest as it came, with what it is. */
export interface CheckedDocument {
  readonly bytes: Buffer;
  readonly mediaType: string;
  readonly digest: Digest;
  readonly document: ParsedDocument;
}

/**
 * Reads a manifest or index; what its registry calls it and what it calls itself must be the same (CVE-2021-41190).
 *
 * @throws InvalidParameter schema 1, neither or both, or another kind than its media type says
 */
export function checkDocument(fetched: {
  readonly bytes: Buffer;
  readonly mediaType: string;
  readonly digest: Digest;
}): CheckedDocument {
  const { bytes, digest, mediaType } = fetched;
  if (schema1Types.test(mediaType))
    throw refused(
      "support for Docker Image Format v1 and Docker Image manifest version 2, schema 1 has been removed; " +
        "have the image pushed again by a newer client",
    );
  if (bytes.length > maxDocumentBytes) throw refused(`manifest ${digest} is larger than ${maxDocumentBytes} bytes`);
  const document = parseDocument(bytes);
  const types = document.kind === "index" ? indexTypes : manifestTypes;
  if (!types.has(mediaType))
    throw refused(
      `manifest ${digest} is one of an ${describe(document)}, but its registry calls it ${JSON.stringify(mediaType)}`,
    );
  return { bytes, digest, mediaType, document };
}

function describe(document: ParsedDocument): string {
  return document.kind === "index" ? "index" : "image";
}

/**
 * The entry of an index for a platform. Attestations and the like are no images.
 *
 * @throws NotFound "no matching manifest for linux/s390x in the manifest list entries"
 */
export function chooseManifest(manifests: readonly ParsedDescriptor[], wanted: ExactPlatform): ParsedDescriptor {
  const images = manifests.filter(
    ({ annotations, platform }) => annotations["vnd.docker.reference.type"] === undefined && platform?.os !== "unknown",
  );
  const chosen = bestOf(images, wanted);
  if (chosen !== undefined) return chosen;
  throw new EngineError("NotFound", `no matching manifest for ${renderPlatform(wanted)} in the manifest list entries`);
}

/**
 * Whether a manifest is that of an image whose layers can be had.
 *
 * @throws InvalidParameter no image (an artifact, a plugin), or a layer that registries do not have or that is none
 */
export function checkManifest(manifest: Extract<ParsedDocument, { kind: "manifest" }>, mediaType: string): void {
  const { config, layers } = manifest;
  if (mediaType === dockerManifestType && !dockerConfigTypes.has(config.mediaType)) {
    const what = config.mediaType === pluginConfigType ? "plugin" : "unknown";
    throw refused(`Encountered remote ${JSON.stringify(config.mediaType)}(${what}) when fetching`);
  }
  if (mediaType !== dockerManifestType && !ociConfigTypes.has(config.mediaType))
    throw refused(`unsupported media type ${config.mediaType}`);
  if (config.size > maxDocumentBytes)
    throw refused(`config ${config.digest} has ${config.size} bytes, more than ${maxDocumentBytes}`);
  if (layers.length > maxLayers) throw refused("max depth exceeded");
  const sizes = new Map<Digest, number>();
  for (const [index, layer] of layers.entries()) {
    const which = `layer ${index + 1} of ${layers.length} (${layer.digest})`;
    if (foreignLayerType.test(layer.mediaType))
      throw refused(
        `${which} is kept elsewhere than in the registry (media type ${layer.mediaType}); such layers are not fetched`,
      );
    if (!layerType.test(layer.mediaType)) throw refused(`${which} has the unsupported media type ${layer.mediaType}`);
    if ((sizes.get(layer.digest) ?? layer.size) !== layer.size) throw refused(`${which} is claimed with two sizes`);
    sizes.set(layer.digest, layer.size);
  }
}

/** A layer of an image to be pulled. */
export interface PlannedLayer {
  readonly diffId: DiffId;
  readonly descriptor: ParsedDescriptor;
}

/**
 * Joins the layers of a manifest with those of its config.
 *
 * @throws InvalidParameter they are not the same, or the image is not for linux
 */
export function planLayers(config: OciImageConfig, layers: readonly ParsedDescriptor[]): readonly PlannedLayer[] {
  if (config.os !== "linux")
    throw refused(
      `image operating system ${JSON.stringify(config.os)} cannot be used on this platform: operating system is not supported`,
    );
  const diffIds = config.rootfs.diff_ids.map(parseDiffId);
  const byDigest = new Map<Digest, DiffId>();
  if (diffIds.length !== layers.length) throw refused("layers from manifest don't match image configuration");
  return layers.map((descriptor, index) => {
    const diffId = diffIds[index] as DiffId;
    if ((byDigest.get(descriptor.digest) ?? diffId) !== diffId)
      throw refused("layers from manifest don't match image configuration");
    byDigest.set(descriptor.digest, diffId);
    return { diffId, descriptor };
  });
}
