import type { Builder, BuilderDeps } from "./index.ts";
import { EngineError } from "../../base/errors.ts";
export function createBuilder(_deps: BuilderDeps): Promise<Builder> {
  throw new EngineError("NotImplemented", "builds are not supported yet");
}
