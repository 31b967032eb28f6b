// What the name server is told: endpoints by their names, and what each container sees. Nothing of it concerns containers that are
// only on the default bridge.

import type { ContainerId } from "../../base/ids.ts";
import { isUserDefined, settingsAsked } from "./asked.ts";
import type { NetworkRequest } from "./index.ts";
import { hasNameServer } from "./own-network.ts";
import type { NetworkRecord } from "./record.ts";
import { planServers } from "./resolver-files.ts";
import type { NetworkRoom } from "./room.ts";

/** Adds or replaces what is known of a container; what it has left is taken away. */
export function publishNames(room: NetworkRoom, request: NetworkRequest): void {
  if (!hasNameServer(room, request.id)) return;
  const { names } = room.parts;
  const networks: NetworkRecord[] = [];
  const links: Record<string, string> = {};
  for (const endpoint of room.endpointsOf(request.id)) {
    const network = room.records.get(endpoint.networkId);
    if (network === undefined) continue;
    if (!isUserDefined(network)) continue;
    networks.push(network);
    for (const link of settingsAsked(room, request, network).Links ?? []) {
      const { name, alias } = parseLink(link);
      links[alias] = name;
    }
    names.setEndpoint({
      id: endpoint.id,
      networkId: network.id,
      networkName: network.name,
      containerId: request.id,
      names: endpoint.names,
      ip: endpoint.ip,
      ip6: endpoint.ip6,
      // Other drivers' subnets are the surroundings': their servers know names in them.
      ...(network.driver === "bridge" ? { prefix: endpoint.prefix, prefix6: endpoint.prefix6 } : {}),
    });
  }
  const { servers, ndotsSet } = planServers(room, request);
  names.setClient({
    containerId: request.id,
    networks: networks.map(({ id }) => id),
    links,
    servers,
    internal: room.endpointsOf(request.id).every(({ networkId }) => room.records.get(networkId)?.internal === true),
    ndotsSet,
  });
}

/** Before its endpoints are dropped. */
export function withdrawNames(room: NetworkRoom, id: ContainerId): void {
  if (!hasNameServer(room, id)) return;
  for (const endpoint of room.endpointsOf(id)) room.parts.names.removeEndpoint(endpoint.id);
  room.parts.names.removeClient(id);
}

/** "name:alias"; the name alone is its own alias. */
export function parseLink(text: string): { readonly name: string; readonly alias: string } {
  const [name = "", alias = name] = text.split(":");
  return { name: name.replace(/^\//, ""), alias: alias.split("/").at(-1) ?? alias };
}
