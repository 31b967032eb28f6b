// The images in memory: id → image, reference → id. Loaded once, changed only after a commit.

import { type ChainId, type Digest, chainIdsOf, parseDiffId, parseDigest } from "../../base/digest.ts";
import { EngineError, messageOf } from "../../base/errors.ts";
import type { Logger } from "../../base/log.ts";
import {
  type Named,
  type Reference,
  parseAnyReference,
  parseNamed,
  renderFamiliar,
  renderReference,
  withDefaultTag,
} from "../../base/reference.ts";
import { nowRfc3339Nano } from "../../base/time.ts";
import type { OciImageConfig } from "../../spec/oci/image.ts";
import type { ContentStore } from "../content/index.ts";
import type { Change, Store, Tables } from "../store/index.ts";
import { parseImageConfig } from "./parse-config.ts";
import { optional, parseArray, parseJson, parseObject, parseString } from "../../spec/parse-json.ts";

/** An image as this engine knows it. */
export interface ImageRecord {
  readonly id: Digest;
  readonly config: OciImageConfig;
  /** Of each layer, bottom first. */
  readonly chain: readonly ChainId[];
  /** RFC 3339, or undefined: never tagged here. */
  readonly lastTagTime: string | undefined;
  /** The image that this one was committed or built from, here. */
  readonly parent: Digest | undefined;
}

/** A manifest of an image, as a registry or an archive had it. */
export interface ManifestRecord {
  readonly digest: Digest;
  readonly imageId: Digest;
  readonly mediaType: string;
  readonly sizeBytes: number;
  /** The index through which it was chosen; its bytes are a blob as well. */
  readonly index: Digest | undefined;
  /** Blobs of the layers, bottom first, with what the manifest says of them; not all of them need be here. */
  readonly layers: readonly { readonly digest: Digest; readonly mediaType: string; readonly sizeBytes: number }[];
}

/** What an image has on disk. */
export interface ImageContent {
  readonly top: ChainId | undefined;
  /** Not all of them need be here. */
  readonly blobs: readonly Digest[];
}

/** The row of a manifest. */
export function manifestRow(record: ManifestRecord): Change {
  const { digest, imageId, ...doc } = record;
  return { put: "manifests", row: { digest, image_id: imageId, doc: JSON.stringify(doc) } };
}

function parseManifestRow(row: Tables["manifests"]): ManifestRecord {
  const doc = parseObject(parseJson(Buffer.from(row.doc), "manifest row"), "manifest row");
  return {
    digest: parseDigest(row.digest),
    imageId: parseDigest(row.image_id),
    mediaType: parseString(doc["mediaType"], "mediaType"),
    sizeBytes: Number(doc["sizeBytes"]),
    index: optional(doc["index"], "index", (value, what) => parseDigest(parseString(value, what))),
    layers: parseArray(doc["layers"], "layers").map((value) => {
      const layer = parseObject(value, "layer");
      return {
        digest: parseDigest(parseString(layer["digest"], "digest")),
        mediaType: parseString(layer["mediaType"], "mediaType"),
        sizeBytes: Number(layer["sizeBytes"]),
      };
    }),
  };
}

/** Digests of all blobs that a manifest needs, besides the config. */
export function blobsOfManifest(record: ManifestRecord): readonly Digest[] {
  const { digest, index, layers } = record;
  return [digest, ...(index === undefined ? [] : [index]), ...layers.map((layer) => layer.digest)];
}

export function recordOf(
  id: Digest,
  config: OciImageConfig,
  lastTagTime: string | undefined,
  parent?: Digest,
): ImageRecord {
  return { id, config, chain: chainIdsOf(config.rootfs.diff_ids.map(parseDiffId)), lastTagTime, parent };
}

/** The row of an image. */
export function imageRow(record: ImageRecord): Change {
  const { id, lastTagTime, parent } = record;
  return { put: "images", row: { id, doc: JSON.stringify({ lastTagTime, parent }) } };
}

/** The row of a name. */
export function tagRow(reference: Reference, id: Digest): Change {
  return { put: "tags", row: { reference, image_id: id } };
}

/** The images and their names. */
export class ImageRecords {
  readonly #images = new Map<Digest, ImageRecord>();
  readonly #tags = new Map<Reference, Digest>();
  readonly #manifests = new Map<Digest, ManifestRecord>();
  readonly #uses = new Set<ImageContent>();
  /** Images whose rows are there, but whose config is not: for check. */
  readonly broken = new Map<Digest, string>();

  /** Reads the rows and each image's config; an image that cannot be read is set aside, and the others go on. */
  static async load(store: Store, content: ContentStore, logger: Logger): Promise<ImageRecords> {
    const records = new ImageRecords();
    for (const row of await store.load("images")) {
      const id = parseDigest(row.id);
      try {
        const doc = parseObject(parseJson(Buffer.from(row.doc), "image row"), "image row");
        const config = parseImageConfig(await content.read(id));
        const parent = optional(doc["parent"], "parent", (value, what) => parseDigest(parseString(value, what)));
        records.put(recordOf(id, config, optional(doc["lastTagTime"], "lastTagTime", parseString), parent));
      } catch (error) {
        records.broken.set(id, messageOf(error));
        logger.error("image set aside: its config cannot be read", { image: id, error: messageOf(error) });
      }
    }
    for (const row of await store.load("manifests")) records.putManifest(parseManifestRow(row));
    for (const row of await store.load("tags")) records.tag(row.reference as Reference, parseDigest(row.image_id));
    return records;
  }

