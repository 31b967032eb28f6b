// docker push: which tags → which manifest → blobs that the repository lacks → config → manifest → a RepoDigest row. What was
// pulled goes out byte for byte; see plan-push.ts for the choice and push-manifest.ts for images that have no manifest.
// The image's layers and blobs stay here until the push has ended, whoever deletes the image meanwhile.

import { type ChainId, type Digest, hexOf, parseDiffId, parseDigest } from "../../base/digest.ts";
import { EngineError, isEngineError } from "../../base/errors.ts";
import { failpoint } from "../../base/failpoint.ts";
import { type Named, familiarRepository, renderFamiliar, renderReference, repositoryOf } from "../../base/reference.ts";
import { matchesPlatform, parsePlatform, renderPlatform } from "../../spec/oci/platform.ts";
import type { ProgressMessage } from "../api/ports.ts";
import type { ImagesDeps } from "./images.ts";
import type { Images } from "./index.ts";
import { type PushedTag, indexSources, parsePushName, planCandidates, planTags } from "./plan-push.ts";
import { renderProgress } from "./progress.ts";
import { makeManifest } from "./push-manifest.ts";
import type { PushShare } from "./push-slots.ts";
import { PushTarget, layerLine } from "./push-target.ts";
import { type ImageRecord, type ImageRecords, type ManifestRecord, tagRow } from "./records.ts";
import { useImage } from "./use.ts";

const progressIntervalMs = 100;

/** What the steps of one push share. */
interface Push {
  readonly deps: ImagesDeps;
  readonly records: ImageRecords;
  readonly share: PushShare;
  readonly target: PushTarget;
  readonly tell: (message: ProgressMessage) => void;
}

/**
 * Pushes one tag, or all tags of a repository.
 *
 * @throws InvalidParameter a malformed name; NotFound no such image, tag or platform; what the registry client throws
 */
export async function pushImages(
  deps: ImagesDeps,
  records: ImageRecords,
  share: PushShare,
  request: Parameters<Images["push"]>[0],
  tell: (message: ProgressMessage) => void,
  signal: AbortSignal,
): Promise<void> {
  const { credentials } = request;
  const named = parsePushName(request.name, request.tag);
  if (request.platform !== undefined) checkPlatform(records, named, request.platform);
  tell({ status: `The push refers to repository [${repositoryOf(named)}]` });
  const references = records.referencesByImage();
  const tags = planTags(
    named,
    [...references].flatMap(([id, names]) => names.map((name) => [name, id] as const)),
  );
  const repository = await deps.distribution.repository(named, "push", credentials, signal);
  const sources = indexSources(records.manifests(), references);
  const target = new PushTarget(deps, share, { named, repository, credentials, sources }, tell);
  for (const tag of tags) await pushTag({ deps, records, share, target, tell }, tag, signal);
  const [pushed] = named.tag === undefined ? [] : tags;
  deps.events.publish({
    type: "image",
    action: "push",
    id: renderFamiliar(named),
    attributes: {
      ...(pushed && records.get(pushed.imageId)?.config.config?.Labels),
      name: familiarRepository(named),
    },
  });
}

function checkPlatform(records: ImageRecords, named: Named, platform: string): void {
  const familiar = renderFamiliar(named);
  const { config } = records.find(familiar);
  const wanted = parsePlatform(platform);
  if (matchesPlatform(config, wanted)) return;
  throw new EngineError(
    "NotFound",
    `image with reference ${familiar} was found but its platform (${renderPlatform(config)}) ` +
      `does not match the specified platform (${renderPlatform(wanted)})`,
  );
}

/** A removal that is under way has planned without us: its image must be gone before we look. */
async function useWhole(deps: ImagesDeps, records: ImageRecords, id: Digest): Promise<AsyncDisposable> {
  using _ = await deps.snapshots.lock();
  return useImage(deps, records, id);
}

async function pushTag(push: Push, { named, imageId }: PushedTag, signal: AbortSignal): Promise<void> {
  const { deps, records, target, tell } = push;
  await using _kept = await useWhole(deps, records, imageId);
  const image = records.get(imageId) as ImageRecord;
  const ids = image.config.rootfs.diff_ids.map((diffId) => hexOf(parseDiffId(diffId)).slice(0, 12));
  for (const id of ids.toReversed()) tell(layerLine("Preparing", id));
  target.addTars(layerTars(deps, image));
  const { manifest, made } = await chooseManifest(push, image, ids, named, signal);
  await using _made = made ? useImage(deps, records, imageId) : undefined;
  await putLayers(target, manifest, ids, signal);
  await target.putConfig(image.id, signal);
  const bytes = await deps.content.read(manifest.digest);
  const stored = await target.repository.putManifest(named.tag, bytes, manifest.mediaType, signal);
  if (stored !== manifest.digest)
    throw new EngineError("System", `the registry stored the manifest as ${stored}, not as ${manifest.digest}`);
  await keepDigest(push, { ...named, digest: manifest.digest }, image);
  tell({ status: `${named.tag}: digest: ${manifest.digest} size: ${bytes.length}` });
  tell({ progressDetail: {}, aux: { Tag: named.tag, Digest: manifest.digest, Size: bytes.length } });
}

