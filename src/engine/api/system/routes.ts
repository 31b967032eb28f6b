// /_ping, /version, /info, the lists of what does not exist here (managed plugins, swarm), and Gantry's own /gantry.

import { EngineError } from "../../../base/errors.ts";
import type { Exchange } from "../exchange.ts";
import { param, sendJson } from "../exchange.ts";
import { parseFilters } from "../filters.ts";
import type { Engine } from "../ports.ts";
import { type Method, type Route, route } from "../router.ts";
import { renderInfo } from "./render.ts";

const pingHeaders = {
  "Builder-Version": "2",
  "Cache-Control": "no-cache, no-store, must-revalidate",
  Pragma: "no-cache",
  Swarm: "inactive",
  "Content-Type": "text/plain; charset=utf-8",
} as const;

export function systemRoutes(engine: Engine): readonly Route[] {
  const { system } = engine;
  return [
    route("GET", "/_ping", async ({ reply }) => reply.send(200, pingHeaders, "OK")),
    route("HEAD", "/_ping", async ({ reply }) => reply.send(200, pingHeaders, "")),
    route("GET", "/version", async (exchange) => sendJson(exchange, 200, await system.version())),
    route("GET", "/info", async (exchange) => sendJson(exchange, 200, renderInfo(await system.info(), exchange.minor))),
    route("GET", "/gantry/check", async (exchange) => sendJson(exchange, 200, await system.check({ repair: false }))),
    route("POST", "/gantry/check", async (exchange) => sendJson(exchange, 200, await system.check({ repair: true }))),
    ...absentRoutes(),
    ...swarmRoutes(),
  ];
}

/** No plugin is managed here; asking is answered as by a daemon that has none. */
function absentRoutes(): readonly Route[] {
  return [
    route("GET", "/plugins", async (exchange) => {
      parseFilters(exchange.query.text("filters"), ["capability", "enabled"]);
      sendJson(exchange, 200, []);
    }),
    route("GET", "/plugins/{name}/json", async (exchange) => {
      throw new EngineError("NotFound", `plugin ${JSON.stringify(param(exchange, "name"))} not found`);
    }),
  ];
}

const managerOperations: readonly (readonly [Method, string])[] = [
  ["GET", "/swarm"],
  ["POST", "/swarm/update"],
  ["GET", "/swarm/unlockkey"],
  ["POST", "/swarm/unlock"],
  ["GET", "/nodes"],
  ["GET", "/nodes/{id}"],
  ["DELETE", "/nodes/{id}"],
  ["POST", "/nodes/{id}/update"],
  ["GET", "/services"],
  ["POST", "/services/create"],
  ["GET", "/services/{id}/logs"],
  ["GET", "/services/{id}"],
  ["DELETE", "/services/{id}"],
  ["POST", "/services/{id}/update"],
  ["GET", "/tasks"],
  ["GET", "/tasks/{id}/logs"],
  ["GET", "/tasks/{id}"],
  ["GET", "/secrets"],
  ["POST", "/secrets/create"],
  ["GET", "/secrets/{id}"],
  ["DELETE", "/secrets/{id}"],
  ["POST", "/secrets/{id}/update"],
  ["GET", "/configs"],
  ["POST", "/configs/create"],
  ["GET", "/configs/{id}"],
  ["DELETE", "/configs/{id}"],
  ["POST", "/configs/{id}/update"],
];

/** A daemon without swarm answers so; docker's programs take it for "no swarm here". */
function swarmRoutes(): readonly Route[] {
  const refuse = async (exchange: Exchange): Promise<void> => {
    const path = exchange.request.url ?? "";
    if (
      /\/(?:services|tasks)\/[^?]+\/logs/.test(path) &&
      !exchange.query.bool("stdout") &&
      !exchange.query.bool("stderr")
    )
      throw new EngineError("InvalidParameter", "Bad parameters: you must choose at least one stream");
    throw new EngineError(
      "Unavailable",
      'This node is not a swarm manager. Use "docker swarm init" or "docker swarm join" to connect this node to swarm and try again.',
    );
  };
  return [
    ...managerOperations.map(([method, pattern]) => route(method, pattern, refuse)),
    route("POST", "/swarm/leave", async () => {
      throw new EngineError("Unavailable", "This node is not part of a swarm");
    }),
  ];
}
