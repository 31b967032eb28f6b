// POST /containers/{id}/rename.

import { EngineError } from "../../base/errors.ts";
import { failpoint } from "../../base/failpoint.ts";
import type { ContainerId } from "../../base/ids.ts";
import { invalidName, nameInUse, parseName } from "./names.ts";
import { withLinkedFiles } from "./network-files.ts";
import { networkRequest } from "./network-request.ts";
import type { Room } from "./room.ts";

/**
 * @throws InvalidParameter empty, the same, or no name
 * @throws Conflict         in use, or the container is being removed
 */
export async function renameContainer(room: Room, id: ContainerId, newName: string): Promise<void> {
  if (newName === "" || newName === "/") {
    throw new EngineError("InvalidParameter", "Neither old nor new names may be empty");
  }
  using held = await room.lock(id);
  const { container } = held;
  const { record } = container;
  if (container.removing) throw new EngineError("Conflict", `container ${id} is being removed`);
  const oldName = record.name;
  const asked = newName.startsWith("/") ? newName.slice(1) : newName;
  if (asked === oldName) {
    throw new EngineError("InvalidParameter", "Renaming a container with the same name as its current name");
  }
  const prefix = "Error when allocating new name: ";
  let name: string;
  try {
    name = parseName(asked);
  } catch {
    throw new EngineError("InvalidParameter", prefix + invalidName(`/${asked}`).message);
  }
  const holder = room.names.get(name);
  if (holder !== undefined) throw new EngineError("Conflict", prefix + nameInUse(name, holder).message);
  room.names.set(name, id);
  try {
    await failpoint("container.rename.reserved");
    const renamed = { ...record, name };
    await withLinkedFiles(room, id, async () => {
      const changes = room.deps.networks.renamed(networkRequest(room, renamed));
      await room.commit(container, renamed, changes).catch((error: unknown) => {
        room.deps.networks.renamed(networkRequest(room, record));
        throw error;
      });
    });
  } catch (error) {
    room.names.delete(name);
    throw error;
  }
  room.names.delete(oldName);
  room.announce(container, "rename", { oldName: `/${oldName}` });
}
