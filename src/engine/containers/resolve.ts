// From what a client writes to a container: full id, name with or without slash, or the beginning of an id, in this order.

import { EngineError } from "../../base/errors.ts";
import type { ContainerId } from "../../base/ids.ts";
import type { Room } from "./room.ts";

/** @throws NotFound; InvalidParameter an ambiguous prefix, with the ids */
export function resolveContainer(room: Room, nameOrId: string): ContainerId {
  const exact = room.containers.get(nameOrId as ContainerId);
  if (exact !== undefined) return exact.id;
  const named = room.names.get(nameOrId.startsWith("/") ? nameOrId.slice(1) : nameOrId);
  if (named !== undefined && room.containers.has(named)) return named;
  const linked = linkedBy(room, nameOrId);
  if (linked !== undefined) return linked;
  const found = /^[0-9a-f]{1,64}$/.test(nameOrId)
    ? [...room.containers.keys()].filter((id) => id.startsWith(nameOrId))
    : [];
  const [only] = found;
  if (only === undefined) throw new EngineError("NotFound", `No such container: ${nameOrId}`);
  if (found.length > 1) {
    throw new EngineError(
      "InvalidParameter",
      `multiple IDs found with provided prefix: ${nameOrId}: ${found.slice(0, 10).join(", ")}`,
    );
  }
  return only;
}

/** "web/db": the container that web is linked to as db. */
function linkedBy(room: Room, name: string): ContainerId | undefined {
  const [parent = "", alias = "", ...rest] = name.replace(/^\//, "").split("/");
  const holder = alias === "" || rest.length > 0 ? undefined : room.names.get(parent);
  const links = holder === undefined ? [] : (room.containers.get(holder)?.record.hostConfig.Links ?? []);
  const id = links.find((link) => link.endsWith(`:${alias}`))?.split(":")[0];
  return room.containers.get(id as ContainerId)?.id;
}

/** The ids in "container:<name or id>" modes are fixed at create, as dockerd does. */
export function pinMode(room: Room, mode: string | undefined): string | undefined {
  const target = /^container:(.+)$/s.exec(mode ?? "")?.[1];
  if (target === undefined) return mode;
  try {
    return `container:${resolveContainer(room, target)}`;
  } catch {
    return mode;
  }
}
