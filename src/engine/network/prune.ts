// POST /networks/prune: removes the networks that nothing depends on. Source: Engine API 1.51, NetworkPrune; texts are dockerd's.

import { EngineError, isEngineError, messageOf } from "../../base/errors.ts";
import { parseRfc3339 } from "../../base/time.ts";
import type { Filters } from "../api/ports.ts";
import { isPredefined } from "./draft.ts";
import { hasLabels, parseUntil } from "./filters.ts";
import type { NetworkRecord } from "./record.ts";
import { destroyNetwork } from "./remove.ts";
import type { NetworkRoom } from "./room.ts";

const known = new Set(["label", "label!", "until"]);

/** Whether a prune with these filters would take the network, if it is not in use. @throws InvalidParameter a filter that is none */
export function selectPrunable(filters: Filters): (record: NetworkRecord) => boolean {
  for (const key of filters.keys())
    if (!known.has(key)) throw new EngineError("InvalidParameter", `invalid filter '${key}'`);
  const untilNs = parseUntil(filters.get("until") ?? []);
  const wanted = filters.get("label") ?? [];
  const unwanted = filters.get("label!") ?? [];
  return ({ name, configOnly, created, labels }) =>
    !isPredefined(name) &&
    !configOnly &&
    (untilNs === undefined || (parseRfc3339(created) ?? 0n) <= untilNs) &&
    hasLabels(labels, wanted) &&
    !(unwanted.length > 0 && hasLabels(labels, unwanted));
}

/**
 * @returns names of what was removed; a network that cannot be removed is logged and left
 * @throws InvalidParameter a filter that is none
 */
export async function pruneNetworks(room: NetworkRoom, filters: Filters): Promise<readonly string[]> {
  const selects = selectPrunable(filters);
  const { events, logger } = room.deps;
  const removed: string[] = [];
  for (const { id } of [...room.records.values()].filter(selects)) {
    // Creations and removals that wait are let in between.
    using _held = await room.changing.lock("networks");
    const record = room.records.get(id);
    if (record === undefined || !selects(record) || room.membersOf(id).length > 0) continue;
    try {
      await destroyNetwork(room, record);
      removed.push(record.name);
    } catch (error) {
      if (!isEngineError(error, "Forbidden"))
        logger.warn("could not remove a network", { network: record.name, id, error: messageOf(error) });
    }
  }
  events.publish({ type: "network", action: "prune", id: "", attributes: { reclaimed: "0" } });
  return removed;
}
