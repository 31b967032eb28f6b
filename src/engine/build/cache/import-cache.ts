// Reads what an external cache has and offers it to a build. Documents are read at once; layers when a record of theirs is wanted,
// several at a time, and only those that are not here.

import { type Digest, type DiffId, chainIdsOf, parseDiffId } from "../../../base/digest.ts";
import { EngineError } from "../../../base/errors.ts";
import { parseDocument } from "../../../spec/oci/parse.ts";
import { parseArray, parseJson, parseObject, parseString } from "../../../spec/parse-json.ts";
import { openCompressed } from "../../images/compression.ts";
import { layerQuota } from "../../images/layer-quota.ts";
import type { StagedLayer } from "../../snapshots/index.ts";
import type { CacheRecordOffer } from "../solver/index.ts";
import { cancelled } from "../solver/cancelled.ts";
import { Slots } from "../../../base/slots.ts";
import { type CacheDocument, type LayerLocation, cacheConfigType, parseCacheConfig } from "./cache-config.ts";
import type { ExternalCachesDeps } from "./index.ts";
import { type CacheRemote, readDocument } from "./remote.ts";

/** As BuildKit names it in an image's config: JSON in base64. */
export const inlineMember = "moby.buildkit.cache.v0";
/** Of an index, so many images are looked into. */
const maxImages = 16;
const maxFetches = 4;

/**
 * @returns nothing where the cache is another builder's, or an image has none
 * @throws InvalidParameter what is there is neither a cache nor an image; what the remote throws
 */
export async function readCache(remote: CacheRemote, signal: AbortSignal): Promise<readonly CacheDocument[]> {
  const document = parseDocument(await remote.manifest(signal));
  const descriptors = document.kind === "index" ? document.manifests : [document.config];
  const config = descriptors.find(({ mediaType }) => mediaType === cacheConfigType);
  if (config !== undefined) {
    const parsed = parseCacheConfig(await readDocument(remote, { ...config, sizeBytes: config.size }, signal));
    return parsed === undefined ? [] : [parsed];
  }
  if (document.kind === "manifest") return readImage(remote, document, signal);
  const found: CacheDocument[] = [];
  for (const { digest } of document.manifests.slice(0, maxImages)) {
    const child = parseDocument(await remote.child(digest, signal));
    if (child.kind === "manifest") found.push(...(await readImage(remote, child, signal)));
  }
  return found;
}

async function readImage(
  remote: CacheRemote,
  manifest: Extract<ReturnType<typeof parseDocument>, { kind: "manifest" }>,
  signal: AbortSignal,
): Promise<readonly CacheDocument[]> {
  const bytes = await readDocument(remote, { ...manifest.config, sizeBytes: manifest.config.size }, signal);
  const config = parseObject(parseJson(bytes, "image config"), "image config");
  const inline = config[inlineMember];
  if (inline === undefined) return [];
  const parsed = parseCacheConfig(Buffer.from(parseString(inline, inlineMember), "base64"));
  if (parsed === undefined) return [];
  const rootfs = parseObject(config["rootfs"], "rootfs");
  const diffIds = parseArray(rootfs["diff_ids"], "diff_ids").map((item) => parseDiffId(parseString(item, "diff id")));
  const locations = new Map<DiffId, LayerLocation>();
  for (const [index, { digest, size, mediaType }] of manifest.layers.entries()) {
    const diffId = diffIds[index];
    if (diffId !== undefined) locations.set(diffId, { digest, sizeBytes: size, mediaType });
  }
  return [{ ...parsed, locations }];
}

/** Records of a cache, as the solver takes them. */
export function offersOf(
  deps: ExternalCachesDeps,
  remote: CacheRemote,
  { records, locations }: CacheDocument,
): readonly CacheRecordOffer[] {
  const slots = new Slots(() => maxFetches, cancelled);
  return records.map((record) => ({
    ...record,
    // Those of its base may be here although the cache has not got them.
    hasLayers: record.hasLayers && (record.layers.length === 0 || record.layers.some((layer) => locations.has(layer))),
    fetch: (signal) => fetchLayers(deps, remote, record.layers, locations, slots, signal),
  }));
}

/**
 * Brings a stack of layers here.
 *
 * @returns keeps it from being collected
 * @throws NotFound the cache lacks a layer that is not here; what the remote and the snapshotter throw
 */
async function fetchLayers(
  deps: ExternalCachesDeps,
  remote: CacheRemote,
  stack: readonly DiffId[],
  locations: ReadonlyMap<DiffId, LayerLocation>,
  slots: Slots,
  signal: AbortSignal,
): Promise<Disposable> {
  const { layers, snapshots, store } = deps;
  const known = chainIdsOf(stack).findLastIndex((chainId) => snapshots.has(chainId)) + 1;
  using _under = layers.keep(stack.slice(0, known));
  await using held = new AsyncDisposableStack();
  const stop = new AbortController();
  const both = AbortSignal.any([signal, stop.signal]);
  const staged = new Map<DiffId, StagedLayer>();
  const missing = [...new Set(stack.slice(known))];
  const outcomes = await Promise.allSettled(
    missing.map(async (diffId) => {
      try {
        const location = locations.get(diffId);
        if (location === undefined) throw new EngineError("NotFound", `${remote.name} does not have layer ${diffId}`);
        using _slot = await slots.take(both);
        const one = await stageLayer(deps, remote, diffId, location, both);
        held.defer(() => one.release());
        staged.set(diffId, one);
      } catch (error) {
        stop.abort(error);
        throw error;
      }
    }),
  );
  if (stop.signal.aborted) throw stop.signal.reason;
  for (const outcome of outcomes) if (outcome.status === "rejected") throw outcome.reason;
  using _ = await snapshots.lock();
  const placed = await snapshots.place(
    stack.map((diffId, index) => ({ diffId, staged: index < known ? undefined : staged.get(diffId) })),
  );
  try {
    await store.commit(placed.changes);
  } catch (error) {
    await placed.undo();
    throw error;
  }
  placed.committed();
  return layers.keep(stack);
}

async function stageLayer(
  deps: ExternalCachesDeps,
  remote: CacheRemote,
  diffId: DiffId,
  location: { readonly digest: Digest; readonly sizeBytes: number },
  signal: AbortSignal,
): Promise<StagedLayer> {
  const maxBytes = await layerQuota({ dataRoot: deps.dataRoot });
  const tar = await openCompressed(remote.open(location, signal));
  return deps.snapshots.stage(tar, { claimed: diffId, maxBytes }, signal);
}
