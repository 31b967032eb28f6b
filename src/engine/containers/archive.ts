// Stub until cp is built.
import type { Readable } from "node:stream";
import { EngineError } from "../../base/errors.ts";
import type { ContainerId } from "../../base/ids.ts";
import type { PathChange, PathStat } from "../files/index.ts";
import type { ExtractRequest } from "../api/ports.ts";
import type { Room } from "./room.ts";

const missing = (what: string): EngineError => new EngineError("NotImplemented", `${what} is not supported yet`);

export async function statPath(_room: Room, _id: ContainerId, _path: string, _signal: AbortSignal): Promise<PathStat> {
  throw missing("cp");
}

export async function packPath(
  _room: Room,
  _id: ContainerId,
  _path: string,
  _signal: AbortSignal,
): Promise<{ readonly stat: PathStat; readonly tar: Readable }> {
  throw missing("cp");
}

export async function extractInto(
  _room: Room,
  _id: ContainerId,
  _request: ExtractRequest,
  _tar: Readable,
  _signal: AbortSignal,
): Promise<void> {
  throw missing("cp");
}

export async function containerChanges(
  _room: Room,
  _id: ContainerId,
  _signal: AbortSignal,
): Promise<readonly PathChange[]> {
  throw missing("diff");
}
