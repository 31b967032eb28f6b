// /volumes, but for what volumes were at other moments. PUT takes Gantry's own `{"Labels": {…}}`; dockerd's body is of cluster volumes.
// Source: Engine API 1.51, operations Volume*; texts are dockerd's.

import { EngineError, isEngineError } from "../../../base/errors.ts";
import type { VolumeCreateRequest } from "../../../spec/docker/volume.ts";
import { readObject } from "../body.ts";
import { param, sendEmpty, sendJson } from "../exchange.ts";
import { parseFilters } from "../filters.ts";
import type { Engine, Filters } from "../ports.ts";
import { type Route, route } from "../router.ts";
import { createSchema, updateSchema } from "./schema.ts";

const listFilters = ["dangling", "driver", "label", "name"];
const pruneFilters = ["all", "label", "label!"];

/** Minor number of the API version that brought cluster volumes, and prune of anonymous volumes alone. */
const minorOfCluster = 42;

/** @throws InvalidParameter what is no filter at all has another text here than elsewhere */
function parseListFilters(text: string): Filters {
  try {
    return parseFilters(text, listFilters);
  } catch (error) {
    if (!isEngineError(error) || error.message !== "invalid filter") throw error;
    throw new EngineError("InvalidParameter", `error reading volume filters: ${error.message}`, { cause: error });
  }
}

export function volumeRoutes({ volumes }: Engine): readonly Route[] {
  return [
    route("GET", "/volumes", async (exchange) => {
      sendJson(exchange, 200, await volumes.list(parseListFilters(exchange.query.text("filters"))));
    }),
    route("POST", "/volumes/create", async (exchange) => {
      const body = (await readObject(exchange, createSchema, "CreateOptions", "allowed")) as VolumeCreateRequest;
      const { ClusterVolumeSpec, ...request } = body;
      if (ClusterVolumeSpec !== undefined && exchange.minor >= minorOfCluster)
        throw new EngineError(
          "Unavailable",
          'This node is not a swarm manager. Use "docker swarm init" or "docker swarm join" to connect this node to swarm and try again.',
        );
      sendJson(exchange, 201, await volumes.create(request, exchange.signal));
    }),
    route("POST", "/volumes/prune", async (exchange) => {
      const given = parseFilters(exchange.query.text("filters"), pruneFilters);
      const filters = exchange.minor < minorOfCluster ? new Map([...given, ["all", ["true"]]]) : given;
      sendJson(exchange, 200, await volumes.prune(filters));
    }),
    route("GET", "/volumes/{name}", async (exchange) => {
      sendJson(exchange, 200, await volumes.inspect(param(exchange, "name")));
    }),
    route("PUT", "/volumes/{name}", async (exchange) => {
      const body = (await readObject(exchange, updateSchema, "UpdateOptions", "allowed")) as {
        readonly Spec?: unknown;
        readonly Labels?: Readonly<Record<string, string>>;
      };
      if (body.Labels === undefined || body.Spec !== undefined)
        throw new EngineError("Unavailable", "volume update only valid for cluster volumes, but swarm is unavailable");
      await volumes.update(param(exchange, "name"), body.Labels);
      sendEmpty(exchange, 200);
    }),
    route("DELETE", "/volumes/{name}", async (exchange) => {
      await volumes.remove(param(exchange, "name"), exchange.query.bool("force"));
      sendEmpty(exchange, 204);
    }),
  ];
}
