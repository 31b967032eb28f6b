// The networks of containers that run, taken over from an earlier daemon.

import { isEngineError, messageOf } from "../../base/errors.ts";
import type { Container } from "./container.ts";
import { filePaths, writeNetworkFiles } from "./network-files.ts";
import { networkRequest } from "./network-request.ts";
import type { Room } from "./room.ts";

/**
 * Where a change was cut off, the shim is told how it shall be, and the files follow.
 *
 * @returns false where the shim could not: the intent stays open
 */
export async function restoreNetworks(room: Room, container: Container, changeCut: boolean): Promise<boolean> {
  const { networks, logger } = room.deps;
  const { record, task } = container;
  if (task === undefined) return true;
  const request = networkRequest(room, record);
  const wanted = networks.wanted(request);
  if (!changeCut || wanted === undefined) return true;
  let told = true;
  try {
    await task.shim.setNetwork(wanted);
  } catch (error) {
    if (!isEngineError(error, "NotFound")) {
      told = false;
      logger.error("a change of networks could not be finished; restart the container", {
        container: record.id,
        error: messageOf(error),
      });
    }
  }
  await writeNetworkFiles(room, request, filePaths(room, record.id));
  return told;
}
