// POST /build, /build/cancel and /build/prune.

import { EngineError, messageOf } from "../../../base/errors.ts";
import { sendEmpty, sendJson, type Exchange } from "../exchange.ts";
import { parseFilters } from "../filters.ts";
import type { Engine } from "../ports.ts";
import { sendProgress } from "../progress.ts";
import type { Query } from "../query.ts";
import { type Route, route } from "../router.ts";
import { upload } from "../upload.ts";
import { parseBuildRequest } from "./parse.ts";

const pruneFilters = ["description", "id", "inuse", "parent", "private", "shared", "type", "unused-for", "until"];

export function buildRoutes(engine: Engine): readonly Route[] {
  const { build } = engine;
  return [
    route("POST", "/build", async (exchange) => {
      const request = parseBuildRequest(exchange);
      await sendProgress(exchange, build.build(request, upload(exchange), exchange.signal));
    }),
    route("POST", "/build/cancel", async (exchange) => {
      const id = exchange.query.text("id");
      if (id === "") throw new EngineError("InvalidParameter", "build ID not provided");
      await build.cancel(id);
      sendEmpty(exchange, 200);
    }),
    route("POST", "/build/prune", (exchange) => prune(exchange, engine)),
  ];
}

async function prune(exchange: Exchange, engine: Engine): Promise<void> {
  const { query, minor } = exchange;
  const bytes = (name: string): number => {
    const value = bytesOf(query, name);
    if (value < 0) throw new EngineError("InvalidParameter", `${name} is negative: give bytes, or leave it out`);
    return value;
  };
  // Renamed with 1.48; the old name stays valid.
  const reservedSpace = minor >= 48 && query.has("reserved-space") ? bytes("reserved-space") : bytes("keep-storage");
  const pruned = await engine.build.prune(
    {
      all: query.bool("all"),
      filters: parseFilters(query.text("filters"), pruneFilters),
      reservedSpace,
      maxUsedSpace: minor >= 48 ? bytes("max-used-space") : 0,
      minFreeSpace: minor >= 48 ? bytes("min-free-space") : 0,
    },
    exchange.signal,
  );
  const { CachesDeleted } = pruned;
  sendJson(exchange, 200, { ...pruned, CachesDeleted: CachesDeleted.length === 0 ? null : CachesDeleted });
}

/** @throws InvalidParameter by the parameter's name */
function bytesOf(query: Query, name: string): number {
  try {
    return query.int(name) ?? 0;
  } catch (error) {
    const text = `${name} is in bytes and expects an integer, got ${query.text(name)}: ${messageOf(error)}`;
    throw new EngineError("InvalidParameter", text, { cause: error });
  }
}
