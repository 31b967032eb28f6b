// Typed calls about networks. Source: Docker Engine API 1.51; /gantry/network/rules is Gantry's own.

import type { EndpointSettings } from "../spec/docker/container.ts";
import type { Network } from "../spec/docker/network.ts";
import type { Client } from "./client.ts";
import { segment } from "./containers.ts";
import { renderFilters, type FilterArgs } from "./filters.ts";
import { parseJson } from "./json.ts";

/** What one asks for: members that are undefined are the daemon's to choose. */
export type NetworkCreateBody = Omit<Network, "Id" | "Created" | "Containers" | "Peers" | "ConfigFrom"> & {
  readonly Name: string;
  readonly ConfigFrom: Network["ConfigFrom"] | null;
};

/** @throws Error an empty name: the path would mean something else */
function required(kind: "network" | "container", nameOrId: string): string {
  if (nameOrId.trim() === "") throw new Error(`invalid ${kind} name or ID: value is empty`);
  return nameOrId;
}

function pathOf(nameOrId: string, action = ""): string {
  return `/networks/${segment(required("network", nameOrId))}${action}`;
}

export function listNetworks(client: Client, filters: FilterArgs): Promise<readonly Network[]> {
  return client.json("GET", "/networks", { query: { filters: renderFilters(filters) } });
}

/** The JSON text as the daemon sent it, and the same parsed. */
export async function inspectNetworkRaw(
  client: Client,
  nameOrId: string,
  verbose = false,
): Promise<{ readonly text: string; readonly value: Network }> {
  const text = await client.text("GET", pathOf(nameOrId), {
    query: { verbose: verbose ? "true" : undefined },
  });
  return { text, value: parseJson(text) as Network };
}

export function createNetwork(
  client: Client,
  body: NetworkCreateBody,
): Promise<{ readonly Id?: string; readonly Warning?: string }> {
  return client.json("POST", "/networks/create", { json: body });
}

export async function removeNetwork(client: Client, nameOrId: string): Promise<void> {
  await client.send("DELETE", pathOf(nameOrId));
}

export async function connectNetwork(
  client: Client,
  network: string,
  container: string,
  settings: EndpointSettings,
): Promise<void> {
  await client.send("POST", pathOf(network, "/connect"), {
    json: { Container: required("container", container), EndpointConfig: settings },
  });
}

export async function disconnectNetwork(
  client: Client,
  network: string,
  container: string,
  force: boolean,
): Promise<void> {
  await client.send("POST", pathOf(network, "/disconnect"), {
    json: { Container: required("container", container), Force: force },
  });
}

/** Names of the networks that nobody used. */
export async function pruneNetworks(client: Client, filters: FilterArgs): Promise<readonly string[]> {
  const { NetworksDeleted } = await client.json<{ readonly NetworksDeleted: readonly string[] | null }>(
    "POST",
    "/networks/prune",
    { query: { filters: renderFilters(filters) } },
  );
  return NetworksDeleted ?? [];
}

/** The daemon's firewall as nft lists it, comments included. Only gantryd has it. */
export function networkRules(client: Client): Promise<string> {
  return client.text("GET", "/gantry/network/rules");
}
