// docker save.
import type { Readable } from "node:stream";
import { EngineError } from "../../base/errors.ts";
import type { ImagesDeps } from "./images.ts";
import type { ImageRecords } from "./records.ts";

export async function saveImages(
  _deps: ImagesDeps,
  _records: ImageRecords,
  _names: readonly string[],
  _platform: string | undefined,
  _signal: AbortSignal,
): Promise<Readable> {
  throw new EngineError("NotImplemented", "save");
}
