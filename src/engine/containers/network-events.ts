// The events of networks that containers cause: connect at start, disconnect at the end, and both while they run.

import type { ConnectedNetwork } from "../network/index.ts";
import type { Container } from "./container.ts";
import type { Room } from "./room.ts";

type Action = "connect" | "disconnect";

/** For every network that the container is connected to now. */
export function announceNetworks(room: Room, container: Container, action: Action): void {
  for (const network of room.deps.networks.connected(container.id)) announceNetwork(room, container, network, action);
}

export function announceNetwork(room: Room, container: Container, network: ConnectedNetwork, action: Action): void {
  const { id, name, driver } = network;
  room.deps.events.publish({
    type: "network",
    action,
    id,
    attributes: { container: container.id, name, type: driver },
  });
}
