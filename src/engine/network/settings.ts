// What inspect and list show of a container's networks, while it runs and while it does not.
// Source: Engine API 1.51, NetworkSettings; behaviour of dockerd 28.5.

import type { EndpointSettings, NetworkSettings } from "../../spec/docker/container.ts";
import { askedNames, networkNamed } from "./asked.ts";
import { namesOf } from "./endpoint.ts";
import type { NetworkRequest } from "./index.ts";
import { renderPortMap } from "./ports/index.ts";
import type { NetworkRecord } from "./record.ts";
import { derivedId, renderEndpoint, renderPast, renderSettings, renderUnused } from "./render.ts";
import type { NetworkRoom } from "./room.ts";

export function networkSettings(room: NetworkRoom, request: NetworkRequest, wasStarted: boolean): NetworkSettings {
  const { id } = request;
  const user = room.deps.users.get(id);
  const networks: Record<string, EndpointSettings> = {};
  for (const [name, asked] of Object.entries(askedNames(request)).toSorted(([a], [b]) => (a < b ? -1 : 1))) {
    const network = networkOf(room, name);
    const endpoint = network === undefined || user === undefined ? undefined : room.endpointOn(network.id, id);
    const shown = network?.name ?? name;
    if (endpoint !== undefined) networks[shown] = renderEndpoint(endpoint, asked);
    else if (!wasStarted) networks[shown] = renderUnused(asked);
    else
      networks[shown] = renderPast(
        asked,
        network?.id ?? "",
        network === undefined ? [] : namesOf(request, network, asked),
      );
  }
  const bridged = networks["bridge"];
  if (user === undefined || Object.keys(askedNames(request)).length === 0) {
    const unconnected = user !== undefined && request.config.NetworkDisabled !== true && isOwn(request);
    return renderSettings(
      unconnected ? derivedId("sandbox", id) : "",
      unconnected ? `/proc/${user.pid}/ns/net` : "",
      {},
      networks,
      bridged,
    );
  }
  const ports = room.sandboxes.get(id)?.ports ?? [];
  const outward = (room.sandboxes.get(id)?.gatewayNetwork || room.sandboxes.get(id)?.gatewayNetwork6 || "") !== "";
  return renderSettings(
    derivedId("sandbox", id),
    `/proc/${user.pid}/ns/net`,
    outward ? renderPortMap(ports, Object.keys(request.config.ExposedPorts ?? {})) : {},
    networks,
    bridged,
  );
}

function isOwn({ hostConfig }: NetworkRequest): boolean {
  return hostConfig.NetworkMode?.startsWith("container:") !== true;
}

/** undefined: a network that does not exist any more; it is shown with what was asked for. */
function networkOf(room: NetworkRoom, name: string): NetworkRecord | undefined {
  try {
    return networkNamed(room, name);
  } catch {
    return undefined;
  }
}
