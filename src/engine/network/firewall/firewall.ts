// The nft tables at work.

import { EngineError } from "../../../base/errors.ts";
import type { Firewall, FirewallDeps } from "./index.ts";

export function createFirewall(_deps: FirewallDeps): Firewall {
  throw new EngineError("NotImplemented", "the firewall is not built yet");
}
