// DELETE /volumes/{name}: refused while containers have it; then one commit (the record, its snapshots' records, the intent) → the directory
// aside → deleted. A removal that was committed is finished by the next start. Nothing is deleted through a mount.

import { randomUUID } from "node:crypto";
import { setTimeout as pause } from "node:timers/promises";
import { EngineError, isEngineError, messageOf } from "../../base/errors.ts";
import { failpoint } from "../../base/failpoint.ts";
import type { VolumeRecord } from "./index.ts";
import { beginOp, endOp } from "./ops.ts";
import { localDriver } from "./record.ts";
import { driverOf, findForeign, noSuchVolume, type VolumeRoom, withSubject } from "./room.ts";

const gatherMs = 100;

/** Resolves with the volume's name locked, and nobody making a container of it. */
async function lockUnheld(room: VolumeRoom, name: string): Promise<Disposable> {
  for (;;) {
    const lock = await room.changing.lock(name);
    if (!room.holds.isHeld(name)) return lock;
    lock[Symbol.dispose]();
    await room.holds.released(name);
  }
}

function refuseUsed(room: VolumeRoom, name: string): void {
  const users = room.deps.users.usersOf(name);
  if (users.length > 0)
    throw new EngineError("Conflict", `remove ${name}: volume is in use - [${users.map(({ id }) => id).join(", ")}]`);
}

function refuseSnapshots(room: VolumeRoom, name: string): void {
  const snapshots = room.history.names(name);
  if (snapshots.length > 0)
    throw new EngineError(
      "Conflict",
      `remove ${name}: volume has snapshots that would be deleted with it (${snapshots.join(", ")}): remove them first, or use --force`,
    );
}

/**
 * @param force one that is not there, or whose driver fails, is no error; snapshots are deleted with it
 * @throws NotFound; Conflict containers have it, it has snapshots, or something is mounted in it; System
 * Locks: the volume's name.
 */
export async function removeVolume(room: VolumeRoom, name: string, force: boolean): Promise<void> {
  using _held = await lockUnheld(room, name);
  refuseUsed(room, name);
  if (!force) refuseSnapshots(room, name);
  const record = room.records.get(name);
  if (record !== undefined) return destroyVolume(room, record, force);
  const foreign = await findForeign(room, name);
  if (foreign === undefined) {
    if (force) return;
    throw noSuchVolume(name);
  }
  await withSubject(`remove ${name}`, foreign.driver.remove(name));
  announce(room, name, foreign.driver.name);
}

/** The caller holds its name, and has seen that nobody uses it. */
async function destroyVolume(room: VolumeRoom, record: VolumeRecord, force: boolean): Promise<void> {
  const { store } = room.deps;
  const { name, driver } = record;
  const rows = [{ delete: "volumes", key: name } as const, ...room.history.removal(name)];
  if (driver === localDriver) {
    await room.local.release(name);
    const tag = randomUUID();
    const begun = beginOp("remove", name, { options: record.options ?? {} }, tag);
    await store.commit([...rows, begun], { freesSpace: true });
    room.records.delete(name);
    room.history.removed(name);
    await failpoint("volume.remove.committed");
    await removeDirectory(room, name, tag);
  } else {
    let isAsked = false;
    try {
      const plugin = await driverOf(room, driver, `remove ${name}`);
      isAsked = true;
      await withSubject(`remove ${name}`, plugin.remove(name));
    } catch (error) {
      // That the plugin is not there does not mean that its volume is gone.
      if (!force && !(isAsked && isEngineError(error, "NotFound"))) throw error;
    }
    await store.commit(rows, { freesSpace: true });
    room.records.delete(name);
    room.history.removed(name);
  }
  announce(room, name, driver);
}

async function removeDirectory(room: VolumeRoom, name: string, tag: string): Promise<void> {
  try {
    await room.local.remove(name);
  } catch (error) {
    // Somebody has deleted it by hand.
    if (!isEngineError(error, "NotFound")) throw error;
  }
  await failpoint("volume.remove.deleted");
  room.removed.push(endOp("remove", name, tag));
  if (room.removed.length > 1) return;
  // Nobody waits for it: until then a start looks whether there is something left to delete.
  const ending = endRemovals(room).finally(() => room.ending.delete(ending));
  room.ending.add(ending);
}

/** Removals often come in a row: one write to the disk ends those of a moment. */
async function endRemovals(room: VolumeRoom): Promise<void> {
  await pause(gatherMs);
  const ended = room.removed.splice(0);
  try {
    await room.layout.sync();
    await room.deps.store.commit(ended, { freesSpace: true });
  } catch (error) {
    room.deps.logger.warn("the journal still has removals of volumes", {
      volumes: ended.length,
      error: messageOf(error),
    });
  }
}

function announce(room: VolumeRoom, name: string, driver: string): void {
  room.deps.events.publish({ type: "volume", action: "destroy", id: name, attributes: { driver } });
}

/**
 * Removes a volume if nobody uses it, it has no snapshots, and it still is what `selects` wants.
 *
 * @returns whether it is gone
 * Locks: the volume's name.
 */
export async function removeUnused(
  room: VolumeRoom,
  name: string,
  selects: (record: VolumeRecord) => boolean,
  before: (record: VolumeRecord) => Promise<void> = () => Promise.resolve(),
): Promise<boolean> {
  using _held = await room.changing.lock(name);
  const record = room.records.get(name);
  if (record === undefined || !selects(record) || room.holds.isHeld(name)) return false;
  if (room.deps.users.usersOf(name).length > 0 || room.history.names(name).length > 0) return false;
  await before(record);
  await destroyVolume(room, record, false);
  return true;
}

/** See Volumes.removeAnonymous. */
export async function removeAnonymousVolumes(room: VolumeRoom, names: readonly string[]): Promise<void> {
  for (const name of new Set(names)) {
    try {
      await removeUnused(room, name, ({ anonymous }) => anonymous);
    } catch (error) {
      room.deps.logger.error("an anonymous volume could not be removed with its container", {
        volume: name,
        error: messageOf(error),
      });
    }
  }
}
