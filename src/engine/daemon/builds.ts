// The rooms of the builder put together, and the port that the API needs of them.

import { EngineError } from "../../base/errors.ts";
import type { BuildPort } from "../api/ports.ts";

/** Until all of the rooms are there. */
export function unbuiltBuilds(): BuildPort {
  const refuse = (): never => {
    throw new EngineError("NotImplemented", "builds are not supported yet");
  };
  return { build: refuse, cancel: refuse, prune: refuse, serveGrpc: refuse, serveSession: refuse };
}
