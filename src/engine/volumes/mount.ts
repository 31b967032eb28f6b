// Volumes for containers that start and end. Which container has mounted what is the driver's to know; here it is announced.

import { EngineError, isEngineError, messageOf } from "../../base/errors.ts";
import type { ContainerId } from "../../base/ids.ts";
import type { VolumePlace } from "./index.ts";
import { localDriver } from "./record.ts";
import { driverOf, findForeign, noSuchVolume, type VolumeRoom } from "./room.ts";

function keyOf(name: string, user: string): string {
  return `${user}/${name}`;
}

async function driverOfVolume(room: VolumeRoom, name: string): ReturnType<typeof driverOf> {
  const record = room.records.get(name);
  if (record !== undefined) return driverOf(room, record.driver, `get ${name}`);
  const foreign = await findForeign(room, name);
  if (foreign === undefined) throw noSuchVolume(name);
  return foreign.driver;
}

/** See Volumes.mount. */
export async function mountVolume(
  room: VolumeRoom,
  name: string,
  user: ContainerId,
  places: readonly VolumePlace[],
): Promise<string> {
  const driver = await driverOfVolume(room, name);
  let path: string;
  try {
    path = await driver.mount(name, user);
  } catch (error) {
    const shown = driver.name === localDriver ? room.layout.data(name) : name;
    throw new EngineError(
      isEngineError(error) ? error.kind : "System",
      `error while mounting volume '${shown}': ${messageOf(error)}`,
      { cause: error },
    );
  }
  if (places.length > 0) room.shown.set(keyOf(name, user), places.length);
  for (const { destination, isWritable, propagation } of places)
    room.deps.events.publish({
      type: "volume",
      action: "mount",
      id: name,
      attributes: {
        container: user,
        destination,
        driver: driver.name,
        propagation,
        "read/write": String(isWritable),
      },
    });
  return path;
}

/** See Volumes.unmount. */
export async function unmountVolume(room: VolumeRoom, name: string, user: ContainerId): Promise<void> {
  const key = keyOf(name, user);
  const times = room.shown.get(key) ?? 0;
  room.shown.delete(key);
  try {
    const driver = await driverOfVolume(room, name);
    await driver.unmount(name, user);
    for (let i = 0; i < times; i++)
      room.deps.events.publish({
        type: "volume",
        action: "unmount",
        id: name,
        attributes: { container: user, driver: driver.name },
      });
  } catch (error) {
    room.deps.logger.error("a volume could not be unmounted", {
      volume: name,
      container: user,
      error: messageOf(error),
    });
  }
}
