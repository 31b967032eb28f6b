// Address ranges and addresses.

import { EngineError } from "../../../base/errors.ts";
import type { AddressPoolConfig, Ipam } from "./index.ts";

export function createIpam(_pools: readonly AddressPoolConfig[]): Ipam {
  throw new EngineError("NotImplemented", "address management is not built yet");
}
