// Images and containers as archives: GET /images/get, /images/{name}/get, /containers/{id}/export; and POST /commit.

import { EngineError } from "../../../base/errors.ts";
import { parseNamed, renderReference, withDefaultTag, withTag } from "../../../base/reference.ts";
import { readObject } from "../body.ts";
import { commitSchema } from "../containers/schema.ts";
import { type Exchange, param, sendJson } from "../exchange.ts";
import type { CommitRequest, Engine } from "../ports.ts";
import { type Route, route } from "../router.ts";
import { sendArchive } from "../send-archive.ts";
import { parsePlatformJson } from "./routes.ts";

export function archiveRoutes(engine: Engine): readonly Route[] {
  const { containers, images } = engine;
  const save = async (exchange: Exchange, names: readonly string[]): Promise<void> => {
    const archive = await images.save(names, parsePlatform(exchange), exchange.signal);
    await sendArchive(exchange, { "Content-Type": "application/x-tar" }, archive);
  };
  return [
    route("GET", "/images/get", (exchange) => save(exchange, exchange.query.all("names"))),
    route("GET", "/images/{name}/get", (exchange) => save(exchange, [param(exchange, "name")])),
    route("GET", "/containers/{id}/export", async (exchange) => {
      const id = containers.resolve(param(exchange, "id"));
      const tar = await containers.export(id, exchange.signal);
      await sendArchive(exchange, { "Content-Type": "application/octet-stream" }, tar);
    }),
    route("POST", "/commit", async (exchange) => {
      const request = await parseCommit(exchange);
      const container = exchange.query.text("container");
      if (container === "") throw new EngineError("InvalidParameter", 'invalid name or ID supplied: ""');
      const id = await containers.commit(containers.resolve(container), request, exchange.signal);
      sendJson(exchange, 201, { Id: id });
    }),
  ];
}

/** Of API 1.48 and later. */
function parsePlatform({ minor, query }: Exchange): string | undefined {
  if (minor < 48) return undefined;
  const platforms = query.all("platform");
  if (platforms.length > 1) throw new EngineError("InvalidParameter", "multiple platform parameters not supported");
  return parsePlatformJson(platforms[0] ?? "");
}

async function parseCommit(exchange: Exchange): Promise<CommitRequest> {
  const { query } = exchange;
  const config = await readObject(exchange, commitSchema, "", "allowed");
  return {
    reference: parseTarget(query.text("repo"), query.text("tag")),
    comment: query.text("comment"),
    author: query.text("author"),
    pause: query.text("pause") === "" || query.bool("pause"),
    changes: query.all("changes"),
    config,
  };
}

/** A tag without a repository names nothing. @throws InvalidParameter */
function parseTarget(repository: string, tag: string): string | undefined {
  if (repository === "") return undefined;
  const named = parseNamed(repository);
  if (named.digest !== undefined) throw new EngineError("InvalidParameter", "cannot import digest reference");
  return renderReference(tag === "" ? withDefaultTag(named) : withTag(named, tag));
}
