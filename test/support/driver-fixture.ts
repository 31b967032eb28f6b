// What the cases of single drivers share: drivers that have seen nothing, networks with subnets of their own, `ip`.

import { execFileSync } from "node:child_process";
import { isEngineError } from "../../src/base/errors.ts";
import { newNetworkId } from "../../src/base/ids.ts";
import { silentLogger } from "../../src/base/log.ts";
import { createDrivers, type Driver } from "../../src/engine/network/drivers/index.ts";
import { type DriverName, type NetworkRecord, plainNetwork } from "../../src/engine/network/record.ts";

export function drivers(): Readonly<Record<DriverName, Driver>> {
  return createDrivers({ mtu: 1500, ipForward: true, logger: silentLogger });
}

export function ip(...args: readonly string[]): string {
  return execFileSync("ip", args, { encoding: "utf8" });
}

let count = 0;

/** A network of a driver, with subnets of its own. */
export function network(driver: DriverName, change: Partial<NetworkRecord> = {}): NetworkRecord {
  count += 1;
  const draft = {
    ...plainNetwork,
    id: newNetworkId(),
    name: `n${count}`,
    driver,
    created: "",
    enableIpv6: true,
    ...change,
  };
  const subnets = change.subnets ?? [
    { subnet: `10.77.${count}.0/24`, ipRange: "", gateway: `10.77.${count}.1`, auxiliary: {} },
    { subnet: `fd00:77:${count}::/64`, ipRange: "", gateway: `FD00:77:${count}:0::1`, auxiliary: {} },
  ];
  return { ...draft, subnets, interface: change.interface ?? drivers()[driver].interfaceName(draft) };
}

export const bridgeName = "com.docker.network.bridge.name";

/** "KIND: message" of what was thrown, or "nothing". */
export async function kindOf(action: Promise<unknown>): Promise<string> {
  try {
    await action;
    return "nothing";
  } catch (error) {
    return isEngineError(error) ? `${error.kind}: ${error.message}` : String(error);
  }
}

/** Nothing, or what is found instead of what is wanted. */
export function equal(found: unknown, wanted: unknown): readonly string[] {
  const [a, b] = [JSON.stringify(found), JSON.stringify(wanted)];
  return a === b ? [] : [`${a} instead of ${b}`];
}
