// The events of networks that containers cause: connect at start, disconnect at the end.

import type { Container } from "./container.ts";
import type { Room } from "./room.ts";

const drivers: Readonly<Record<string, string>> = { none: "null", host: "host" };

export function announceNetworks(room: Room, container: Container, action: "connect" | "disconnect"): void {
  const { id, hostConfig } = container.record;
  const { settings } = room.deps.networks.settings(id, hostConfig);
  for (const [name, endpoint] of Object.entries(settings.Networks ?? {})) {
    room.deps.events.publish({
      type: "network",
      action,
      id: endpoint.NetworkID ?? "",
      attributes: { container: id, name, type: drivers[name] ?? "bridge" },
    });
  }
}
