// Deletes as planned, in one commit: names, images, manifests, and the blobs and layers that nothing else needs. What is
// committed is gone: a directory or file that resists is logged, and the next start sweeps it.

import type { Digest } from "../../base/digest.ts";
import { messageOf } from "../../base/errors.ts";
import { failpoint } from "../../base/failpoint.ts";
import type { ImageDeleteResponseItem } from "../../spec/docker/image.ts";
import type { Change } from "../store/index.ts";
import type { ImageHolds } from "./holds.ts";
import type { ImagesDeps } from "./images.ts";
import type { ImageRecord, ImageRecords } from "./records.ts";
import { type RemoveOptions, type RemovePlan, planRemove, renderRemoved } from "./remove.ts";

/** What was removed, and how many bytes of layers and blobs went with it. */
export interface Removed {
  readonly items: readonly ImageDeleteResponseItem[];
  readonly bytes: number;
}

/**
 * Removes a name, or an image.
 * Order: waits for containers that are being made of the image; takes the snapshotter's lock; nothing is taken inside.
 *
 * @throws NotFound, Conflict
 */
export async function removeImage(
  deps: ImagesDeps,
  records: ImageRecords,
  holds: ImageHolds,
  nameOrId: string,
  options: RemoveOptions,
): Promise<Removed> {
  for (;;) {
    await holds.released(records.find(nameOrId).id);
    using _ = await deps.snapshots.lock();
    const image = records.find(nameOrId);
    if (holds.isHeld(image.id)) continue;
    // No await from here until the images are marked: a hold cannot slip between.
    const plan = planRemove(nameOrId, image.id, options, {
      referencesOf: (id) => records.referencesOf(id),
      containersOf: (id) => deps.users.containersOf(id),
      childrenOf: (id) => records.childrenOf(id),
      parentOf: (id) => {
        const parent = records.get(id)?.parent;
        return parent === undefined ? undefined : records.get(parent)?.id;
      },
      isHeld: (id) => holds.isHeld(id),
    });
    using _deleting = holds.deleting(plan.images);
    return await applyRemove(deps, records, image, plan);
  }
}

async function applyRemove(
  deps: ImagesDeps,
  records: ImageRecords,
  image: ImageRecord,
  plan: RemovePlan,
): Promise<Removed> {
  const { content, snapshots, store } = deps;
  const doomed = plan.images.map((id) => records.get(id)).filter((record) => record !== undefined);
  const without = new Set(plan.images);
  const manifests = plan.images.flatMap((id) => records.manifestsOf(id));
  const blobs = unneededBlobs(records, doomed, without);
  const blobBytes = blobs.reduce((sum, digest) => sum + (content.size(digest) ?? 0), 0);
  const removals = blobs.map((digest) => content.removal(digest));
  const layers = doomed.length === 0 ? undefined : snapshots.planCollect(records.tops(without));
  await failpoint("images.remove.planned");
  await store.commit([
    ...plan.untag.map(({ reference }): Change => ({ delete: "tags", key: reference })),
    ...manifests.map(({ digest }): Change => ({ delete: "manifests", key: digest })),
    ...plan.images.map((id): Change => ({ delete: "images", key: id })),
    ...removals.flatMap(({ changes }) => changes),
    ...(layers?.changes ?? []),
  ]);
  for (const { reference } of plan.untag) records.untag(reference);
  for (const { digest } of manifests) records.deleteManifest(digest);
  for (const { id } of doomed) records.delete(id);
  for (const _ of plan.untag) deps.announce("untag", image, image.id);
  for (const record of doomed) deps.announce("delete", record, record.id);
  // Each discard forgets its rows before it touches the disk: all of them are called, whatever becomes of one.
  const between = await Promise.allSettled([Promise.try(async () => await failpoint("images.remove.committed"))]);
  const discards = await Promise.allSettled(
    [...removals, ...(layers === undefined ? [] : [layers])].map((gone) => gone.discard()),
  );
  for (const outcome of [...between, ...discards])
    if (outcome.status === "rejected")
      deps.logger.error("files of a deleted image are left", { image: image.id, error: messageOf(outcome.reason) });
  const chains = new Map(doomed.map((record) => [record.id, record.chain]));
  return {
    items: renderRemoved(plan, layers?.removed ?? [], (id) => chains.get(id) ?? []),
    bytes: blobBytes + (layers?.bytes ?? 0),
  };
}

/** Blobs of images that are to be deleted which no other image and no reader needs. */
function unneededBlobs(
  records: ImageRecords,
  doomed: readonly ImageRecord[],
  without: ReadonlySet<Digest>,
): readonly Digest[] {
  if (doomed.length === 0) return [];
  const needed = records.neededBlobs(without);
  const blobs = new Set(doomed.flatMap((record) => records.contentOf(record).blobs));
  return [...blobs].filter((digest) => !needed.has(digest));
}
