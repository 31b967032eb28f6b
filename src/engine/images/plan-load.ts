// Decides what an archive's contents mean: which images, of which layers, under which names. Pure: nothing is changed.
// A docker-archive is recognised by manifest.json, an OCI layout by index.json; with both the former counts, as in dockerd.

import { type Digest, type DiffId, parseDiffId } from "../../base/digest.ts";
import { EngineError } from "../../base/errors.ts";
import { type Named, parseNamed, withDefaultTag } from "../../base/reference.ts";
import type { OciImageConfig } from "../../spec/oci/image.ts";
import type { StagedLayer } from "../snapshots/index.ts";
import type { ArchiveContents, ArchiveFile } from "./archive.ts";
import { parseImageConfig } from "./parse-config.ts";
import { type ParsedDescriptor, parseDockerManifest, parseDocument } from "../../spec/oci/parse.ts";
import { type WantedPlatform, choosePlatform, matchesPlatform, renderPlatform } from "../../spec/oci/platform.ts";

/** An image that an archive holds. */
export interface PlannedImage {
  /** Digest of the config. */
  readonly id: Digest;
  readonly configBytes: Uint8Array;
  readonly config: OciImageConfig;
  /** Bottom first, one per diff id of the config, verified. */
  readonly layers: readonly { readonly diffId: DiffId; readonly staged: StagedLayer }[];
  readonly references: readonly Named[];
}

const maxIndexDepth = 4;

function refused(message: string): EngineError {
  return new EngineError("InvalidParameter", message);
}

/**
 * @param wanted the platform asked for; undefined for this host's
 * @throws InvalidParameter no image archive, or one that contradicts itself
 * @throws NotFound         no image of the platform asked for
 */
export function planLoad(contents: ArchiveContents, wanted: WantedPlatform | undefined): readonly PlannedImage[] {
  const dockerManifest = contents.file("manifest.json");
  if (dockerManifest !== undefined) return planDockerArchive(contents, documentOf(dockerManifest), wanted);
  const index = contents.file("index.json");
  if (index !== undefined) return planOciLayout(contents, documentOf(index), wanted);
  throw refused("not an image archive: it has neither manifest.json (docker-archive) nor index.json (OCI layout)");
}

function documentOf(file: ArchiveFile): Uint8Array {
  if (file.document === undefined) throw file.failure ?? refused(`${file.digest} is not a document`);
  return file.document;
}

function planDockerArchive(
  contents: ArchiveContents,
  manifest: Uint8Array,
  wanted: WantedPlatform | undefined,
): readonly PlannedImage[] {
  return parseDockerManifest(manifest).map((entry) => {
    const configFile = contents.file(entry.config);
    if (configFile === undefined)
      throw refused(`invalid archive: the config ${JSON.stringify(entry.config)} is missing`);
    const layers = entry.layers.map((path) => {
      const file = contents.file(path);
      if (file === undefined) throw refused(`invalid archive: the layer ${JSON.stringify(path)} is missing`);
      return file;
    });
    const references = entry.repoTags.map((text) => {
      const named = parseNamed(text);
      if (named.tag === undefined) throw refused(`invalid tag ${JSON.stringify(text)}`);
      return { ...named, digest: undefined };
    });
    return planImage(configFile, layers, references, wanted);
  });
}

/** Joins a config with its layers. */
function planImage(
  configFile: ArchiveFile,
  layers: readonly ArchiveFile[],
  references: readonly Named[],
  wanted: WantedPlatform | undefined,
): PlannedImage {
  const configBytes = documentOf(configFile);
  const config = parseImageConfig(configBytes);
  if (wanted !== undefined && !matchesPlatform(config, wanted))
    throw new EngineError(
      "NotFound",
      `the archive's image is for ${renderPlatform(config)}, not for the platform asked for (${renderPlatform(wanted)})`,
    );
  const diffIds = config.rootfs.diff_ids.map(parseDiffId);
  if (diffIds.length !== layers.length)
    throw refused(`invalid manifest, layers length mismatch: expected ${layers.length}, got ${diffIds.length}`);
  return {
    id: configFile.digest,
    configBytes,
    config,
    layers: layers.map((file, index) => {
      const diffId = diffIds[index] as DiffId;
      if (file.layer === undefined) throw file.failure ?? refused(`${file.digest} is not a layer`);
      if (file.layer.diffId !== diffId)
        throw refused(
          `layer diffID mismatch for layer ${index}: expected ${JSON.stringify(diffId)}, got ${JSON.stringify(file.layer.diffId)}`,
        );
      return { diffId, staged: file.layer };
    }),
    references,
  };
}