  get size(): number {
    return this.#images.size;
  }

  all(): Iterable<ImageRecord> {
    return this.#images.values();
  }

  get(id: Digest): ImageRecord | undefined {
    return this.#images.get(id);
  }

  byReference(reference: Reference): ImageRecord | undefined {
    const id = this.#tags.get(reference);
    return id === undefined ? undefined : this.#images.get(id);
  }

  /** References of an image, sorted. */
  referencesOf(id: Digest): readonly Reference[] {
    return [...this.#tags]
      .filter(([, image]) => image === id)
      .map(([reference]) => reference)
      .sort();
  }

  /** All at once, for lists. */
  referencesByImage(): ReadonlyMap<Digest, readonly Reference[]> {
    const grouped = Map.groupBy(this.#tags, ([, image]) => image);
    return new Map([...grouped].map(([image, tags]) => [image, tags.map(([reference]) => reference).sort()]));
  }

  put(record: ImageRecord): void {
    this.#images.set(record.id, record);
  }

  tag(reference: Reference, id: Digest): void {
    this.#tags.set(reference, id);
  }

  untag(reference: Reference): void {
    this.#tags.delete(reference);
  }

  delete(id: Digest): void {
    this.#images.delete(id);
  }

  putManifest(record: ManifestRecord): void {
    this.#manifests.set(record.digest, record);
  }

  deleteManifest(digest: Digest): void {
    this.#manifests.delete(digest);
  }

  manifest(digest: Digest): ManifestRecord | undefined {
    return this.#manifests.get(digest);
  }

  /** A copy: deleting while looking is safe. */
  manifests(): readonly ManifestRecord[] {
    return [...this.#manifests.values()];
  }

  manifestsOf(image: Digest): readonly ManifestRecord[] {
    return [...this.#manifests.values()].filter(({ imageId }) => imageId === image);
  }

  /** Images that were made from this one. */
  childrenOf(id: Digest): readonly Digest[] {
    return [...this.#images.values()].filter(({ parent }) => parent === id).map((image) => image.id);
  }

  /** All at once, for lists. */
  parents(): ReadonlySet<Digest> {
    return new Set([...this.#images.values()].flatMap(({ parent }) => (parent === undefined ? [] : [parent])));
  }

  /** Layers and blobs of an image, as they are now. */
  contentOf(image: ImageRecord): ImageContent {
    return { top: image.chain.at(-1), blobs: [image.id, ...this.manifestsOf(image.id).flatMap(blobsOfManifest)] };
  }

  /** Needs content until the result is called, whatever becomes of its image; see useImage. */
  use(content: ImageContent): () => void {
    const use = { ...content };
    this.#uses.add(use);
    return () => void this.#uses.delete(use);
  }

  /** Every blob that images and those who read them need: configs, manifests, indexes, layers. */
  neededBlobs(except?: ReadonlySet<Digest>): Set<Digest> {
    const needed = new Set<Digest>(
      [...this.#images.keys(), ...this.broken.keys()].filter((id) => except?.has(id) !== true),
    );
    for (const manifest of this.#manifests.values()) {
      if (except?.has(manifest.imageId) === true) continue;
      for (const digest of blobsOfManifest(manifest)) needed.add(digest);
    }
    for (const { blobs } of this.#uses) for (const digest of blobs) needed.add(digest);
    return needed;
  }

  /** Chain ids of the top layers of all images, and of what is being read. */
  tops(except?: ReadonlySet<Digest>): ChainId[] {
    const images = [...this.#images.values()].filter(({ id }) => except?.has(id) !== true);
    const tops = [...images.map(({ chain }) => chain.at(-1)), ...[...this.#uses].map(({ top }) => top)];
    return tops.filter((top) => top !== undefined);
  }

  /**
   * Finds an image as dockerd does: by whole id, by reference, by unique prefix of an id.
   *
   * @throws InvalidParameter "invalid reference format …"
   * @throws NotFound         "No such image: x:latest"
   */
  find(nameOrId: string): ImageRecord {
    const any = parseAnyReference(nameOrId);
    const found = any.id === undefined ? this.#named(any.named, nameOrId) : this.#images.get(any.id);
    if (found !== undefined) return found;
    const shown = any.id ?? renderFamiliar(withDefaultTag(any.named));
    throw new EngineError("NotFound", `No such image: ${shown}`);
  }

  #named(named: Named, text: string): ImageRecord | undefined {
    return this.byReference(renderReference(named)) ?? this.#byPrefix(text);
  }

  #byPrefix(text: string): ImageRecord | undefined {
    const prefix = text.startsWith("sha256:") ? text : `sha256:${text}`;
    if (!/^sha256:[0-9a-f]+$/.test(prefix)) return undefined;
    let found: ImageRecord | undefined;
    for (const record of this.#images.values()) {
      if (!record.id.startsWith(prefix)) continue;
      if (found !== undefined) return undefined;
      found = record;
    }
    return found;
  }
}

/** What Docker shows as RepoTags and RepoDigests. */
export function familiarNames(references: readonly Reference[]): {
  readonly tags: readonly string[];
  readonly digests: readonly string[];
} {
  const named = references.map((reference) => parseNamed(reference));
  return {
    tags: named.filter(({ digest }) => digest === undefined).map(renderFamiliar),
    digests: named.filter(({ digest }) => digest !== undefined).map(renderFamiliar),
  };
}

/** The current time, for lastTagTime. */
export function tagTime(): string {
  return nowRfc3339Nano();
}
