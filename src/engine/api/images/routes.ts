// /images: what is here. What speaks to registries is in registry.ts.

import { EngineError } from "../../../base/errors.ts";
import { checkPlatform } from "../containers/parse.ts";
import { type Exchange, param, sendEmpty, sendJson } from "../exchange.ts";
import { parseFilters } from "../filters.ts";
import { parseJson } from "../json.ts";
import { sendProgress } from "../progress.ts";
import type { Engine, Filters } from "../ports.ts";
import { type Route, route } from "../router.ts";
import { upload } from "../upload.ts";
import { pullImage } from "./pull.ts";
import { renderImage, renderImages } from "./render.ts";

const listFilters = ["before", "dangling", "label", "reference", "since", "until"];

export function imageRoutes(engine: Engine): readonly Route[] {
  const { images } = engine;
  return [
    route("GET", "/images/json", async (exchange) => {
      const { query, minor } = exchange;
      const summaries = await images.list({
        all: query.bool("all"),
        filters: listFiltersOf(exchange),
        sharedSize: minor >= 42 && query.bool("shared-size"),
      });
      sendJson(exchange, 200, renderImages(summaries, minor));
    }),
    route("POST", "/images/load", async (exchange) => {
      const platform = parsePlatformJson(exchange.query.text("platform"));
      const options = { quiet: exchange.query.boolOr("quiet", true), platform };
      await sendProgress(exchange, images.load(upload(exchange), options, exchange.signal));
    }),
    route("POST", "/images/create", (exchange) => create(exchange, engine)),
    route("GET", "/images/{name}/json", async (exchange) => {
      const { query, minor } = exchange;
      const platform = minor >= 49 ? parsePlatformJson(query.text("platform")) : undefined;
      if (platform !== undefined && query.bool("manifests"))
        throw new EngineError(
          "InvalidParameter",
          "conflicting options: manifests and platform options cannot both be set",
        );
      sendJson(exchange, 200, renderImage(await images.inspect(param(exchange, "name"), platform), minor));
    }),
    route("GET", "/images/{name}/history", async (exchange) => {
      const platform = exchange.minor >= 48 ? parsePlatformJson(exchange.query.text("platform")) : undefined;
      sendJson(exchange, 200, await images.history(param(exchange, "name"), platform));
    }),
    route("POST", "/images/{name}/tag", async (exchange) => {
      const { query } = exchange;
      if (query.text("repo") === "") throw new EngineError("InvalidParameter", "invalid reference format");
      await images.tag(param(exchange, "name"), query.text("repo"), query.text("tag"));
      sendEmpty(exchange, 201);
    }),
    route("DELETE", "/images/{name}", async (exchange) => {
      const { query, minor } = exchange;
      const [platform, ...more] = minor >= 50 ? query.all("platforms").map(parsePlatformJson) : [];
      if (more.length > 0) throw new EngineError("InvalidParameter", "multiple platforms are not supported");
      const options = { force: query.bool("force"), noPrune: query.bool("noprune"), platform };
      sendJson(exchange, 200, await images.remove(param(exchange, "name"), options));
    }),
  ];
}

/** Before 1.41 there was a parameter of its own for names. */
function listFiltersOf({ query, minor }: Exchange): Filters {
  const filters = parseFilters(query.text("filters"), listFilters);
  const name = minor < 41 ? query.text("filter") : "";
  return name === "" ? filters : new Map([...filters, ["reference", [...(filters.get("reference") ?? []), name]]]);
}

async function create(exchange: Exchange, engine: Engine): Promise<void> {
  const { query } = exchange;
  const platform = query.text("platform");
  if (platform !== "") checkPlatform(platform);
  if (query.text("fromImage") !== "") return pullImage(exchange, engine);
  const source = query.text("fromSrc");
  if (source === "") throw new EngineError("InvalidParameter", "one of fromImage and fromSrc must be given");
  const repository = query.text("repo");
  const tag = query.text("tag");
  const options = {
    reference: repository === "" ? undefined : joinReference(repository, tag),
    message: query.text("message"),
    changes: query.all("changes"),
    platform: platform === "" ? undefined : platform,
  };
  await sendProgress(
    exchange,
    engine.images.import(source === "-" ? upload(exchange) : source, options, exchange.signal),
  );
}

function joinReference(repository: string, tag: string): string {
  if (tag === "") return repository;
  if (!/^\w[\w.-]{0,127}$/.test(tag)) throw new EngineError("InvalidParameter", "invalid tag format");
  return `${repository}:${tag}`;
}

/** A platform as API 1.48 writes it, `{"os":"linux","architecture":"arm64"}`, as os/arch[/variant]. */
export function parsePlatformJson(text: string): string | undefined {
  if (text === "") return undefined;
  const value = parseJson(text, "failed to parse platform: ");
  const [os, architecture, variant] = ["os", "architecture", "variant"].map((key) =>
    value instanceof Map ? (value.get(key) as unknown) : undefined,
  );
  if (typeof os !== "string" || typeof architecture !== "string" || os === "" || architecture === "")
    throw new EngineError("InvalidParameter", "both OS and Architecture must be provided");
  const platform =
    typeof variant === "string" && variant !== "" ? `${os}/${architecture}/${variant}` : `${os}/${architecture}`;
  checkPlatform(platform);
  return platform;
}
