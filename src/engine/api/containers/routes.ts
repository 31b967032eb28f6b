// /containers: what does not take the connection over. Streams are in streams.ts.

import { EngineError, isEngineError, messageOf } from "../../../base/errors.ts";
import type { ContainerId } from "../../../base/ids.ts";
import { type Exchange, param, sendEmpty, sendJson } from "../exchange.ts";
import type { ContainersPort, Engine } from "../ports.ts";
import { type Route, route } from "../router.ts";
import { containerArchiveRoutes } from "./archive.ts";
import { parseCreate, parseList, parsePrune, parseResize, parseStop } from "./parse.ts";
import { renderInspect, renderSummaries } from "./render.ts";
import { containerStreamRoutes } from "./streams.ts";

/** Larger bodies of start were host configurations, which no supported version takes. */
const maxStartBodyBytes = 7;

export function containerRoutes(engine: Engine): readonly Route[] {
  const { containers } = engine;
  const of = (exchange: Exchange): ContainerId => containers.resolve(param(exchange, "id"));
  return [
    route("GET", "/containers/json", async (exchange) => {
      const summaries = await containers.list(parseList(exchange.query));
      sendJson(exchange, 200, renderSummaries(summaries, exchange.minor));
    }),
    route("POST", "/containers/create", async (exchange) => {
      const request = await parseCreate(exchange);
      const { id, warnings } = await containers.create(request, exchange.signal);
      sendJson(exchange, 201, { Id: id, Warnings: warnings });
    }),
    route("POST", "/containers/prune", async (exchange) => {
      const { ContainersDeleted, SpaceReclaimed } = await containers.prune(parsePrune(exchange.query));
      sendJson(exchange, 200, {
        ContainersDeleted: ContainersDeleted.length === 0 ? null : ContainersDeleted,
        SpaceReclaimed,
      });
    }),
    ...containerStreamRoutes(containers, of),
    ...containerArchiveRoutes(containers, of),
    route("GET", "/containers/{id}/json", async (exchange) => {
      const container = await containers.inspect(of(exchange), exchange.query.bool("size"));
      sendJson(exchange, 200, renderInspect(container, exchange.minor));
    }),
    route("GET", "/containers/{id}/top", async (exchange) => {
      sendJson(exchange, 200, await containers.top(of(exchange), exchange.query.text("ps_args")));
    }),
    ...lifecycleRoutes(containers, of),
    route("DELETE", "/containers/{id}", async (exchange) => {
      const { query } = exchange;
      if (query.bool("link")) await containers.removeLink(param(exchange, "id"));
      else await containers.remove(of(exchange), { force: query.bool("force"), volumes: query.bool("v") });
      sendEmpty(exchange, 204);
    }),
  ];
}

function lifecycleRoutes(containers: ContainersPort, of: (exchange: Exchange) => ContainerId): readonly Route[] {
  return [
    route("POST", "/containers/{id}/start", async (exchange) => {
      checkStartBody(exchange);
      await containers.start(of(exchange), exchange.signal);
      sendEmpty(exchange, 204);
    }),
    // A stop that was asked for is carried out even when the client does not wait for it.
    route("POST", "/containers/{id}/stop", async (exchange) => {
      const { signalName, timeoutSeconds } = parseStop(exchange);
      await containers.stop(of(exchange), signalName, timeoutSeconds, exchange.forced);
      sendEmpty(exchange, 204);
    }),
    route("POST", "/containers/{id}/restart", async (exchange) => {
      const { signalName, timeoutSeconds } = parseStop(exchange);
      await containers.restart(of(exchange), signalName, timeoutSeconds, exchange.forced);
      sendEmpty(exchange, 204);
    }),
    route("POST", "/containers/{id}/kill", async (exchange) => {
      const signalName = exchange.query.text("signal");
      await named("cannot kill container", exchange, () =>
        containers.kill(of(exchange), signalName === "" ? undefined : signalName),
      );
      sendEmpty(exchange, 204);
    }),
    route("POST", "/containers/{id}/pause", async (exchange) => {
      await containers.pause(of(exchange));
      sendEmpty(exchange, 204);
    }),
    route("POST", "/containers/{id}/unpause", async (exchange) => {
      await containers.unpause(of(exchange));
      sendEmpty(exchange, 204);
    }),
    route("POST", "/containers/{id}/rename", async (exchange) => {
      const name = exchange.query.text("name");
      if (name === "") throw new EngineError("InvalidParameter", "Neither old nor new names may be empty");
      await containers.rename(of(exchange), name.replace(/^\//, ""));
      sendEmpty(exchange, 204);
    }),
    route("POST", "/containers/{id}/resize", async (exchange) => {
      const { height, width } = parseResize(exchange.query);
      await containers.resize(of(exchange), height, width);
      sendEmpty(exchange, 200);
    }),
  ];
}

function checkStartBody(exchange: Exchange): void {
  const { headers } = exchange.request;
  const length = Number(headers["content-length"] ?? 0);
  if (length > maxStartBodyBytes || headers["transfer-encoding"] !== undefined)
    throw new EngineError(
      "InvalidParameter",
      "starting container with non-empty request body was deprecated since API v1.22 and removed in v1.24",
    );
}

/** dockerd puts what was tried, and the name as the client wrote it, before the reason. */
async function named(tried: string, exchange: Exchange, action: () => Promise<void>): Promise<void> {
  try {
    await action();
  } catch (error) {
    if (!isEngineError(error) || error.message.startsWith(tried)) throw error;
    const message = `${tried}: ${param(exchange, "id")}: ${messageOf(error)}`;
    throw new EngineError(error.kind, message, { cause: error });
  }
}