function planOciLayout(
  contents: ArchiveContents,
  index: Uint8Array,
  wanted: WantedPlatform | undefined,
): readonly PlannedImage[] {
  const layout = contents.file("oci-layout");
  if (layout === undefined) throw refused("invalid OCI layout: oci-layout is missing");
  const document = parseDocument(index);
  if (document.kind !== "index") throw refused("invalid OCI layout: index.json is not an index");
  const planned = new Map<Digest, PlannedImage>();
  for (const [name, descriptors] of groupByName(document.manifests)) {
    const candidates =
      descriptors.every(({ platform }) => platform !== undefined) && descriptors.length > 1
        ? [choose(descriptors, wanted)]
        : descriptors;
    for (const descriptor of candidates) {
      const image = planDescriptor(contents, descriptor, wanted, 0);
      const references = name === "" ? [] : [withDefaultTag(parseNamed(name))];
      const before = planned.get(image.id)?.references ?? [];
      planned.set(image.id, { ...image, references: [...before, ...references] });
    }
  }
  if (planned.size === 0) throw refused("invalid OCI layout: index.json names no image");
  return [...planned.values()];
}

/** Attestations and the like are no images: their platform is "unknown". */
function isImage(descriptor: ParsedDescriptor): boolean {
  return descriptor.annotations["vnd.docker.reference.type"] === undefined && descriptor.platform?.os !== "unknown";
}

function groupByName(descriptors: readonly ParsedDescriptor[]): ReadonlyMap<string, readonly ParsedDescriptor[]> {
  return Map.groupBy(descriptors.filter(isImage), nameOf);
}

/** containerd writes the whole name; others the whole name or only a tag in ref.name. A tag alone names nothing. */
function nameOf(descriptor: ParsedDescriptor): string {
  const whole = descriptor.annotations["io.containerd.image.name"];
  if (whole !== undefined) return whole;
  const name = descriptor.annotations["org.opencontainers.image.ref.name"] ?? "";
  return /[/:]/.test(name) ? name : "";
}

function choose(descriptors: readonly ParsedDescriptor[], wanted: WantedPlatform | undefined): ParsedDescriptor {
  const chosen = choosePlatform(descriptors, wanted);
  if (chosen !== undefined) return chosen;
  const there = descriptors.flatMap(({ platform }) => (platform === undefined ? [] : [renderPlatform(platform)]));
  const what = wanted === undefined ? "this host" : renderPlatform(wanted);
  throw new EngineError("NotFound", `the archive has no image for ${what}, only for ${there.join(", ")}`);
}

function planDescriptor(
  contents: ArchiveContents,
  descriptor: ParsedDescriptor,
  wanted: WantedPlatform | undefined,
  depth: number,
): PlannedImage {
  if (depth > maxIndexDepth) throw refused("invalid OCI layout: indexes are nested too deeply");
  const document = parseDocument(documentOf(blobOf(contents, descriptor)));
  if (document.kind === "index")
    return planDescriptor(contents, choose(document.manifests.filter(isImage), wanted), wanted, depth + 1);
  const layers = document.layers.map((layer) => blobOf(contents, layer));
  return planImage(blobOf(contents, document.config), layers, [], wanted);
}

function blobOf(contents: ArchiveContents, descriptor: ParsedDescriptor): ArchiveFile {
  const file = contents.blob(descriptor.digest);
  if (file === undefined) throw refused(`invalid OCI layout: blob ${descriptor.digest} is missing`);
  if (file.sizeBytes !== descriptor.size)
    throw refused(`invalid OCI layout: blob ${descriptor.digest} has ${file.sizeBytes} bytes, not ${descriptor.size}`);
  return file;
}
