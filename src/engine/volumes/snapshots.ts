// Snapshots of a volume: taken, listed, removed. A snapshot is a whole tree of its own; where the file system can, it shares its blocks.
// Order: row of the journal → copy → one commit of its record without that row. Removed: one commit → directory → row.

import { randomUUID } from "node:crypto";
import { EngineError } from "../../base/errors.ts";
import { failpoint } from "../../base/failpoint.ts";
import { nowRfc3339Nano } from "../../base/time.ts";
import type { VolumeSnapshot } from "../../spec/docker/volume.ts";
import type { VolumeHistory } from "./index.ts";
import {
  beginOp,
  directoryOf,
  discard,
  discardQuietly,
  findSnapshot,
  type HeldVolume,
  type HistoryRoom,
  makeDirectory,
  nameFailure,
  putOp,
  snapshotsOf,
} from "./history-room.ts";
import { holdVolume } from "./hold-volume.ts";
import {
  checkSnapshotWish,
  freeName,
  insertSnapshot,
  renderSnapshot,
  type SnapshotRecord,
  timeName,
} from "./snapshot-record.ts";

/** See VolumeHistoryPort. @throws Conflict the name is taken; Unavailable the disk is full: nothing is left */
export async function takeSnapshot(
  room: HistoryRoom,
  volume: string,
  request: Parameters<VolumeHistory["snapshot"]>[1],
  signal: AbortSignal,
): Promise<VolumeSnapshot> {
  checkSnapshotWish(request.name, request.comment);
  await using held = await holdVolume(room, volume);
  const { store, trees, publish } = room.deps;
  const known = snapshotsOf(room, volume);
  const created = nowRfc3339Nano();
  const name = request.name === "" ? freeName(timeName(created), (taken) => known.has(taken)) : request.name;
  if (known.has(name)) throw new EngineError("Conflict", `volume ${volume} has a snapshot ${name} already`);
  const id = randomUUID();
  const op = beginOp(volume, [id]);
  await store.commit([putOp(op)]);
  let record: SnapshotRecord;
  try {
    await failpoint("volume.snapshot.intended");
    const directory = await makeDirectory(room, held, id);
    const { bytes, shared } = await trees.clone(held.data, directory, signal);
    record = { id, volume, name, created, sizeBytes: bytes, shared, comment: request.comment };
    await failpoint("volume.snapshot.copied");
    await store.commit([insertSnapshot(record), { delete: "ops", key: op.id }]);
  } catch (error) {
    await discardQuietly(room, held, op);
    throw nameFailure(error, `snapshot of ${volume}`);
  }
  known.set(name, record);
  await failpoint("volume.snapshot.committed");
  publish("snapshot", volume, { snapshot: name });
  return renderSnapshot(record);
}

/** Oldest first. */
export async function listSnapshots(room: HistoryRoom, volume: string): Promise<readonly VolumeSnapshot[]> {
  await using _held = await holdVolume(room, volume);
  return [...snapshotsOf(room, volume).values()]
    .toSorted((a, b) => (a.created < b.created ? -1 : a.created > b.created ? 1 : 0))
    .map(renderSnapshot);
}

/** @throws NotFound */
export async function removeSnapshot(room: HistoryRoom, volume: string, name: string): Promise<void> {
  await using held = await holdVolume(room, volume);
  const { id } = findSnapshot(room, volume, name);
  const op = beginOp(volume, [id]);
  await room.deps.store.commit([{ delete: "volume_snapshots", key: id }, putOp(op)], { freesSpace: true });
  snapshotsOf(room, volume).delete(name);
  await failpoint("volume.snapshot.removed");
  await discard(room, held, op);
}

/** Where its files are. @throws NotFound */
export function snapshotDirectory(room: HistoryRoom, held: HeldVolume, volume: string, name: string): string {
  return directoryOf(held, findSnapshot(room, volume, name).id);
}
