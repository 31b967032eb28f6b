// /events: lines of JSON from the past and as they happen.

import { once } from "node:events";
import { EngineError } from "../../../base/errors.ts";
import { Endless, type Exchange } from "../exchange.ts";
import { parseFilters } from "../filters.ts";
import type { Engine, EventsPort } from "../ports.ts";
import type { Query } from "../query.ts";
import { type Route, route } from "../router.ts";
import { renderStreamError } from "../status.ts";
import { renderEvent } from "./render.ts";

export function eventRoutes(engine: Engine): readonly Route[] {
  return [route("GET", "/events", (exchange) => sendEvents(exchange, engine.events))];
}

/** @throws InvalidParameter times that are none, or since after until */
export function parseEvents(query: Query): Parameters<EventsPort["subscribe"]>[0] {
  const sinceNs = query.timestamp("since");
  const untilNs = query.timestamp("until");
  if (sinceNs !== undefined && untilNs !== undefined && untilNs !== 0n && sinceNs > untilNs)
    throw new EngineError(
      "InvalidParameter",
      `\`since\` time (${query.text("since")}) cannot be after \`until\` time (${query.text("until")})`,
    );
  return { sinceNs, untilNs, filters: parseFilters(query.text("filters")) };
}

async function sendEvents(exchange: Exchange, events: EventsPort): Promise<void> {
  const request = parseEvents(exchange.query);
  using endless = new Endless(exchange);
  const { signal } = endless;
  // Subscribed before the head goes out: a client that has the head misses nothing that happens afterwards.
  const iterator = events.subscribe(request, signal)[Symbol.asyncIterator]();
  let next = iterator.next();
  const response = exchange.reply.stream(200, { "Content-Type": "application/json" });
  try {
    for (let item = await next; item.done !== true; item = await next) {
      if (!response.write(`${JSON.stringify(renderEvent(item.value))}\n`)) await once(response, "drain", { signal });
      next = iterator.next();
    }
    response.end();
  } catch (error) {
    if (exchange.signal.aborted) response.destroy();
    else response.end(signal.aborted ? "" : renderStreamError(error));
  } finally {
    await iterator.return?.();
  }
}
