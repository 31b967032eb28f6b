// docker pull.
import { EngineError } from "../../base/errors.ts";
import type { ProgressMessage } from "../api/ports.ts";
import type { ImagesDeps } from "./images.ts";
import type { Images } from "./index.ts";
import type { ImageRecords } from "./records.ts";

export async function pullImages(
  _deps: ImagesDeps,
  _records: ImageRecords,
  _request: Parameters<Images["pull"]>[0],
  _tell: (message: ProgressMessage) => void,
  _signal: AbortSignal,
): Promise<void> {
  throw new EngineError("NotImplemented", "pull");
}
