// What a start makes of volumes that an earlier daemon left in the middle. A removal is finished, and a volume whose record was not
// committed is taken back; content that was whole is moved in to its end, what was not is deleted. Source: docs/durability.md.

import { lstatSync } from "node:fs";
import { join } from "node:path";
import { messageOf } from "../../base/errors.ts";
import type { Tables } from "../store/index.ts";
import { eraseStaged, exchangeFresh } from "./fill.ts";
import { parseOps, type VolumeOp } from "./ops.ts";
import { driverOf, type VolumeRoom } from "./room.ts";

/** For the start, when the records are in the room. What cannot be finished is logged and tried again at the next start. */
export async function settleVolumeOps(room: VolumeRoom, rows: readonly Tables["ops"][]): Promise<void> {
  for (const op of parseOps(rows)) await settleVolumeOp(room, op);
}

/** The caller holds the volume's name. @returns whether it is settled; if not, that was logged */
export async function settleVolumeOp(room: VolumeRoom, op: VolumeOp): Promise<boolean> {
  try {
    await (op.step === "fill" ? settleFill(room, op) : settleRemoval(room, op));
    await room.deps.store.commit([{ delete: "ops", key: op.id }], { freesSpace: true });
    return true;
  } catch (error) {
    room.deps.logger.error("a volume that was being changed could not be settled", {
      volume: op.volume,
      step: op.step,
      error: messageOf(error),
    });
    return false;
  }
}

async function settleRemoval(room: VolumeRoom, { volume, payload }: VolumeOp): Promise<void> {
  const { layout, local, records, deps } = room;
  if (records.has(volume) || !layout.has(volume)) return;
  local.know(volume, payload.options ?? {});
  await local.remove(volume);
  deps.logger.info("a volume that was being removed is gone", { volume });
}

/** Volumes whose records were not committed are taken back. For the start. */
export async function sweepUncommitted(room: VolumeRoom): Promise<void> {
  const { layout, local, records, deps } = room;
  for (const name of await layout.names()) {
    const options = layout.readMark(name);
    if (options === undefined) continue;
    if (records.has(name)) {
      layout.unmark(name);
      continue;
    }
    try {
      local.know(name, options);
      await local.remove(name);
      deps.logger.info("a volume that was being made is gone", { volume: name });
    } catch (error) {
      deps.logger.error("a volume that was being made cannot be removed", { volume: name, error: messageOf(error) });
    }
  }
}

async function settleFill(room: VolumeRoom, { id, volume, payload }: VolumeOp): Promise<void> {
  const record = room.records.get(volume);
  const { staged, isInside = false, isWhole = false } = payload;
  if (record === undefined || staged === undefined) return;
  const driver = await driverOf(room, record.driver, `fill ${volume}`);
  const data = await driver.mount(volume, id);
  try {
    const directory = join(isInside ? data : room.layout.root, staged);
    if (lstatSync(directory, { throwIfNoEntry: false }) === undefined) return;
    if (isWhole) await exchangeFresh(room, data, directory);
    await eraseStaged(directory);
    room.deps.logger.info("an empty volume that was being filled is settled", { volume, filled: isWhole });
  } finally {
    await driver.unmount(volume, id);
  }
}
