// Decides what an archive of docker save holds: docker-archive and OCI layout in one, laid out as dockerd since 25 does. Pure.
// The same images give the same bytes, in whichever order they were named: entries are sorted, times are the images' own.
// Differences to dockerd: blobs of schema 1 that nothing refers to are left out, images are in the order of their names and
// not in a random one, directories have no time. Sources: OCI image-spec 1.1, image-layout.md; the reference daemon's archives.

import { type ChainId, type Digest, type DiffId, digestOf, hexOf, parseDiffId } from "../../base/digest.ts";
import { type Named, familiarRepository, renderFamiliar, renderReference } from "../../base/reference.ts";
import { parseRfc3339 } from "../../base/time.ts";
import type { OciImageConfig } from "../../spec/oci/image.ts";
import { continuesHistory } from "./parentage.ts";

/** An image to be saved. */
export interface SavedImage {
  readonly id: Digest;
  readonly configBytes: Uint8Array;
  readonly config: OciImageConfig;
  /** Of each layer, bottom first. */
  readonly chain: readonly ChainId[];
  /** With tags; those that were asked for, none for an image that was named by its id. */
  readonly references: readonly Named[];
  /** Of the manifest that it was pulled with. */
  readonly annotations: Readonly<Record<string, string>>;
  readonly parent: Digest | undefined;
}

/** A member of the archive. */
export type PlannedEntry =
  | { readonly path: string; readonly mtimeSeconds: number; readonly bytes: Uint8Array }
  | { readonly path: string; readonly mtimeSeconds: number; readonly layer: ChainId; readonly sizeBytes: number };

const blobs = "blobs/sha256/";
const mediaTypes = {
  index: "application/vnd.oci.image.index.v1+json",
  manifest: "application/vnd.oci.image.manifest.v1+json",
  config: "application/vnd.oci.image.config.v1+json",
  layer: "application/vnd.oci.image.layer.v1.tar",
} as const;

interface LayerDescriptor {
  readonly mediaType: string;
  readonly digest: DiffId;
  readonly size: number;
}

/**
 * The archive's members in order. The same image twice is the caller's mistake.
 *
 * @param tarBytes length of a layer's tar
 */
export function planSave(
  images: readonly SavedImage[],
  tarBytes: (chainId: ChainId) => number,
): readonly PlannedEntry[] {
  const sorted = images
    .map((image) => ({ ...image, references: sortReferences(image.references) }))
    .sort((a, b) => compare(sortKey(a), sortKey(b)));
  const entries = new Map<string, PlannedEntry>();
  const add = (entry: PlannedEntry): void => void entries.set(entry.path, entry);
  const empty = new Uint8Array(0);
  add({ path: "blobs/", mtimeSeconds: 0, bytes: empty });
  add({ path: blobs, mtimeSeconds: 0, bytes: empty });

  const saved = new Map(sorted.map((image) => [image.id, image]));
  const manifestItems: unknown[] = [];
  const indexed: unknown[] = [];
  const repositories = new Map<string, Map<string, string>>();
  for (const image of sorted) {
    const created = createdSeconds(image.config);
    const layers = image.config.rootfs.diff_ids.map((text, index): LayerDescriptor => {
      const digest = parseDiffId(text);
      const chainId = image.chain[index] as ChainId;
      const path = blobs + hexOf(digest);
      const before = entries.get(path);
      const mtimeSeconds = Math.min(created, before?.mtimeSeconds ?? created);
      const sizeBytes = before !== undefined && "layer" in before ? before.sizeBytes : tarBytes(chainId);
      add({ path, mtimeSeconds, layer: chainId, sizeBytes });
      return { mediaType: mediaTypes.layer, digest, size: sizeBytes };
    });
    add({ path: blobs + hexOf(image.id), mtimeSeconds: created, bytes: image.configBytes });
    const manifest = Buffer.from(JSON.stringify(ociManifest(image, layers)));
    const digest = digestOf(manifest);
    add({ path: blobs + hexOf(digest), mtimeSeconds: 0, bytes: manifest });

    const descriptor = { mediaType: mediaTypes.manifest, digest, size: manifest.length };
    for (const named of image.references) {
      const { tag = "" } = named;
      const annotations = {
        "io.containerd.image.name": renderReference(named),
        "org.opencontainers.image.ref.name": tag,
      };
      indexed.push({ ...descriptor, annotations });
      const top = layers.at(-1);
      const name = familiarRepository(named);
      if (top !== undefined)
        repositories.set(name, (repositories.get(name) ?? new Map<string, string>()).set(tag, hexOf(top.digest)));
    }
    if (image.references.length === 0) indexed.push(descriptor);
    const parent = image.parent === undefined ? undefined : saved.get(image.parent);
    manifestItems.push({
      Config: blobs + hexOf(image.id),
      RepoTags: image.references.length === 0 ? null : image.references.map(renderFamiliar),
      Layers: layers.map((layer) => blobs + hexOf(layer.digest)),
      ...(parent !== undefined && continuesHistory(image.config, parent.config) ? { Parent: parent.id } : {}),
      ...(layers.length === 0 ? {} : { LayerSources: layerSources(layers) }),
    });
  }
  const document = (path: string, text: string): void => add({ path, mtimeSeconds: 0, bytes: Buffer.from(text) });
  document("index.json", JSON.stringify({ schemaVersion: 2, mediaType: mediaTypes.index, manifests: indexed }));
  document("manifest.json", `${JSON.stringify(manifestItems)}\n`);
  document("oci-layout", '{"imageLayoutVersion": "1.0.0"}');
  if (repositories.size > 0) document("repositories", `${JSON.stringify(renderRepositories(repositories))}\n`);
  return [...entries.values()].sort((a, b) => compare(a.path, b.path));
}

/** Go marshals maps in the order of their keys. */
function sortKeys<T>(object: Readonly<Record<string, T>>): Readonly<Record<string, T>> {
  return Object.fromEntries(Object.entries(object).sort(([a], [b]) => compare(a, b)));
}

/** What Docker before 1.10 reads: repository → tag → layer. */
function renderRepositories(repositories: ReadonlyMap<string, ReadonlyMap<string, string>>): unknown {
  return sortKeys(
    Object.fromEntries([...repositories].map(([name, tags]) => [name, sortKeys(Object.fromEntries(tags))])),
  );
}

function ociManifest(image: SavedImage, layers: readonly LayerDescriptor[]): unknown {
  return {
    schemaVersion: 2,
    mediaType: mediaTypes.manifest,
    config: { mediaType: mediaTypes.config, digest: image.id, size: image.configBytes.length },
    layers,
    ...(Object.keys(image.annotations).length === 0 ? {} : { annotations: sortKeys(image.annotations) }),
  };
}

function layerSources(layers: readonly LayerDescriptor[]): Readonly<Record<string, LayerDescriptor>> {
  const sources = layers.map(({ mediaType, digest, size }) => [digest, { mediaType, size, digest }] as const);
  return sortKeys(Object.fromEntries(sources));
}

/** Whole seconds since 1970; 0 without a date. */
function createdSeconds(config: OciImageConfig): number {
  const ns = parseRfc3339(config.created ?? "") ?? 0n;
  return ns < 0n ? 0 : Number(ns / 1_000_000_000n);
}

function sortReferences(references: readonly Named[]): readonly Named[] {
  return [...references].sort((a, b) => compare(renderReference(a), renderReference(b)));
}

/** By name; what has none is last, by id. */
function sortKey({ id, references }: SavedImage): string {
  const [first] = references;
  return first === undefined ? `~${id}` : renderReference(first);
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
