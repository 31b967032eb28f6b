// The end of a run: addresses, ports and names are free. The shim has removed its elements and listeners before it told the end.

import type { ContainerId } from "../../base/ids.ts";
import type { Change } from "../store/index.ts";
import { dropEndpoint } from "./endpoint.ts";
import { withdrawNames } from "./names.ts";
import type { NetworkRoom } from "./room.ts";

/** @returns the rows to delete; also abandons a connect that was not committed */
export function releaseContainer(room: NetworkRoom, id: ContainerId): readonly Change[] {
  const endpoints = room.endpointsOf(id);
  const changes: Change[] = endpoints.map((endpoint) => ({ delete: "endpoints", key: endpoint.id }));
  withdrawNames(room, id);
  for (const endpoint of endpoints) dropEndpoint(room, endpoint);
  const sandbox = room.sandboxes.get(id);
  if (sandbox === undefined) return changes;
  if (sandbox.ports.length > 0) room.parts.ports.release(id);
  room.sandboxes.delete(id);
  return [...changes, { delete: "sandboxes", key: id }];
}
