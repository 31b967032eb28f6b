// DELETE /containers/{parent}/{alias}?link=1: a container is no longer linked to another. Both stay.

import { EngineError } from "../../base/errors.ts";
import { updateNetworkFiles } from "./network-files.ts";
import { networkRequest } from "./network-request.ts";
import { resolveContainer } from "./resolve.ts";
import type { Room } from "./room.ts";

/** @throws NotFound no such container or link; System the name is a container's own */
export async function removeLink(room: Room, name: string): Promise<void> {
  const [parent = "", alias = ""] = name.replace(/^\//, "").split("/");
  const id = resolveContainer(room, parent);
  if (alias === "") throw new EngineError("System", "Conflict, cannot remove the default link name of the container");
  using held = await room.lock(id);
  const { container } = held;
  const { record } = container;
  const links = record.hostConfig.Links ?? [];
  const others = links.filter((link) => !link.endsWith(`:${alias}`));
  if (others.length === links.length) throw new EngineError("NotFound", `No such container: ${name}`);
  const { networks } = room.deps;
  const without = { ...record, hostConfig: { ...record.hostConfig, Links: others } };
  const before = await networks.files(networkRequest(room, record));
  await room.commit(container, without);
  if (container.task === undefined) return;
  updateNetworkFiles(room, id, before, await networks.files(networkRequest(room, without)));
}
