// What a push will do, decided without I/O: which tags, which manifest, from where blobs can be had, and the manifest of an
// image that has none. Texts of refusals are dockerd's, as its push writes them into the stream.

import type { Digest } from "../../base/digest.ts";
import { EngineError } from "../../base/errors.ts";
import {
  type Named,
  type Reference,
  familiarRepository,
  parseNamed,
  renderFamiliar,
  repositoryOf,
  withTag,
} from "../../base/reference.ts";
import type { EncodedLayer } from "./compress-layer.ts";
import type { LayerCompression } from "./index.ts";
import type { ImageRecord, ManifestRecord } from "./records.ts";

export const dockerManifestType = "application/vnd.docker.distribution.manifest.v2+json";
export const dockerConfigType = "application/vnd.docker.container.image.v1+json";
export const dockerLayerType = "application/vnd.docker.image.rootfs.diff.tar.gzip";
const gzipTypes = new Set([dockerLayerType, "application/vnd.oci.image.layer.v1.tar+gzip"]);

export type ManifestLayer = ManifestRecord["layers"][number];

/** One tag to push. */
export interface PushedTag {
  readonly named: Named & { readonly tag: string };
  readonly imageId: Digest;
}

/**
 * The name that is pushed: a repository, with one tag, or with none for all of them.
 *
 * @throws InvalidParameter malformed
 */
export function parsePushName(name: string, tag: string): Named {
  const named = parseNamed(name);
  return tag === "" ? named : withTag(named, tag);
}

/**
 * @param tags all references of all images
 * @throws NotFound         nothing of that repository is here, or not that tag
 * @throws InvalidParameter a digest reference, or a repository that has digests only
 */
export function planTags(named: Named, tags: Iterable<readonly [Reference, Digest]>): readonly PushedTag[] {
  const repository = repositoryOf(named);
  const known = [...tags]
    .map(([reference, imageId]) => ({ named: parseNamed(reference), imageId }))
    .filter((item) => repositoryOf(item.named) === repository);
  if (known.length === 0)
    throw new EngineError("NotFound", `An image does not exist locally with the tag: ${familiarRepository(named)}`);
  if (named.digest !== undefined) throw new EngineError("InvalidParameter", "cannot push a digest reference");
  const tagged = known.filter((item): item is PushedTag => item.named.tag !== undefined);
  if (named.tag === undefined) {
    if (tagged.length === 0)
      throw new EngineError("InvalidParameter", `no tags to push for ${familiarRepository(named)}`);
    return tagged.sort((a, b) => (a.named.tag < b.named.tag ? -1 : 1));
  }
  const one = tagged.find((item) => item.named.tag === named.tag);
  if (one === undefined) throw new EngineError("NotFound", `tag does not exist: ${renderFamiliar(named)}`);
  return [one];
}

/** A manifest that an image can be pushed with. */
export interface PushCandidate {
  readonly manifest: ManifestRecord;
  /** Blobs that are not here. */
  readonly missing: readonly ManifestLayer[];
}

/**
 * The manifests of an image that can be pushed as they are, the best first: the one that its repository has, then those whose
 * blobs are here, then those of the same registry; the digest decides between equals, so that the choice is always the same.
 *
 * @param references the image's own
 * @param has        whether a blob is here
 */
export function planCandidates(
  image: Pick<ImageRecord, "chain">,
  manifests: readonly ManifestRecord[],
  references: readonly Reference[],
  target: Named,
  has: (digest: Digest) => boolean,
): readonly PushCandidate[] {
  const rank = ({ manifest, missing }: PushCandidate): readonly number[] => {
    const repositories = repositoriesOf(manifest, references);
    const atTarget = repositories.some((named) => repositoryOf(named) === repositoryOf(target));
    const inRegistry = repositories.some(({ domain }) => domain === target.domain);
    return [atTarget ? 0 : 1, missing.length, inRegistry ? 0 : 1];
  };
  return manifests
    .filter(({ digest, layers }) => has(digest) && layers.length === image.chain.length)
    .map((manifest) => ({ manifest, missing: manifest.layers.filter(({ digest }) => !has(digest)) }))
    .map((candidate) => ({ candidate, rank: rank(candidate) }))
    .sort(
      (a, b) => compareRanks(a.rank, b.rank) || (a.candidate.manifest.digest < b.candidate.manifest.digest ? -1 : 1),
    )
    .map(({ candidate }) => candidate);
}

