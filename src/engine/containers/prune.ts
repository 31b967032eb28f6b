// POST /containers/prune: removes what does not run and fits the filters; volumes stay, as in dockerd.

import { isEngineError } from "../../base/errors.ts";
import type { Filters } from "../api/ports.ts";
import { parsePruneFilters } from "./list-filters.ts";
import { removeContainer } from "./remove.ts";
import type { Room } from "./room.ts";
import { isActive } from "./state.ts";

/** Newest first. @throws InvalidParameter the filters */
export async function pruneContainers(
  room: Room,
  filters: Filters,
): Promise<{ readonly ContainersDeleted: readonly string[]; readonly SpaceReclaimed: number }> {
  const now = BigInt(Math.floor(performance.timeOrigin + performance.now())) * 1_000_000n;
  const matches = parsePruneFilters(filters, now);
  const doomed = [...room.containers.values()]
    .filter(({ record, removing }) => !isActive(record.state.status) && !removing && matches(record))
    .sort((a, b) => (a.record.created < b.record.created ? 1 : -1));
  const deleted: string[] = [];
  let bytes = 0;
  for (const { id } of doomed) {
    try {
      const { writableBytes } = await room.deps.snapshots.usage(id);
      await removeContainer(room, id, { force: false, volumes: false });
      deleted.push(id);
      bytes += writableBytes;
    } catch (error) {
      // Started or removed by somebody else meanwhile.
      if (!isEngineError(error, "Conflict") && !isEngineError(error, "NotFound")) throw error;
    }
  }
  room.deps.events.publish({ type: "container", action: "prune", id: "", attributes: { reclaimed: String(bytes) } });
  return { ContainersDeleted: deleted, SpaceReclaimed: bytes };
}
