// POST /volumes/create and PUT /volumes/{name}. Source: Engine API 1.51, VolumeCreate; texts are dockerd's.

import { failpoint } from "../../base/failpoint.ts";
import type { Volume, VolumeCreateRequest } from "../../spec/docker/volume.ts";
import { inspectVolume } from "./list.ts";
import { anonymousLabel, newVolumeName } from "./names.ts";
import { provideVolumes } from "./provide.ts";
import { putVolume } from "./record.ts";
import { noSuchVolume, type VolumeRoom } from "./room.ts";

/**
 * One of that name and driver that is there already is answered as it is.
 *
 * @throws InvalidParameter a name or an option; NotFound a driver; Conflict another driver has the name; Unavailable the disk is full
 * Locks: the volume's name.
 */
export async function createVolume(
  room: VolumeRoom,
  request: VolumeCreateRequest,
  signal: AbortSignal,
): Promise<Volume> {
  const { Name = "", Driver = "", DriverOpts = null, Labels = null } = request;
  const anonymous = Name === "";
  const name = anonymous ? newVolumeName() : Name;
  const labels = anonymous ? { ...Labels, [anonymousLabel]: "" } : Labels;
  const wish = { name, anonymous, driver: Driver, options: DriverOpts, labels, fill: undefined };
  using provided = await provideVolumes(room, [wish], signal);
  try {
    if (provided.changes.length > 0) await room.deps.store.commit(provided.changes);
  } catch (error) {
    await provided.undo();
    throw error;
  }
  await failpoint("volume.create.committed");
  provided.committed();
  return inspectVolume(room, name);
}

/** Replaces the labels of a volume that was made here. @throws NotFound; Locks: the volume's name */
export async function updateVolume(
  room: VolumeRoom,
  name: string,
  labels: Readonly<Record<string, string>>,
): Promise<void> {
  using _held = await room.changing.lock(name);
  const record = room.records.get(name);
  if (record === undefined) throw noSuchVolume(name);
  const updated = { ...record, labels };
  await room.deps.store.commit([putVolume(updated)]);
  room.records.set(name, updated);
}
