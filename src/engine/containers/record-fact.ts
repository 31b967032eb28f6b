// Records that follow the kernel: what has happened already is true whether the disk takes it or not.

import { messageOf } from "../../base/errors.ts";
import type { Change } from "../store/index.ts";
import type { Container } from "./container.ts";
import type { ContainerRecord } from "./model.ts";
import type { Room } from "./room.ts";

/**
 * Commits what the kernel has done. Where that fails (a full disk), memory takes it all the same and the failure is logged:
 * the next start of the daemon finds the truth in the kernel and in the exit record. To be called with the container locked.
 */
export async function recordFact(
  room: Room,
  container: Container,
  record: ContainerRecord,
  changes: readonly Change[] = [],
): Promise<void> {
  try {
    await room.commit(container, record, changes);
  } catch (error) {
    container.record = record;
    room.owe(changes);
    room.deps.logger.error("a container's state could not be recorded", {
      container: record.id,
      state: record.state.status,
      error: messageOf(error),
    });
  }
}
