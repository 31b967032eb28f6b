// What the client is told when the runtime could not start a process. The text is the runtime room's, in dockerd's words.

import { EngineError } from "../../base/errors.ts";
import type { StartFailure } from "../runtime/index.ts";

/** 126 and 127 are the command's fault, the rest the engine's. */
export function startError({ exitCode, message }: StartFailure): EngineError {
  return new EngineError(exitCode === 126 || exitCode === 127 ? "InvalidParameter" : "System", message);
}