function compareRanks(a: readonly number[], b: readonly number[]): number {
  for (const [index, value] of a.entries()) if (value !== b[index]) return value - (b[index] ?? 0);
  return 0;
}

/** Repositories that are known to have a manifest: where it was pulled from or pushed to. */
export function repositoriesOf(manifest: ManifestRecord, references: readonly Reference[]): readonly Named[] {
  return references
    .map((reference) => parseNamed(reference))
    .filter(({ digest }) => digest !== undefined && (digest === manifest.digest || digest === manifest.index));
}

/** Repositories by blob, of everything that manifests tie together. */
export function indexSources(
  manifests: Iterable<ManifestRecord>,
  referencesByImage: ReadonlyMap<Digest, readonly Reference[]>,
): ReadonlyMap<Digest, readonly Named[]> {
  const sources = new Map<Digest, Map<string, Named>>();
  for (const manifest of manifests) {
    const repositories = repositoriesOf(manifest, referencesByImage.get(manifest.imageId) ?? []);
    if (repositories.length === 0) continue;
    for (const { digest } of manifest.layers) {
      const known = sources.get(digest) ?? new Map<string, Named>();
      for (const named of repositories) known.set(repositoryOf(named), named);
      sources.set(digest, known);
    }
  }
  return new Map([...sources].map(([digest, known]) => [digest, [...known.values()]]));
}

/**
 * Repositories of the target's registry to mount a blob from, those first whose path begins like the target's.
 *
 * @param limit every attempt that fails is a request more
 */
export function planMounts(sources: readonly Named[], target: Named, limit: number): readonly Named[] {
  const first = target.path.split("/", 1)[0];
  const near = ({ path }: Named): number => (path.split("/", 1)[0] === first ? 0 : 1);
  return sources
    .filter((named) => named.domain === target.domain && named.path !== target.path)
    .sort((a, b) => near(a) - near(b) || (a.path < b.path ? -1 : 1))
    .slice(0, limit);
}

/**
 * A compressed form of a layer that is here already, for the manifest of an image that has none: an image made of a pulled one
 * keeps its base layers' blobs.
 *
 * @param accepted compressions
 * @param diffIds  of each manifest's image
 */
export function findCompressed(
  diffId: string,
  accepted: readonly LayerCompression[],
  manifests: Iterable<ManifestRecord>,
  diffIds: (image: Digest) => readonly string[],
  has: (digest: Digest) => boolean,
): EncodedLayer | undefined {
  let found: EncodedLayer | undefined;
  for (const { imageId, layers } of manifests) {
    const ids = diffIds(imageId);
    if (ids.length !== layers.length) continue;
    for (const [index, { mediaType, digest, sizeBytes }] of layers.entries()) {
      const compression = compressionOf(mediaType);
      if (ids[index] !== diffId || compression === undefined || !accepted.includes(compression)) continue;
      if (!has(digest)) continue;
      const rank = accepted.indexOf(compression);
      const best = found === undefined ? Infinity : accepted.indexOf(found.compression);
      if (found === undefined || rank < best || (rank === best && digest < found.digest))
        found = { digest, sizeBytes, compression };
    }
  }
  return found;
}

function compressionOf(mediaType: string): LayerCompression | undefined {
  if (gzipTypes.has(mediaType)) return "gzip";
  return mediaType === "application/vnd.oci.image.layer.v1.tar+zstd" ? "zstd" : undefined;
}

/** A Docker schema 2 manifest, laid out as dockerd lays it out. */
export function renderManifest(
  config: { readonly digest: Digest; readonly sizeBytes: number },
  layers: readonly { readonly digest: Digest; readonly sizeBytes: number }[],
): Buffer {
  const descriptor = (mediaType: string, { digest, sizeBytes }: typeof config): unknown => ({
    mediaType,
    size: sizeBytes,
    digest,
  });
  const manifest = {
    schemaVersion: 2,
    mediaType: dockerManifestType,
    config: descriptor(dockerConfigType, config),
    layers: layers.map((layer) => descriptor(dockerLayerType, layer)),
  };
  return Buffer.from(JSON.stringify(manifest, undefined, 3));
}
