// What the history of volumes needs of this room: a volume held still while its data is copied, and new volumes of data that is there.

import { randomUUID } from "node:crypto";
import { rename } from "node:fs/promises";
import { join } from "node:path";
import { EngineError, messageOf } from "../../base/errors.ts";
import { failpoint } from "../../base/failpoint.ts";
import type { VolumeHistoryDeps } from "./history.ts";
import type { VolumeRecord } from "./index.ts";
import { checkLocalName } from "./names.ts";
import { insertVolume, localDriver, nowSeconds } from "./record.ts";
import { noSuchVolume, type VolumeRoom } from "./room.ts";

/** See VolumeHistoryDeps.use. Locks: the volume's name, until disposed. */
export async function useVolume(room: VolumeRoom, name: string): ReturnType<VolumeHistoryDeps["use"]> {
  await using stack = new AsyncDisposableStack();
  stack.use(await room.changing.lock(name));
  const record = room.records.get(name);
  if (record === undefined) throw noSuchVolume(name);
  if (record.driver !== localDriver)
    throw new EngineError(
      "NotImplemented",
      `${name} is a volume of the driver ${record.driver}: only those of the driver local can be copied`,
    );
  const user = `history-${randomUUID()}`;
  const data = await room.local.mount(name, user);
  stack.defer(() =>
    room.local
      .unmount(name, user)
      .catch((error: unknown) =>
        room.deps.logger.error("a volume cannot be unmounted", { volume: name, error: messageOf(error) }),
      ),
  );
  const owned = stack.move();
  return {
    record,
    data,
    directory: room.layout.directory(name),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/** See VolumeHistoryDeps.adopt. Locks: the volume's name. */
export async function adoptVolume(
  room: VolumeRoom,
  { name, labels }: Parameters<VolumeHistoryDeps["adopt"]>[0],
  fresh: string,
): Promise<void> {
  const { store, events } = room.deps;
  checkLocalName(name);
  using _held = await room.changing.lock(name);
  if (room.records.has(name))
    throw new EngineError("Conflict", `create ${name}: there is a volume of that name already`);
  room.layout.refuseOccupied(name);
  const record: VolumeRecord = {
    name,
    driver: localDriver,
    created: nowSeconds(),
    labels: Object.keys(labels).length === 0 ? null : labels,
    options: null,
    scope: "local",
    anonymous: false,
  };
  const stage = room.layout.stage();
  try {
    await rename(fresh, join(stage, "_data"));
    await room.layout.place(stage, name, {});
    await failpoint("volume.adopt.placed");
    await store.commit([insertVolume(record)]);
  } catch (error) {
    await room.layout.erase(stage);
    await room.layout.remove(name);
    throw error;
  }
  room.layout.unmark(name);
  room.local.know(name, {});
  room.records.set(name, record);
  events.publish({ type: "volume", action: "create", id: name, attributes: { driver: localDriver } });
}
