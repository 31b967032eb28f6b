// Decides what an archive's contents mean: which images, of which layers, under which names. Pure: nothing is changed.
// A docker-archive is recognised by manifest.json, an OCI layout by index.json; with both the former counts, as in dockerd. An
// image gets no other names than the archive lists for it, and none by digest: those only a registry can give.

import { type Digest, type DiffId, parseDiffId } from "../../base/digest.ts";
import { EngineError } from "../../base/errors.ts";
import { type Named, parseNamed, withDefaultTag } from "../../base/reference.ts";
import type { ArchiveContents, ArchiveFile } from "./archive.ts";
import { compressedManifests, newManifest } from "./archive-manifests.ts";
import type { NewImage, NewManifest } from "./commit-image.ts";
import { continuesHistory } from "./parentage.ts";
import { parseImageConfig } from "./parse-config.ts";
import { type ParsedDescriptor, parseDockerManifest, parseDocument } from "../../spec/oci/parse.ts";
import { type WantedPlatform, choosePlatform, matchesPlatform, renderPlatform } from "../../spec/oci/platform.ts";

const maxIndexDepth = 4;

function refused(message: string): EngineError {
  return new EngineError("InvalidParameter", message);
}

/**
 * @param wanted the platform asked for; undefined for this host's
 * @throws InvalidParameter no image archive, or one that contradicts itself
 * @throws NotFound         no image of the platform asked for
 */
export function planLoad(contents: ArchiveContents, wanted: WantedPlatform | undefined): readonly NewImage[] {
  const dockerManifest = contents.file("manifest.json");
  if (dockerManifest !== undefined) return planDockerArchive(contents, documentOf(dockerManifest), wanted);
  const index = contents.file("index.json");
  if (index !== undefined) return planOciLayout(contents, documentOf(index), wanted);
  if (contents.file("repositories") !== undefined)
    throw refused(
      "the archive is one of Docker before 1.10 (repositories without manifest.json), which is not supported: " +
        "load it with an older Docker and save it again",
    );
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
): readonly NewImage[] {
  const entries = parseDockerManifest(manifest);
  const images = entries.map((entry) => {
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
    return { ...planImage(configFile, layers, references, wanted), parent: entry.parent };
  });
  const manifests = compressedManifests(contents, new Set(images.map(({ id }) => id)));
  return images.map((image) => ({
    ...image,
    parent: parentAmong(images, image),
    manifests: manifests.filter(({ record }) => record.imageId === image.id),
  }));
}

/** @throws InvalidParameter the archive has it, and the histories disagree */
function parentAmong(
  images: readonly Omit<NewImage, "manifests">[],
  image: Omit<NewImage, "manifests">,
): Digest | undefined {
  const parent = images.find(({ id }) => id === image.parent);
  if (parent === undefined) return undefined;
  if (!continuesHistory(image.config, parent.config))
    throw refused(`image ${parent.id} is not a valid parent for ${image.id}`);
  return parent.id;
}

/** Joins a config with its layers. */
function planImage(
  configFile: ArchiveFile,
  layers: readonly ArchiveFile[],
  references: readonly Named[],
  wanted: WantedPlatform | undefined,
): Omit<NewImage, "parent" | "manifests"> {
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
): readonly NewImage[] {
  const layout = contents.file("oci-layout");
  if (layout === undefined) throw refused("invalid OCI layout: oci-layout is missing");
  const document = parseDocument(index);
  if (document.kind !== "index") throw refused("invalid OCI layout: index.json is not an index");
  const planned = new Map<Digest, NewImage>();
  for (const [name, descriptors] of groupByName(document.manifests)) {
    const candidates =
      descriptors.every(({ platform }) => platform !== undefined) && descriptors.length > 1
        ? [choose(descriptors, wanted)]
        : descriptors;
    for (const descriptor of candidates) {
      const image = planDescriptor(contents, descriptor, wanted, 0);
      const before = planned.get(image.id);
      planned.set(image.id, {
        ...image,
        references: [...(before?.references ?? []), ...referencesOf(name)],
        manifests: withoutTwins([...(before?.manifests ?? []), ...image.manifests]),
      });
    }
  }
  if (planned.size === 0) throw refused("invalid OCI layout: index.json names no image");
  return [...planned.values()];
}

/** A manifest that is listed once per name is one manifest. */
function withoutTwins(manifests: readonly NewManifest[]): readonly NewManifest[] {
  return [...new Map(manifests.map((manifest) => [manifest.record.digest, manifest])).values()];
}

/** Attestations and the like are no images: their platform is "unknown". */
function isImage(descriptor: ParsedDescriptor): boolean {
  return descriptor.annotations["vnd.docker.reference.type"] === undefined && descriptor.platform?.os !== "unknown";
}

function groupByName(descriptors: readonly ParsedDescriptor[]): ReadonlyMap<string, readonly ParsedDescriptor[]> {
  return Map.groupBy(descriptors.filter(isImage), nameOf);
}

/**
 * containerd writes the whole name; podman, skopeo, buildah and crane write it, or only a tag, or nothing in ref.name. A tag alone,
 * or what is no name at all, names nothing.
 */
function nameOf(descriptor: ParsedDescriptor): string {
  const whole = descriptor.annotations["io.containerd.image.name"];
  if (whole !== undefined) return whole;
  const name = descriptor.annotations["org.opencontainers.image.ref.name"] ?? "";
  return /[/:]/.test(name) && isName(name) ? name : "";
}

function isName(text: string): boolean {
  try {
    parseNamed(text);
    return true;
  } catch {
    return false;
  }
}

function referencesOf(name: string): readonly Named[] {
  if (name === "") return [];
  const named = parseNamed(name);
  // Only with a digest it has no tag to be listed under.
  if (named.digest !== undefined && named.tag === undefined) return [];
  return [withDefaultTag({ ...named, digest: undefined })];
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
): NewImage {
  if (depth > maxIndexDepth) throw refused("invalid OCI layout: indexes are nested too deeply");
  const bytes = documentOf(blobOf(contents, descriptor));
  const document = parseDocument(bytes);
  if (document.kind === "index")
    return planDescriptor(contents, choose(document.manifests.filter(isImage), wanted), wanted, depth + 1);
  const layers = document.layers.map((layer) => blobOf(contents, layer));
  const image = planImage(blobOf(contents, document.config), layers, [], wanted);
  return { ...image, parent: undefined, manifests: [newManifest(descriptor.digest, image.id, document, bytes)] };
}

function blobOf(contents: ArchiveContents, descriptor: ParsedDescriptor): ArchiveFile {
  const file = contents.blob(descriptor.digest);
  if (file === undefined) throw refused(`invalid OCI layout: blob ${descriptor.digest} is missing`);
  if (file.sizeBytes !== descriptor.size)
    throw refused(`invalid OCI layout: blob ${descriptor.digest} has ${file.sizeBytes} bytes, not ${descriptor.size}`);
  return file;
}
