// The name server, as the daemon holds it.

import { EngineError } from "../../../base/errors.ts";
import type { NameServer, NameServerDeps } from "./index.ts";

export function createNameServer(_deps: NameServerDeps): NameServer {
  throw new EngineError("NotImplemented", "the name server is not built yet");
}
