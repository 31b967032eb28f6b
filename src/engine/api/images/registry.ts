// What speaks to registries without bringing an image here: push, login, a look at a manifest, search.
// Source: Engine API 1.51, ImagePush, SystemAuth, DistributionInspect, ImageSearch; texts of refusals are dockerd's.

import { EngineError } from "../../../base/errors.ts";
import { readObject } from "../body.ts";
import { type Exchange, param, sendJson } from "../exchange.ts";
import { parseFilters } from "../filters.ts";
import type { Engine } from "../ports.ts";
import { sendProgress } from "../progress.ts";
import { parseInt64 } from "../query.ts";
import { parseCredentials, parseRegistryAuth } from "../registry-auth.ts";
import { type Route, route } from "../router.ts";
import { object, string } from "../schema.ts";
import { parsePlatformJson } from "./routes.ts";

/** Before it a platform is not looked at. */
const platformSinceMinor = 46;
const defaultLimit = 25;
const maxLimit = 100;
const searchFilters = ["is-automated", "is-official", "stars"];

const credentialsSchema = object("registry.AuthConfig", {
  username: string(),
  password: string(),
  serveraddress: string(),
  identitytoken: string(),
  registrytoken: string(),
});

export function registryRoutes(engine: Engine): readonly Route[] {
  const { images } = engine;
  return [
    route("POST", "/images/{name}/push", async (exchange) => {
      const { query, minor, request } = exchange;
      const push = {
        name: param(exchange, "name"),
        tag: query.text("tag"),
        platform: minor < platformSinceMinor ? undefined : parsePlatformJson(query.text("platform")),
        credentials: parseRegistryAuth(request),
      };
      await sendProgress(exchange, images.push(push, exchange.signal));
    }),
    route("POST", "/auth", async (exchange) => {
      const credentials = parseCredentials(await readObject(exchange, credentialsSchema, "", "refused"));
      sendJson(exchange, 200, await images.login(credentials, exchange.signal));
    }),
    route("GET", "/distribution/{name}/json", async (exchange) => {
      const credentials = parseRegistryAuth(exchange.request);
      sendJson(exchange, 200, await images.distribution(param(exchange, "name"), credentials, exchange.signal));
    }),
    route("GET", "/images/search", async (exchange) => {
      const { query, request } = exchange;
      const search = {
        term: query.text("term"),
        limit: parseLimit(exchange),
        filters: parseFilters(query.text("filters"), searchFilters),
        credentials: parseRegistryAuth(request),
      };
      sendJson(exchange, 200, await images.search(search, exchange.signal));
    }),
  ];
}

/** @throws InvalidParameter no number, or out of range; 0 is the default */
function parseLimit(exchange: Exchange): number {
  const text = exchange.query.text("limit");
  if (text === "") return defaultLimit;
  let limit: number;
  try {
    limit = Number(parseInt64(text, "strconv.Atoi"));
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : "";
    throw new EngineError("InvalidParameter", `invalid limit specified: ${why}`, { cause });
  }
  if (limit < 0 || limit > maxLimit)
    throw new EngineError("InvalidParameter", `limit ${limit} is outside the range of [1, ${maxLimit}]`);
  return limit === 0 ? defaultLimit : limit;
}
