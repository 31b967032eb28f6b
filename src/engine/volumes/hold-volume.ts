// A volume held for one verb of the history.

import { EngineError, messageOf } from "../../base/errors.ts";
import { finishRestore } from "./finish-restore.ts";
import type { HeldVolume, HistoryOp, HistoryRoom } from "./history-room.ts";
import { parseSnapshotRow } from "./snapshot-record.ts";

/**
 * The volume for one verb, with nothing unfinished.
 *
 * @throws NotFound; Unavailable a restore was cut and cannot be finished now
 */
export async function holdVolume(room: HistoryRoom, volume: string): Promise<HeldVolume> {
  const held = await room.deps.use(volume);
  try {
    await refresh(room, volume);
    const op = room.unfinished.get(volume);
    if (op !== undefined) await finishUnfinished(room, held, op);
    return held;
  } catch (error) {
    await held[Symbol.asyncDispose]();
    throw error;
  }
}

async function finishUnfinished(room: HistoryRoom, held: HeldVolume, op: HistoryOp): Promise<void> {
  try {
    await finishRestore(room, held, op);
  } catch (error) {
    throw new EngineError(
      "Unavailable",
      `volume ${op.volume} was being restored and is not whole: finishing that fails: ${messageOf(error)}`,
      { cause: error },
    );
  }
}

/** A volume of that name may be a new one. */
async function refresh(room: HistoryRoom, volume: string): Promise<void> {
  if (!room.removing.has(volume)) return;
  const rows = (await room.deps.store.load("volume_snapshots")).filter((row) => row.volume === volume);
  const ops = new Set((await room.deps.store.load("ops")).map(({ id }) => id));
  if (!ops.has(room.unfinished.get(volume)?.id ?? "")) room.unfinished.delete(volume);
  room.snapshots.set(volume, new Map(rows.map(parseSnapshotRow).map((record) => [record.name, record])));
  room.removing.delete(volume);
}
