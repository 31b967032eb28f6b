// Makes an image of a layer.
import type { Digest } from "../../base/digest.ts";
import { EngineError } from "../../base/errors.ts";
import type { ImagesDeps } from "./images.ts";
import type { Images } from "./index.ts";
import type { ImageRecords } from "./records.ts";

export async function commitLayer(
  _deps: ImagesDeps,
  _records: ImageRecords,
  _image: Parameters<Images["commit"]>[0],
  _signal: AbortSignal,
): Promise<Digest> {
  throw new EngineError("NotImplemented", "commit");
}
