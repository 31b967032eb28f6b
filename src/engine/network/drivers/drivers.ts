// The drivers by name.

import { EngineError } from "../../../base/errors.ts";
import type { Logger } from "../../../base/log.ts";
import type { DriverName } from "../record.ts";
import type { Driver } from "./index.ts";

export interface DriverDeps {
  readonly mtu: number;
  readonly logger: Logger;
}

export function createDrivers(_deps: DriverDeps): Readonly<Record<DriverName, Driver>> {
  throw new EngineError("NotImplemented", "network drivers are not built yet");
}
