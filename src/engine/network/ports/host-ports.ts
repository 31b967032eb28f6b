// Ports of the host: reserved in memory.

import { EngineError } from "../../../base/errors.ts";
import type { HostPorts } from "./index.ts";

export function createHostPorts(): HostPorts {
  throw new EngineError("NotImplemented", "publishing ports is not built yet");
}
