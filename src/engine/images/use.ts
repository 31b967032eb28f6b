// Streams that read an image for minutes (push, save, export) keep its layers and blobs, not its record: rmi goes through at
// once, as in dockerd, and what it would have deleted is deleted when the last reader is done. After a kill the next start does it.

import type { Digest } from "../../base/digest.ts";
import { EngineError, messageOf } from "../../base/errors.ts";
import type { ImagesDeps } from "./images.ts";
import type { ImageContent, ImageRecords } from "./records.ts";

type UseDeps = Pick<ImagesDeps, "content" | "snapshots" | "store" | "logger">;

/**
 * Keeps what an image has on disk until disposed; nothing is thrown then, what cannot be deleted is logged.
 *
 * @throws NotFound the image is gone
 */
export function useImage(deps: UseDeps, records: ImageRecords, id: Digest): AsyncDisposable {
  const image = records.get(id);
  if (image === undefined) throw new EngineError("NotFound", `No such image: ${id}`);
  return useContent(deps, records, records.contentOf(image));
}

/** The same for content that will be, or was, an image's: disposing of it deletes what no image needs. */
export function useContent(deps: UseDeps, records: ImageRecords, used: ImageContent): AsyncDisposable {
  const release = records.use(used);
  let held = true;
  return {
    [Symbol.asyncDispose]: async () => {
      if (!held) return;
      held = false;
      // In use until the lock is ours: a removal that is under way has planned with it, and a check would find it.
      await deleteUnneeded(deps, records, used.blobs, release);
    },
  };
}

/**
 * Deletes layers, and those of the blobs, that nothing needs any more. What fails is logged.
 *
 * @param release called when the lock is held, before anything is looked at
 */
export async function deleteUnneeded(
  deps: UseDeps,
  records: ImageRecords,
  blobs: readonly Digest[],
  release: () => void = () => undefined,
): Promise<void> {
  const { content, snapshots, store, logger } = deps;
  try {
    using _ = await snapshots.lock();
    release();
    const needed = records.neededBlobs();
    const removals = blobs
      .filter((digest) => !needed.has(digest) && content.has(digest))
      .map((digest) => content.removal(digest));
    const layers = snapshots.planCollect(records.tops());
    const changes = [...layers.changes, ...removals.flatMap((removal) => removal.changes)];
    if (changes.length === 0) return;
    await store.commit(changes);
    await Promise.all([layers.discard(), ...removals.map((removal) => removal.discard())]);
  } catch (error) {
    logger.error("what a deleted image left cannot be deleted", { error: messageOf(error) });
  }
}
