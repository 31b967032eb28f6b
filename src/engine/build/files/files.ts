import type { Files, FilesDeps } from "./index.ts";
import { EngineError } from "../../../base/errors.ts";
export function createFiles(_deps: FilesDeps): Files {
  throw new EngineError("NotImplemented", "builds are not supported yet");
}
