// Streams that read an image for minutes (push, save, export) keep its layers and blobs, not its record: rmi goes through at
// once, as in dockerd, and what it would have deleted is deleted when the last reader is done. After a kill the next start does it.

import type { Digest } from "../../base/digest.ts";
import { EngineError, messageOf } from "../../base/errors.ts";
import type { ImagesDeps } from "./images.ts";
import type { ImageRecords } from "./records.ts";

type UseDeps = Pick<ImagesDeps, "content" | "snapshots" | "store" | "logger">;

/**
 * Keeps what an image has on disk until disposed; nothing is thrown then, what cannot be deleted is logged.
 *
 * @throws NotFound the image is gone
 */
export function useImage(deps: UseDeps, records: ImageRecords, id: Digest): AsyncDisposable {
  const image = records.get(id);
  if (image === undefined) throw new EngineError("NotFound", `No such image: ${id}`);
  const used = records.contentOf(image);
  const release = records.use(used);
  let held = true;
  return {
    [Symbol.asyncDispose]: async () => {
      if (!held) return;
      held = false;
      release();
      // Also when the image was deleted and came again: with other manifests, say.
      const needed = records.neededBlobs();
      const isNeeded = used.blobs.every((digest) => needed.has(digest) || !deps.content.has(digest));
      if (records.get(id) === undefined || !isNeeded) await deleteUnneeded(deps, records, used.blobs);
    },
  };
}

/** Deletes layers, and those of the blobs, that nothing needs any more. What fails is logged. */
export async function deleteUnneeded(deps: UseDeps, records: ImageRecords, blobs: readonly Digest[]): Promise<void> {
  const { content, snapshots, store, logger } = deps;
  try {
    using _ = await snapshots.lock();
    const needed = records.neededBlobs();
    const removals = blobs.filter((digest) => !needed.has(digest)).map((digest) => content.removal(digest));
    const layers = snapshots.planCollect(records.tops());
    const changes = [...layers.changes, ...removals.flatMap((removal) => removal.changes)];
    if (changes.length === 0) return;
    await store.commit(changes);
    await Promise.all([layers.discard(), ...removals.map((removal) => removal.discard())]);
  } catch (error) {
    logger.error("what a deleted image left cannot be deleted", { error: messageOf(error) });
  }
}
