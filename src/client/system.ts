// Typed calls about the daemon and its events. Source: Docker Engine API 1.51; /gantry/check is Gantry's own.

import type { EventMessage, SystemVersion } from "../spec/docker/system.ts";
import type { Client } from "./client.ts";
import { renderFilters, type FilterArgs } from "./filters.ts";

/** A violated invariant. */
export interface CheckFinding {
  readonly invariant: string;
  readonly subject: string;
  readonly detail: string;
  readonly repaired: boolean;
}

export function systemVersion(client: Client): Promise<SystemVersion> {
  return client.json("GET", "/version");
}

/** GET /info as text: templates and JSON output want every member. */
export function systemInfoText(client: Client): Promise<string> {
  return client.text("GET", "/info");
}

export function checkSystem(client: Client, repair: boolean): Promise<readonly CheckFinding[]> {
  return client.json(repair ? "POST" : "GET", "/gantry/check", { query: { repair: repair ? 1 : undefined } });
}

export function followEvents(
  client: Client,
  options: { readonly since: string | undefined; readonly until: string | undefined; readonly filters: FilterArgs },
): AsyncGenerator<EventMessage, void, undefined> {
  return client.lines("GET", "/events", {
    query: { since: options.since, until: options.until, filters: renderFilters(options.filters) },
  });
}
