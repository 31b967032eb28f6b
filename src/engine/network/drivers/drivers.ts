// The drivers by name.

import type { Logger } from "../../../base/log.ts";
import { createBridgeDriver } from "./bridge.ts";
import { createHostDriver, createNullDriver } from "./fixed.ts";
import type { Drivers } from "./index.ts";
import { createIpvlanDriver } from "./ipvlan.ts";
import { createMacvlanDriver } from "./macvlan.ts";

export interface DriverDeps {
  /** Of the default network, in bytes; other networks say theirs in an option. */
  readonly mtu: number;
  /** Whether the host is told to pass packets on (IPv4, and IPv6 where a network has it). */
  readonly ipForward: boolean;
  /** Published ports are reached at the containers' own addresses from outside; false when missing. */
  readonly allowDirectRouting?: boolean;
  readonly logger: Logger;
}

/** Makes them; nothing is read or changed before setUp. */
export function createDrivers(deps: DriverDeps): Drivers {
  return {
    bridge: createBridgeDriver(deps),
    host: createHostDriver(),
    null: createNullDriver(),
    macvlan: createMacvlanDriver(),
    ipvlan: createIpvlanDriver(),
  };
}
