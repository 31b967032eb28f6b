// Prune of what cannot be made here yet: volumes. There is none, so none is deleted; docker system prune asks for all kinds
// and goes no further after an error.

import { sendJson } from "../exchange.ts";
import { parseFilters } from "../filters.ts";
import { type Route, route } from "../router.ts";

export function pruneAbsentRoutes(): readonly Route[] {
  return [
    route("POST", "/volumes/prune", async (exchange) => {
      parseFilters(exchange.query.text("filters"), ["all", "label", "label!"]);
      sendJson(exchange, 200, { VolumesDeleted: [], SpaceReclaimed: 0 });
    }),
  ];
}
