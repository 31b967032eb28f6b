// /networks: the built-in ones, to look at. Creation and connection are in unsupported.ts.

import { param, sendJson } from "../exchange.ts";
import { boolFilter, parseFilters } from "../filters.ts";
import type { Engine } from "../ports.ts";
import { type Route, route } from "../router.ts";

const listFilters = ["dangling", "driver", "id", "label", "name", "scope", "type"];

export function networkRoutes(engine: Engine): readonly Route[] {
  const { networks } = engine;
  return [
    route("GET", "/networks", async (exchange) => {
      const filters = parseFilters(exchange.query.text("filters"), listFilters);
      boolFilter(filters, "dangling");
      sendJson(exchange, 200, await networks.list(filters));
    }),
    route("GET", "/networks/{id}", async (exchange) => {
      sendJson(exchange, 200, await networks.inspect(param(exchange, "id"), { verbose: false, scope: "" }));
    }),
  ];
}
