// POST /images/prune.

import { sendJson } from "../exchange.ts";
import { parseFilters } from "../filters.ts";
import type { Engine } from "../ports.ts";
import { type Route, route } from "../router.ts";

export function imagePruneRoutes({ images }: Engine): readonly Route[] {
  return [
    route("POST", "/images/prune", async (exchange) => {
      const filters = parseFilters(exchange.query.text("filters"), ["dangling", "label", "label!", "until"]);
      sendJson(exchange, 200, await images.prune(filters));
    }),
  ];
}
