import type { BuildProgress } from "./progress.ts";
import { EngineError } from "../../base/errors.ts";
export function createBuildProgress(): BuildProgress {
  throw new EngineError("NotImplemented", "builds are not supported yet");
}
