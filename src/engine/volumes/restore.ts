// The start of the room: records from the store, then what the journal has, then a sweep of what was half made or half removed.

import { messageOf } from "../../base/errors.ts";
import { settleVolumeOps, sweepUncommitted } from "./journal.ts";
import { parseOps } from "./ops.ts";
import { localDriver, parseVolumeRow } from "./record.ts";
import type { VolumeRoom } from "./room.ts";

export async function restoreVolumes(room: VolumeRoom): Promise<void> {
  const { store, logger } = room.deps;
  const { layout, local, records } = room;
  await layout.setUp();
  await room.deps.trees.spread(layout.root);
  const [rows, ops] = await Promise.all([store.load("volumes"), store.load("ops")]);
  for (const record of rows.map(parseVolumeRow)) {
    records.set(record.name, record);
    if (record.driver === localDriver) local.know(record.name, record.options ?? {});
  }
  await settleVolumeOps(room, ops);
  await sweepUncommitted(room);
  const kept = await keptBy(room);
  for (const path of await layout.leftovers()) {
    if (kept.has(path)) continue;
    try {
      await layout.erase(path);
    } catch (error) {
      logger.error("what an earlier daemon left cannot be deleted", { path, error: messageOf(error) });
    }
  }
}

/** Staged content that the journal still needs: its volume could not be settled now. */
async function keptBy(room: VolumeRoom): Promise<ReadonlySet<string>> {
  const ops = parseOps(await room.deps.store.load("ops"));
  return new Set(
    ops.flatMap(({ payload }) => (payload.staged === undefined ? [] : [room.layout.directory(payload.staged)])),
  );
}
