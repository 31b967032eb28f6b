// docker system df.
import { EngineError } from "../../base/errors.ts";
import type { DiskUsage, SystemPort } from "../api/ports.ts";
import type { SystemDeps } from "./system.ts";

export async function measureDisk(
  _rooms: SystemDeps["rooms"],
  _types: Parameters<SystemPort["diskUsage"]>[0],
): Promise<DiskUsage> {
  throw new EngineError("NotImplemented", "disk usage");
}
