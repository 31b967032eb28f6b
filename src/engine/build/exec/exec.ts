import type { Exec, ExecDeps } from "./index.ts";
import { EngineError } from "../../../base/errors.ts";
export function createExec(_deps: ExecDeps): Promise<Exec> {
  throw new EngineError("NotImplemented", "builds are not supported yet");
}
