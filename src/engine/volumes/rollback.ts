// A volume gets back what a snapshot holds, while containers use it: the directory that they have mounted stays, its entries are
// exchanged. Order: row of the journal ("making") → copy of the snapshot → row ("moving") → entries moved (shim/copy-exchange.c) → one commit: the
// record of what was replaced, row ("moved") → what is left over deleted → no row. A start takes "making" back and finishes the others.
// Where the volume's data is on another file system, the copy is made in it, and what is replaced is copied before.

import { randomUUID } from "node:crypto";
import { lstatSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { messageOf } from "../../base/errors.ts";
import { failpoint } from "../../base/failpoint.ts";
import { nowRfc3339Nano } from "../../base/time.ts";
import { finishRestore, placesOf } from "./finish-restore.ts";
import {
  beginOp,
  directoryOf,
  discardQuietly,
  findSnapshot,
  type HeldVolume,
  type HistoryOp,
  type HistoryRoom,
  makeDirectory,
  nameFailure,
  putOp,
  type RestoreOp,
  snapshotsOf,
} from "./history-room.ts";
import { holdVolume } from "./hold-volume.ts";
import type { VolumeHistory } from "./index.ts";
import { freeName, renderSnapshot, replacedName, type SnapshotRecord } from "./snapshot-record.ts";

/** See VolumeHistoryPort. @throws NotFound; Unavailable the disk is full: nothing has changed */
export async function restoreSnapshot(
  room: HistoryRoom,
  volume: string,
  request: Parameters<VolumeHistory["restore"]>[1],
  signal: AbortSignal,
): ReturnType<VolumeHistory["restore"]> {
  await using held = await holdVolume(room, volume);
  const snapshot = findSnapshot(room, volume, request.snapshot);
  const moving = await prepare(room, held, snapshot, planRestore(room, held, snapshot, request.discard), signal);
  try {
    await failpoint("volume.restore.moving");
    const replaced = await finishRestore(room, held, moving);
    const attributes = { snapshot: snapshot.name, ...(replaced === undefined ? {} : { replaced: replaced.name }) };
    room.deps.publish("restore", volume, attributes);
    return { replaced: replaced && renderSnapshot(replaced) };
  } catch (error) {
    if (isUntouched(room, held, moving)) {
      room.unfinished.delete(volume);
      await takeBack(room, held, moving);
    }
    throw nameFailure(error, `restore of ${volume}`);
  }
}

/** Whether all is as it was: the first entry could not be moved. */
function isUntouched(room: HistoryRoom, held: HeldVolume, { volume, restore }: HistoryOp): boolean {
  if (restore === undefined || room.unfinished.get(volume)?.step === "moved") return false;
  const { fresh, aside } = placesOf(held, restore);
  return exists(fresh) && !exists(aside) && !exists(`${aside}.part`);
}

function exists(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false }) !== undefined;
}

function planRestore(room: HistoryRoom, held: HeldVolume, snapshot: SnapshotRecord, isDiscarded: boolean): RestoreOp {
  const { volume } = snapshot;
  const created = nowRfc3339Nano();
  const known = snapshotsOf(room, volume);
  const [fresh, id] = [randomUUID(), randomUUID()];
  const replaced: SnapshotRecord = {
    id,
    volume,
    name: freeName(replacedName(snapshot.name, created), (name) => known.has(name)),
    created,
    sizeBytes: 0,
    shared: false,
    comment: `replaced by ${snapshot.name}`,
  };
  const inside = isElsewhere(held);
  return {
    snapshot: snapshot.name,
    // Never of one beginning: what begins like the second is left where it is.
    fresh: inside ? `.gantry-restore-${fresh}` : fresh,
    aside: inside ? `.gantry-replaced-${id}` : id,
    inside,
    replaced: isDiscarded ? undefined : replaced,
  };
}

/** Another driver's, or something mounted there. */
function isElsewhere({ record, data, directory }: HeldVolume): boolean {
  const { type, o, device } = record.options ?? {};
  const isMounted = [type, o, device].some((option) => option !== undefined && option !== "");
  return record.driver !== "local" || data !== join(directory, "_data") || isMounted;
}

/** Copies, with the journal knowing it; nothing of the volume's content changes. Taken back when it fails. */
async function prepare(
  room: HistoryRoom,
  held: HeldVolume,
  snapshot: SnapshotRecord,
  restore: RestoreOp,
  signal: AbortSignal,
): Promise<HistoryOp> {
  const { store } = room.deps;
  const made = restore.inside ? (restore.replaced === undefined ? [] : [restore.replaced.id]) : [restore.fresh];
  const op = beginOp(snapshot.volume, made, restore);
  await store.commit([putOp(op)]);
  try {
    await failpoint("volume.restore.intended");
    const replaced = await copy(room, held, snapshot, restore, signal);
    await failpoint("volume.restore.copied");
    const moving: HistoryOp = { ...op, step: "moving", restore: { ...restore, replaced } };
    await store.commit([putOp(moving)]);
    return moving;
  } catch (error) {
    await takeBack(room, held, op);
    throw nameFailure(error, `restore of ${snapshot.volume}`);
  }
}

/** @returns the record of what is going to be replaced */
async function copy(
  room: HistoryRoom,
  held: HeldVolume,
  snapshot: SnapshotRecord,
  { inside, fresh, replaced }: RestoreOp,
  signal: AbortSignal,
): Promise<SnapshotRecord | undefined> {
  const { trees, quotas } = room.deps;
  const source = directoryOf(held, snapshot.id);
  if (!inside) {
    const directory = await makeDirectory(room, held, fresh);
    // Nothing can be moved to where another limit holds.
    await quotas.share(directory, held.data);
    await trees.clone(source, directory, signal);
    return replaced;
  }
  let record = replaced;
  if (replaced !== undefined) {
    const { bytes, shared } = await trees.clone(held.data, await makeDirectory(room, held, replaced.id), signal);
    record = { ...replaced, sizeBytes: bytes, shared };
  }
  await mkdir(join(held.data, fresh), { mode: 0o700 });
  await trees.clone(source, held.data, signal, fresh);
  return record;
}

/** Deletes the copies of a restore that has not begun to move anything. What resists is left for the next start. */
export async function takeBack(room: HistoryRoom, held: HeldVolume, op: HistoryOp): Promise<void> {
  try {
    if (op.restore?.inside === true) await room.deps.trees.removeIn(held.data, op.restore.fresh);
  } catch (error) {
    room.deps.logger.error("a copy that was not finished cannot be deleted", {
      volume: op.volume,
      error: messageOf(error),
    });
    return;
  }
  await discardQuietly(room, held, op);
}
