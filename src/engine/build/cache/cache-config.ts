// The document that tells what an external cache has. Its envelope is BuildKit's (application/vnd.buildkit.cacheconfig.v0 in an OCI
// manifest or index), so that registries and tools treat it alike; its records are ours, under a member of their own, because
// keys of one builder mean nothing to another. BuildKit reads it as a cache without records. Pure.

import { type Digest, type DiffId, chainIdsOf, parseDiffId, parseDigest } from "../../../base/digest.ts";
import { EngineError } from "../../../base/errors.ts";
import { optional, parseArray, parseJson, parseObject, parseString, parseStrings } from "../../../spec/parse-json.ts";
import type { CacheRecordExport } from "../solver/index.ts";

export const cacheConfigType = "application/vnd.buildkit.cacheconfig.v0";
/** A cache mount's tar, compressed. */
export const mountBlobType = "application/vnd.gantry.cachemount.v1.tar+zstd";
const member = "gantry";
const formatVersion = 1;
const maxItems = 100_000;

/** A layer's bytes at the cache. */
export interface LayerLocation {
  readonly digest: Digest;
  readonly sizeBytes: number;
  readonly mediaType: string;
}

export interface MountLocation {
  readonly id: string;
  readonly digest: Digest;
  readonly sizeBytes: number;
}

export interface CacheDocument {
  readonly records: readonly CacheRecordExport[];
  /** By diff id; empty for an inline cache, whose layers are the image's. */
  readonly locations: ReadonlyMap<DiffId, LayerLocation>;
  readonly mounts: readonly MountLocation[];
}

/** As text; layers that several records have are written once. */
export function renderCacheConfig({ records, locations, mounts }: CacheDocument): Buffer {
  const indexes = new Map<string, number>();
  const layers: { readonly diffId: DiffId; readonly parent: number }[] = [];
  const indexOf = (stack: readonly DiffId[]): number => {
    let parent = -1;
    for (const [depth, chainId] of chainIdsOf(stack).entries()) {
      const known = indexes.get(chainId);
      const index = known ?? layers.push({ diffId: stack[depth] as DiffId, parent }) - 1;
      indexes.set(chainId, index);
      parent = index;
    }
    return parent;
  };
  const ours = records.map(({ layers: stack, ...record }) => ({ ...record, layer: indexOf(stack) }));
  const blobs = [...locations].map(([diffId, { digest, sizeBytes, mediaType }]) => ({
    diffId,
    digest,
    sizeBytes,
    mediaType,
  }));
  const theirs = blobs.map(({ diffId, digest, sizeBytes, mediaType }) => ({
    blob: digest,
    parent: -1,
    annotations: { mediaType, diffID: diffId, size: sizeBytes },
  }));
  const document = {
    layers: theirs,
    records: [],
    [member]: { version: formatVersion, layers, records: ours, blobs, mounts },
  };
  return Buffer.from(JSON.stringify(document));
}

function refused(message: string): EngineError {
  return new EngineError("InvalidParameter", `invalid build cache: ${message}`);
}

function parseCount(value: unknown, what: string): number {
  if (typeof value !== "number" || !Number.isSafeInteger(value)) throw refused(`${what} is no number`);
  return value;
}

function parseItems<T>(value: unknown, what: string, parse: (item: unknown) => T): readonly T[] {
  const items = parseArray(value, what);
  if (items.length > maxItems) throw refused(`too many ${what}`);
  return items.map(parse);
}

/**
 * @returns undefined when another builder wrote it
 * @throws InvalidParameter it is none
 */
export function parseCacheConfig(bytes: Uint8Array): CacheDocument | undefined {
  const document = parseObject(parseJson(bytes, "build cache"), "build cache");
  if (document[member] === undefined) return undefined;
  const ours = parseObject(document[member], member);
  if (ours["version"] !== formatVersion) throw refused(`version ${String(ours["version"])} is not known`);
  const stacks: (readonly DiffId[])[] = [];
  for (const item of parseItems(ours["layers"], "layers", (layer) => parseObject(layer, "layer"))) {
    const parent = parseCount(item["parent"], "parent");
    // Parents stand before their children, so there are no loops.
    const under = parent === -1 ? [] : stacks[parent];
    if (under === undefined) throw refused("a layer's parent is not before it");
    if (under.length > 125) throw refused("max depth exceeded");
    stacks.push([...under, parseDiffId(parseString(item["diffId"], "diffId"))]);
  }
  const records = parseItems(ours["records"], "records", (item) => {
    const record = parseObject(item, "record");
    const layer = parseCount(record["layer"], "layer");
    const stack = layer === -1 ? [] : stacks[layer];
    if (stack === undefined) throw refused("a record's layer is not there");
    const id = parseString(record["id"], "id");
    if (!/^[0-9a-z]{25}$/.test(id)) throw refused("a record's id is none");
    return {
      id,
      keys: parseStrings(record["keys"], "keys"),
      layers: stack,
      createdAt: parseString(record["createdAt"], "createdAt"),
      description: parseString(record["description"], "description"),
      hasLayers: record["hasLayers"] === true,
    };
  });
  const locations = new Map<DiffId, LayerLocation>();
  for (const blob of parseItems(ours["blobs"], "blobs", (item) => parseObject(item, "blob")))
    locations.set(parseDiffId(parseString(blob["diffId"], "diffId")), {
      digest: parseDigest(parseString(blob["digest"], "digest")),
      sizeBytes: parseCount(blob["sizeBytes"], "sizeBytes"),
      mediaType: parseString(blob["mediaType"], "mediaType"),
    });
  const parseMounts = (value: unknown): readonly MountLocation[] =>
    parseItems(value, "mounts", (item) => {
      const mount = parseObject(item, "mount");
      return {
        id: parseString(mount["id"], "id"),
        digest: parseDigest(parseString(mount["digest"], "digest")),
        sizeBytes: parseCount(mount["sizeBytes"], "sizeBytes"),
      };
    });
  return { records, locations, mounts: optional(ours["mounts"], "mounts", parseMounts) ?? [] };
}
