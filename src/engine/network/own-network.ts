// A container's own network as its shim is told: all of it, out of what the room holds. Reads; changes nothing.

import { isIPv4 } from "node:net";
import type { ContainerId, NetworkId } from "../../base/ids.ts";
import type { ShimInterface, ShimOwnNetwork, ShimPort } from "../runtime/shim.ts";
import { isUserDefined, settingsAsked } from "./asked.ts";
import {
  endpointElements,
  type FirewallElement,
  type FirewallEndpoint,
  type FirewallNetwork,
  type FirewallPort,
  portElements,
  renderShimElements,
} from "./firewall/index.ts";
import { routeOf } from "./gateways.ts";
import type { NetworkRequest } from "./index.ts";
import type { Endpoint, Sandbox } from "./record.ts";
import type { NetworkRoom } from "./room.ts";

export function planOwnNetwork(room: NetworkRoom, request: NetworkRequest): ShimOwnNetwork {
  const endpoints = room.endpointsOf(request.id);
  const sandbox = room.sandboxes.get(request.id);
  const gateway = (id: string | undefined): Endpoint | undefined => endpoints.find(({ networkId }) => networkId === id);
  return {
    kind: "own",
    interfaces: endpoints.flatMap((endpoint) => interfaceOf(room, request, endpoint) ?? []),
    gateway4: routeOf(gateway(sandbox?.gatewayNetwork), 4),
    gateway6: routeOf(gateway(sandbox?.gatewayNetwork6), 6),
    firewall: renderShimElements(elementsOf(room, endpoints, sandbox)),
    ports: sandbox === undefined ? [] : shimPorts(endpoints, sandbox),
    dnsSocket: hasNameServer(room, request.id) ? room.parts.names.socketPath : undefined,
  };
}

/** Whether 127.0.0.11 answers in the container: it is on a network that somebody made. */
export function hasNameServer(room: NetworkRoom, id: ContainerId): boolean {
  return room.endpointsOf(id).some(({ networkId }) => {
    const network = room.records.get(networkId);
    return network !== undefined && isUserDefined(network);
  });
}

function interfaceOf(room: NetworkRoom, request: NetworkRequest, endpoint: Endpoint): ShimInterface | undefined {
  const network = room.records.get(endpoint.networkId);
  if (network === undefined) return undefined;
  const { DriverOpts } = settingsAsked(room, request, network);
  const link = room.driverOf(network).interfaceOf(network, endpoint, DriverOpts ?? {});
  return link;
}

/** An endpoint on a bridge network as the firewall sees it. */
export function firewallEndpoint({ networkId, hostInterface, mac, ip, ip6, linkLocal }: Endpoint): FirewallEndpoint {
  return { networkId, hostInterface, mac, addresses: [ip, ip6, ...linkLocal].filter((address) => address !== "") };
}

/** The published ports that the kernel can lead to the container, with the addresses that they lead to. */
export function firewallPorts(
  room: NetworkRoom,
  endpoints: readonly Endpoint[],
  sandbox: Sandbox,
): readonly FirewallPort[] {
  const bridgesBut = (id: string): readonly string[] =>
    endpoints
      .filter(({ networkId, hostInterface }) => networkId !== id && hostInterface !== "")
      .flatMap(({ networkId }) => room.records.get(networkId)?.interface ?? []);
  return sandbox.ports.flatMap((port) => {
    const ip4 = isIPv4(port.hostIp);
    const networkId = ip4 ? sandbox.gatewayNetwork : sandbox.gatewayNetwork6;
    const endpoint = endpoints.find((candidate) => candidate.networkId === networkId);
    const address = (ip4 ? endpoint?.ip : endpoint?.ip6) ?? "";
    return networkId === "" || address === ""
      ? []
      : [{ ...port, networkId, address, otherBridges: bridgesBut(networkId) }];
  });
}

/** A listener for each port; where the container lacks the host address's family, it is served by its other one. */
function shimPorts(endpoints: readonly Endpoint[], sandbox: Sandbox): readonly ShimPort[] {
  const of = (id: string): Endpoint | undefined => endpoints.find(({ networkId }) => networkId === id);
  const ip4 = of(sandbox.gatewayNetwork)?.ip ?? "";
  const ip6 = of(sandbox.gatewayNetwork6)?.ip6 ?? "";
  return sandbox.ports.flatMap(({ protocol, hostIp, hostPort, containerPort }) => {
    const address = isIPv4(hostIp) ? ip4 || ip6 : ip6 || ip4;
    return address === "" || hostPort === 0 ? [] : [{ protocol, hostIp, hostPort, address, containerPort }];
  });
}

function elementsOf(
  room: NetworkRoom,
  endpoints: readonly Endpoint[],
  sandbox: Sandbox | undefined,
): readonly FirewallElement[] {
  if (!room.deps.config.iptables) return [];
  const filtered = (id: NetworkId): FirewallNetwork | undefined => {
    const network = room.records.get(id);
    return network === undefined ? undefined : room.driverOf(network).firewallOf(network);
  };
  const own = endpoints.flatMap((endpoint) => {
    const network = filtered(endpoint.networkId);
    return network === undefined ? [] : endpointElements(network, firewallEndpoint(endpoint));
  });
  const ports = sandbox === undefined ? [] : firewallPorts(room, endpoints, sandbox);
  const published = ports.flatMap((port) => {
    const network = filtered(port.networkId);
    return network === undefined ? [] : portElements(network, port);
  });
  return [...own, ...published];
}
