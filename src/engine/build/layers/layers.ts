import type { BuildLayers, BuildLayersDeps } from "./index.ts";
import { EngineError } from "../../../base/errors.ts";
export function createBuildLayers(_deps: BuildLayersDeps): BuildLayers {
  throw new EngineError("NotImplemented", "builds are not supported yet");
}
