// Prune of what cannot be made here yet: volumes, build cache. There is none, so none is deleted; docker
// system prune asks for all of them and goes no further after an error.

import { sendJson } from "../exchange.ts";
import { parseFilters } from "../filters.ts";
import { type Route, route } from "../router.ts";

const buildFilters = ["description", "id", "inuse", "parent", "private", "shared", "type", "unused-for", "until"];

export function pruneAbsentRoutes(): readonly Route[] {
  return [
    route("POST", "/volumes/prune", async (exchange) => {
      parseFilters(exchange.query.text("filters"), ["all", "label", "label!"]);
      sendJson(exchange, 200, { VolumesDeleted: [], SpaceReclaimed: 0 });
    }),
    route("POST", "/build/prune", async (exchange) => {
      parseFilters(exchange.query.text("filters"), buildFilters);
      sendJson(exchange, 200, { CachesDeleted: null, SpaceReclaimed: 0 });
    }),
  ];
}
