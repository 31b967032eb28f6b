// GET /volumes and GET /volumes/{name}: volumes as the API shows them. A plugin is asked for its own; where it does not answer, a list says
// so and shows what is known here.

import { isEngineError, messageOf } from "../../base/errors.ts";
import type { Volume, VolumeList } from "../../spec/docker/volume.ts";
import type { Filters } from "../api/ports.ts";
import { selectVolumes } from "./filters.ts";
import type { DriverVolume } from "./index.ts";
import { localDriver, renderForeign, renderVolume } from "./record.ts";
import { driverOf, findForeign, noSuchVolume, type VolumeRoom } from "./room.ts";

/** Whether containers have it, or are being made of it. */
export function isUsed(room: VolumeRoom, name: string): boolean {
  return room.holds.isHeld(name) || room.deps.users.usersOf(name).length > 0;
}

/** @throws NotFound "get x: no such volume"; whatever its plugin says */
export async function inspectVolume(room: VolumeRoom, name: string): Promise<Volume> {
  const record = room.records.get(name);
  if (record === undefined) {
    const foreign = await findForeign(room, name);
    if (foreign === undefined) throw noSuchVolume(name);
    return renderForeign(foreign.driver.name, await foreign.driver.scope(), foreign.volume);
  }
  if (record.driver === localDriver) return renderVolume(record, undefined, room.layout.data(name));
  const driver = await driverOf(room, record.driver, `get ${name}`);
  try {
    const volume = await driver.get(name);
    return renderVolume(record, volume, volume.mountpoint);
  } catch (error) {
    if (isEngineError(error, "NotFound")) throw noSuchVolume(name);
    throw error;
  }
}

/** Sorted by name. @throws InvalidParameter a filter that is none */
export async function listVolumes(room: VolumeRoom, filters: Filters): Promise<VolumeList> {
  const selection = selectVolumes(filters, (name) => isUsed(room, name));
  const isAsked = (driver: string): boolean => selection.drivers?.includes(driver) ?? true;
  const volumes = new Map<string, Volume>();
  for (const record of room.records.values())
    volumes.set(
      record.name,
      renderVolume(record, undefined, record.driver === localDriver ? room.layout.data(record.name) : ""),
    );
  const warnings: string[] = [];
  // A driver that cannot be found is a warning too where volumes of it are known.
  const known = [...room.records.values()].map(({ driver }) => driver);
  const names = new Set([...(await room.deps.drivers.names()), ...known]);
  await Promise.all(
    [...names]
      .filter((name) => name !== localDriver && isAsked(name))
      .map(async (name) => {
        try {
          const driver = await room.deps.drivers.get(name);
          const scope = await driver.scope();
          for (const volume of await driver.list()) add(room, volumes, driver.name, scope, volume);
        } catch (error) {
          warnings.push(`list ${name}: ${messageOf(error)}`);
        }
      }),
  );
  return {
    Volumes: [...volumes.values()].filter(selection.matches).toSorted((a, b) => (a.Name < b.Name ? -1 : 1)),
    Warnings: warnings.length === 0 ? null : warnings.toSorted(),
  };
}

/** A name that another driver's record has is that one's. */
function add(
  room: VolumeRoom,
  volumes: Map<string, Volume>,
  driver: string,
  scope: "local" | "global",
  volume: DriverVolume,
): void {
  const record = room.records.get(volume.name);
  if (record === undefined) volumes.set(volume.name, renderForeign(driver, scope, volume));
  else if (record.driver === driver) volumes.set(volume.name, renderVolume(record, volume, volume.mountpoint));
}
