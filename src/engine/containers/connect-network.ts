// POST /networks/{id}/connect and /disconnect: a container's place on a network, while it runs and while it does not.

import { EngineError } from "../../base/errors.ts";
import type { EndpointSettings } from "../../spec/docker/container.ts";
import type { Room } from "./room.ts";

export function connectNetwork(
  _room: Room,
  _network: string,
  _container: string,
  _settings: EndpointSettings,
): Promise<void> {
  return Promise.reject(new EngineError("NotImplemented", "network connect is not built yet"));
}

export function disconnectNetwork(_room: Room, _network: string, _container: string, _force: boolean): Promise<void> {
  return Promise.reject(new EngineError("NotImplemented", "network disconnect is not built yet"));
}
