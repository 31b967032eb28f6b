// A container's record as network/ wants to see it.

import type { NetworkRequest } from "../network/index.ts";
import { linkedHosts } from "./container-links.ts";
import type { ContainerRecord } from "./model.ts";
import type { Room } from "./room.ts";

export function networkRequest(room: Room, record: ContainerRecord): NetworkRequest {
  const { id, name, config, hostConfig, networkingConfig } = record;
  const links = (hostConfig.Links ?? []).length === 0 ? [] : linkedHosts(room, record);
  return { id, name, config, hostConfig, networkingConfig, links };
}
