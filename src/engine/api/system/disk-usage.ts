// GET /system/df. Source: Engine API 1.51, SystemDataUsage; older versions as the reference daemon answers them.

import { EngineError } from "../../../base/errors.ts";
import { renderDiskUsage } from "./render.ts";
import { sendJson } from "../exchange.ts";
import type { Engine } from "../ports.ts";
import { type Route, route } from "../router.ts";

type ObjectType = "container" | "image" | "volume" | "build-cache";
const objectTypes: readonly ObjectType[] = ["container", "image", "volume", "build-cache"];

export function diskUsageRoutes({ system }: Engine): readonly Route[] {
  return [
    route("GET", "/system/df", async (exchange) => {
      const { query, minor } = exchange;
      const types = minor < 42 || !query.has("type") ? new Set(objectTypes) : parseTypes(query.all("type"));
      sendJson(exchange, 200, renderDiskUsage(await system.diskUsage(types), minor));
    }),
  ];
}

function parseTypes(texts: readonly string[]): ReadonlySet<ObjectType> {
  return new Set(
    texts.map((text) => {
      const found = objectTypes.find((type) => type === text);
      if (found === undefined) throw new EngineError("InvalidParameter", `unknown object type: ${text.slice(0, 256)}`);
      return found;
    }),
  );
}
