import type { BuildkitDeps, BuildkitDoor } from "./index.ts";
import { EngineError } from "../../base/errors.ts";
export function createBuildkitDoor(_deps: BuildkitDeps): BuildkitDoor {
  throw new EngineError("NotImplemented", "builds are not supported yet");
}
