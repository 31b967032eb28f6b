// Which networks of a container have its default routes. Pure but for the look into the room.

import { isIP } from "node:net";
import { priorityOf, settingsAsked } from "./asked.ts";
import type { NetworkRequest } from "./index.ts";
import type { Endpoint } from "./record.ts";
import type { NetworkRoom } from "./room.ts";
import type { ShimGateway } from "../runtime/shim.ts";

export interface Gateways {
  readonly ip4: Endpoint | undefined;
  readonly ip6: Endpoint | undefined;
}

/**
 * The highest GwPriority wins, per family; among equals a network that has both families, then the name, as in dockerd (which
 * lets both families win over a higher priority as well).
 */
export function chooseGateways(room: NetworkRoom, request: NetworkRequest): Gateways {
  const candidates = room.endpointsOf(request.id).flatMap((endpoint) => {
    const network = room.records.get(endpoint.networkId);
    if (network === undefined) return [];
    const direct = !network.internal && room.driverOf(network).defaultRoute(network) === "interface";
    const has4 = endpoint.ip !== "" && (endpoint.gateway !== "" || direct);
    const has6 = endpoint.ip6 !== "" && (endpoint.gateway6 !== "" || direct);
    const priority = priorityOf(settingsAsked(room, request, network));
    return has4 || has6 ? [{ endpoint, has4, has6, priority, name: network.name }] : [];
  });
  const both = ({ has4, has6 }: (typeof candidates)[number]): number => (has4 && has6 ? 1 : 0);
  candidates.sort((a, b) => b.priority - a.priority || both(b) - both(a) || (a.name < b.name ? -1 : 1));
  return {
    ip4: candidates.find(({ has4 }) => has4)?.endpoint,
    ip6: candidates.find(({ has6 }) => has6)?.endpoint,
  };
}

/** The default route through an endpoint, as the shim is told. */
export function routeOf(endpoint: Endpoint | undefined, family: 4 | 6): ShimGateway | undefined {
  if (endpoint === undefined) return undefined;
  const via = family === 4 ? endpoint.gateway : endpoint.gateway6;
  return { via: isIP(via) === 0 ? "" : via, interface: endpoint.interface };
}
