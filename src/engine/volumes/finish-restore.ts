// The second half of a restore, from which it is only finished and never taken back: by the request itself, by the next one for the
// volume, or by the next start.

import { join } from "node:path";
import { EngineError } from "../../base/errors.ts";
import { failpoint } from "../../base/failpoint.ts";
import type { Change } from "../store/index.ts";
import {
  directoryOf,
  discard,
  type HeldVolume,
  type HistoryOp,
  type HistoryRoom,
  putOp,
  type RestoreOp,
  snapshotsOf,
} from "./history-room.ts";
import { insertSnapshot, type SnapshotRecord } from "./snapshot-record.ts";

const forever = new AbortController().signal;

/** Absolute paths of what comes and what goes. */
export function placesOf(
  held: HeldVolume,
  { fresh, aside, inside }: RestoreOp,
): { readonly fresh: string; readonly aside: string } {
  return inside
    ? { fresh: join(held.data, fresh), aside: join(held.data, aside) }
    : { fresh: directoryOf(held, fresh), aside: directoryOf(held, aside) };
}

/**
 * Goes on where a restore was cut. Until it resolves the room knows it as unfinished.
 *
 * @param op of the step "moving" or "moved"
 * @returns the record of what was replaced, unless that was discarded
 */
export async function finishRestore(
  room: HistoryRoom,
  held: HeldVolume,
  op: HistoryOp,
): Promise<SnapshotRecord | undefined> {
  const { restore, volume } = op;
  if (restore === undefined) throw new EngineError("System", `${op.id} is no restore`);
  room.unfinished.set(volume, op);
  const moved = op.step === "moving" ? await move(room, held, op, restore) : op;
  room.unfinished.set(volume, moved);
  await failpoint("volume.restore.recorded");
  if (restore.inside) await room.deps.trees.removeIn(held.data, restore.fresh, restore.aside);
  await discard(room, held, moved);
  room.unfinished.delete(volume);
  return moved.restore?.replaced;
}

async function move(room: HistoryRoom, held: HeldVolume, op: HistoryOp, restore: RestoreOp): Promise<HistoryOp> {
  const { trees, store } = room.deps;
  const { fresh, aside } = placesOf(held, restore);
  await trees.exchange(held.data, fresh, aside);
  await failpoint("volume.restore.moved");
  let { replaced } = restore;
  if (replaced !== undefined && !restore.inside)
    replaced = { ...replaced, sizeBytes: await trees.size(aside, forever) };
  const leftOver = restore.inside ? [] : replaced === undefined ? [restore.fresh, restore.aside] : [restore.fresh];
  const moved: HistoryOp = { ...op, step: "moved", made: leftOver, restore: { ...restore, replaced } };
  const changes: readonly Change[] = [putOp(moved), ...(replaced === undefined ? [] : [insertSnapshot(replaced)])];
  await store.commit(changes, { freesSpace: true });
  if (replaced !== undefined) snapshotsOf(room, op.volume).set(replaced.name, replaced);
  return moved;
}
