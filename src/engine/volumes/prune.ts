// POST /volumes/prune: removes local volumes that no container has. Those with options are left, as dockerd leaves them: what they
// show may be worth more than a name.

import { messageOf } from "../../base/errors.ts";
import type { Filters } from "../api/ports.ts";
import { selectPrunable } from "./filters.ts";
import type { VolumeRecord } from "./index.ts";
import { localDriver } from "./record.ts";
import { removeUnused } from "./remove.ts";
import type { VolumeRoom } from "./room.ts";

/** A directory of the engine and nothing else. */
export function isPlainLocal({ driver, options }: VolumeRecord): boolean {
  return driver === localDriver && Object.keys(options ?? {}).length === 0;
}

/**
 * @returns names of what was removed, and bytes of its files; a volume that cannot be removed is logged and left
 * @throws InvalidParameter a filter that is none
 */
export async function pruneVolumes(
  room: VolumeRoom,
  filters: Filters,
): Promise<{ readonly VolumesDeleted: readonly string[]; readonly SpaceReclaimed: number }> {
  const isWanted = selectPrunable(filters);
  const selects = (record: VolumeRecord): boolean => isPlainLocal(record) && isWanted(record);
  const removed: string[] = [];
  let reclaimed = 0;
  const names = [...room.records.values()].filter(selects).map(({ name }) => name);
  for (const name of names.toSorted()) {
    let bytes = 0;
    try {
      const isGone = await removeUnused(room, name, selects, async () => {
        bytes = await sizeOf(room, name);
      });
      if (!isGone) continue;
      removed.push(name);
      reclaimed += bytes;
    } catch (error) {
      room.deps.logger.warn("could not remove a volume", { volume: name, error: messageOf(error) });
    }
  }
  const attributes = { reclaimed: String(reclaimed) };
  room.deps.events.publish({ type: "volume", action: "prune", id: "", attributes });
  return { VolumesDeleted: removed, SpaceReclaimed: reclaimed };
}

/** Bytes of a local volume's files; 0 where it cannot be told, which is logged unless it was removed meanwhile. */
export async function sizeOf(room: VolumeRoom, name: string): Promise<number> {
  try {
    return await room.deps.trees.size(room.layout.data(name), new AbortController().signal);
  } catch (error) {
    if (room.records.has(name))
      room.deps.logger.warn("the size of a volume cannot be told", { volume: name, error: messageOf(error) });
    return 0;
  }
}
