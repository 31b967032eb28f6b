// docker export.
import type { Readable } from "node:stream";
import { EngineError } from "../../base/errors.ts";
import type { ContainerId } from "../../base/ids.ts";
import type { Room } from "./room.ts";

export async function exportContainer(_room: Room, _id: ContainerId, _signal: AbortSignal): Promise<Readable> {
  throw new EngineError("NotImplemented", "export");
}