/** The layers whose tars this host can give back, by digest. */
function layerTars({ snapshots }: ImagesDeps, image: ImageRecord): ReadonlyMap<Digest, ChainId> {
  const tars = new Map<Digest, ChainId>();
  for (const [index, chainId] of image.chain.entries()) {
    try {
      snapshots.tarBytes(chainId);
    } catch (error) {
      if (!isEngineError(error, "DataLoss")) throw error;
      continue;
    }
    tars.set(parseDigest(image.config.rootfs.diff_ids[index] ?? ""), chainId);
  }
  return tars;
}

/** One at a time for each image: whoever comes second finds what the first one made. */
async function chooseManifest(
  push: Push,
  image: ImageRecord,
  ids: readonly string[],
  named: Named,
  signal: AbortSignal,
): Promise<{ readonly manifest: ManifestRecord; readonly made: boolean }> {
  const { deps, records, share, target, tell } = push;
  using _ = await share.lock(`manifest ${image.id}`, signal);
  const has = (digest: Digest): boolean => target.isHere(digest);
  const manifests = records.manifestsOf(image.id);
  const candidates = planCandidates(image, manifests, records.referencesOf(image.id), named, has);
  for (const { manifest, missing } of candidates)
    if (await target.hasAll(missing, signal)) return { manifest, made: false };
  for (const { manifest, missing } of candidates) {
    const idOf = ({ digest }: { readonly digest: Digest }): string =>
      ids[manifest.layers.findIndex((layer) => layer.digest === digest)] ?? "";
    if (await target.fetchAll(missing, idOf, signal)) return { manifest, made: false };
  }
  for (const { manifest } of candidates)
    tell({ status: `Layers of ${manifest.digest} are neither here nor in reach: the image gets a new manifest` });
  const onProgress = throttled((layer, current, total) =>
    tell(renderProgress("Preparing", ids[layer] ?? "", current, total)),
  );
  try {
    return { manifest: await makeManifest(deps, records, share, image, onProgress, signal), made: true };
  } catch (error) {
    throw isEngineError(error, "Unavailable") ? ofImage(records, image, error) : error;
  }
}

/** What is said of a layer does not say of which image. */
function ofImage(records: ImageRecords, image: ImageRecord, error: EngineError): EngineError {
  const [name = image.id] = records.referencesByImage().get(image.id) ?? [];
  return new EngineError(error.kind, `${name}: ${error.message}`, { cause: error });
}

function throttled(
  report: (layer: number, current: number, total: number) => void,
): (layer: number, current: number, total: number) => void {
  const next = new Map<number, number>();
  return (layer, current, total) => {
    const now = performance.now();
    if (now < (next.get(layer) ?? 0)) return;
    next.set(layer, now + progressIntervalMs);
    report(layer, current, total);
  };
}

/** Bottom first, as many at once as there are slots; the first failure stops the others. */
async function putLayers(
  target: PushTarget,
  manifest: ManifestRecord,
  ids: readonly string[],
  signal: AbortSignal,
): Promise<void> {
  const stop = new AbortController();
  const any = AbortSignal.any([signal, stop.signal]);
  const distinct = new Map(manifest.layers.map((layer, index) => [layer.digest, { layer, id: ids[index] ?? "" }]));
  await Promise.all(
    [...distinct.values()].map(async ({ layer, id }) => {
      try {
        await target.putLayer(layer, id, any);
      } catch (error) {
        if (!stop.signal.aborted) stop.abort(error);
      }
    }),
  );
  if (stop.signal.aborted) throw stop.signal.reason;
}

/** The row that shows where the image is. Order: takes the snapshotter's lock. */
async function keepDigest({ deps, records }: Push, named: Named, image: ImageRecord): Promise<void> {
  const reference = renderReference(named);
  using _ = await deps.snapshots.lock();
  // It may have been deleted while it was pushed.
  if (records.get(image.id) === undefined || records.byReference(reference)?.id === image.id) return;
  await failpoint("images.push.uploaded");
  await deps.store.commit([tagRow(reference, image.id)]);
  records.tag(reference, image.id);
}
