// POST /containers/{id}/resize.

import { EngineError, isEngineError } from "../../base/errors.ts";
import type { ContainerId } from "../../base/ids.ts";
import type { Room } from "./room.ts";

/** A container without a terminal takes any size, and a terminal the lowest 16 bits, as in dockerd. @throws Conflict not running */
export async function resizeContainer(room: Room, id: ContainerId, height: number, width: number): Promise<void> {
  const { record, task } = room.get(id);
  if (task === undefined) throw new EngineError("Conflict", `container ${id} is not running`);
  if (record.config.Tty !== true) return;
  try {
    await task.shim.resize("init", height & 0xffff, width & 0xffff);
  } catch (error) {
    if (isEngineError(error, "NotFound")) throw new EngineError("Conflict", `container ${id} is not running`);
    throw error;
  }
}
