import { EngineError } from "../../../base/errors.ts";
export function endStaleSteps(_execRoot: string, _dataRoot: string): Promise<void> {
  throw new EngineError("NotImplemented", "builds are not supported yet");
}
