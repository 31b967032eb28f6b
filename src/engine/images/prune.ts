// docker image prune.
import { EngineError } from "../../base/errors.ts";
import type { Filters } from "../api/ports.ts";
import type { ImagesDeps } from "./images.ts";
import type { Images } from "./index.ts";
import type { ImageRecords } from "./records.ts";

export async function pruneImages(
  _deps: ImagesDeps,
  _records: ImageRecords,
  _filters: Filters,
  _images: Pick<Images, "remove">,
): ReturnType<Images["prune"]> {
  throw new EngineError("NotImplemented", "prune");
}
