// GET /containers/{id}/export: the container's file system as one tar, running or not.

import type { Readable } from "node:stream";
import { EngineError } from "../../base/errors.ts";
import type { ContainerId } from "../../base/ids.ts";
import type { Room } from "./room.ts";

/**
 * Opens the tar. A container that is running goes on: what it writes meanwhile may be in it or not.
 *
 * @param signal ends the stream
 * @throws Conflict being removed
 * @throws DataLoss its writable layer is gone
 */
export async function exportContainer(room: Room, id: ContainerId, signal: AbortSignal): Promise<Readable> {
  using held = await room.lock(id);
  const { container } = held;
  if (container.removing) throw new EngineError("Conflict", `You cannot export container ${id} which is being removed`);
  const tar = room.deps.snapshots.export(id, signal);
  room.announce(container, "export");
  return tar;
}
