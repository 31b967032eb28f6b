// What images take on disk.
import { EngineError } from "../../base/errors.ts";
import type { ImagesDeps } from "./images.ts";
import type { Images } from "./index.ts";
import type { ImageRecords } from "./records.ts";

export async function measureImages(_deps: ImagesDeps, _records: ImageRecords): ReturnType<Images["diskUsage"]> {
  throw new EngineError("NotImplemented", "disk usage");
}
