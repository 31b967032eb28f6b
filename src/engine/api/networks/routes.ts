// /networks, but for connecting containers; and /gantry/network/rules, the firewall as text.

import { EngineError } from "../../../base/errors.ts";
import { readObject } from "../body.ts";
import { type Exchange, param, sendEmpty, sendJson } from "../exchange.ts";
import { parseFilters } from "../filters.ts";
import type { CreateNetworkRequest, Engine } from "../ports.ts";
import { type Route, route } from "../router.ts";
import { createSchema } from "./schema.ts";

const listFilters = ["dangling", "driver", "id", "label", "name", "scope", "type"];
const pruneFilters = ["label", "label!", "until"];

/** Minor number of the API version that brought EnableIPv4; before it, IPv4 is always on. */
const minorOfIpv4 = 48;

async function readCreate(exchange: Exchange): Promise<CreateNetworkRequest> {
  const body = await readObject(exchange, createSchema, "CreateRequest", "allowed");
  const { EnableIPv4, ...older } = body as Partial<CreateNetworkRequest>;
  return {
    ...older,
    ...(exchange.minor < minorOfIpv4 || EnableIPv4 === undefined ? {} : { EnableIPv4 }),
    Name: older.Name ?? "",
  };
}

/** Go's strconv.ParseBool, false where nothing is given. @throws InvalidParameter */
function parseVerbose(text: string): boolean {
  if (text === "" || /^(0|f|F|FALSE|false|False)$/.test(text)) return false;
  if (/^(1|t|T|TRUE|true|True)$/.test(text)) return true;
  const shown = text.slice(0, 256);
  throw new EngineError(
    "InvalidParameter",
    `invalid value for verbose: ${shown}: strconv.ParseBool: parsing ${JSON.stringify(shown)}: invalid syntax`,
  );
}

export function networkRoutes(engine: Engine): readonly Route[] {
  const { networks } = engine;
  return [
    route("GET", "/networks", async (exchange) => {
      sendJson(exchange, 200, await networks.list(parseFilters(exchange.query.text("filters"), listFilters)));
    }),
    route("POST", "/networks/create", async (exchange) => {
      const { id, warning } = await networks.create(await readCreate(exchange));
      sendJson(exchange, 201, { Id: id, Warning: warning });
    }),
    route("POST", "/networks/prune", async (exchange) => {
      const removed = await networks.prune(parseFilters(exchange.query.text("filters"), pruneFilters));
      sendJson(exchange, 200, { NetworksDeleted: removed.length === 0 ? null : removed });
    }),
    route("GET", "/networks/{id}", async (exchange) => {
      const verbose = parseVerbose(exchange.query.text("verbose"));
      const scope = exchange.query.text("scope");
      sendJson(exchange, 200, await networks.inspect(param(exchange, "id"), { verbose, scope }));
    }),
    route("DELETE", "/networks/{id}", async (exchange) => {
      await networks.remove(param(exchange, "id"));
      sendEmpty(exchange, 204);
    }),
    route("GET", "/gantry/network/rules", async (exchange) => {
      const rules = await networks.rules();
      exchange.reply.send(200, { "Content-Type": "text/plain; charset=utf-8" }, rules);
    }),
  ];
}
