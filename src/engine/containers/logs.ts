// GET /containers/{id}/logs.

import type { Readable } from "node:stream";
import { EngineError } from "../../base/errors.ts";
import type { ContainerId } from "../../base/ids.ts";
import type { LogsRequest } from "../api/ports.ts";
import type { LogSource } from "../logs/index.ts";
import { parseLogRotation } from "../runtime/index.ts";
import type { Container } from "./container.ts";
import type { ContainerRecord } from "./model.ts";
import type { Room } from "./room.ts";

/**
 * @throws InvalidParameter no stream is wanted
 * @throws NotImplemented   the container's log driver keeps nothing
 */
export function readContainerLogs(
  room: Room,
  id: ContainerId,
  request: LogsRequest,
  signal: AbortSignal,
): { readonly tty: boolean; readonly stream: Readable } {
  const container = room.get(id);
  if (!request.stdout && !request.stderr) {
    throw new EngineError("InvalidParameter", "Bad parameters: you must choose at least one stream");
  }
  if (!readsLog(container.record)) {
    throw new EngineError("NotImplemented", "configured logging driver does not support reading");
  }
  const source = logSourceOf(room, container);
  return { tty: source.tty, stream: room.deps.logs.read(source, request, signal) };
}

export function readsLog(record: ContainerRecord): boolean {
  return record.hostConfig.LogConfig?.Type !== "none";
}

export function logSourceOf(room: Room, container: Container): LogSource {
  const { record, task } = container;
  return {
    path: room.logPath(record.id),
    maxFiles: parseLogRotation(record.hostConfig.LogConfig ?? {}).maxFiles,
    tty: record.config.Tty === true,
    attributes: "",
    ended: task?.ended.signal ?? AbortSignal.abort(),
  };
}
