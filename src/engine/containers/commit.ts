// docker commit.
import { EngineError } from "../../base/errors.ts";
import type { ContainerId } from "../../base/ids.ts";
import type { CommitRequest } from "../api/ports.ts";
import type { Room } from "./room.ts";

export async function commitContainer(
  _room: Room,
  _id: ContainerId,
  _request: CommitRequest,
  _signal: AbortSignal,
): Promise<string> {
  throw new EngineError("NotImplemented", "commit");
}
