// POST /containers/{id}/restart: stop what runs, then start. A container with AutoRemove survives the end in between.

import { isEngineError } from "../../base/errors.ts";
import type { ContainerId } from "../../base/ids.ts";
import type { Room } from "./room.ts";
import { startContainer } from "./start.ts";
import { isActive } from "./state.ts";
import { stopContainer } from "./stop.ts";

export async function restartContainer(
  room: Room,
  id: ContainerId,
  signalName: string | undefined,
  timeoutSeconds: number | undefined,
  signal: AbortSignal,
): Promise<void> {
  const container = room.get(id);
  container.keepOnExit = true;
  try {
    if (isActive(container.record.state.status)) {
      await stopContainer(room, id, signalName, timeoutSeconds, signal).catch((error: unknown) => {
        if (!isEngineError(error, "NotModified")) throw error;
      });
    }
    await startContainer(room, id, signal);
  } finally {
    container.keepOnExit = false;
  }
  room.announce(container, "restart");
}
