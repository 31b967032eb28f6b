import type { ExternalCaches, ExternalCachesDeps } from "./index.ts";
import { EngineError } from "../../../base/errors.ts";
export function createExternalCaches(_deps: ExternalCachesDeps): ExternalCaches {
  throw new EngineError("NotImplemented", "builds are not supported yet");
}
