// Devices of ours on the host that nothing has: left by a daemon that was killed between making or removing one and its record.

import { tryRun } from "../../kernel/run.ts";
import type { Link } from "../links.ts";
import type { NetworkRecord } from "../record.ts";
import { ownerOf } from "./device.ts";

const hostInterface = /^gveth[0-9a-f]{10}$/;

/**
 * Bridges, VLAN links and dummies with our mark whose network is gone, and host ends of veth pairs that no endpoint has. Pure.
 *
 * @param hostInterfaces of all endpoints, those included whose container is just being started
 */
export function findStaleDevices(
  links: readonly Link[],
  networks: readonly NetworkRecord[],
  hostInterfaces: ReadonlySet<string>,
): readonly Link[] {
  const known = new Set(networks.map(({ id }) => id.slice(0, 12)));
  // A device under one of them (a parent with VLAN) may carry the mark of a network that is gone.
  const used = new Set(networks.map((network) => network.interface));
  return links.filter((link) => {
    if (hostInterface.test(link.name)) return !hostInterfaces.has(link.name);
    const owner = ownerOf(link);
    return owner !== undefined && !known.has(owner) && !used.has(link.name);
  });
}

/** @returns whether it is gone now */
export async function removeDevice(name: string): Promise<boolean> {
  const { exitCode, stderr } = await tryRun(["ip", "link", "del", "dev", name]);
  return exitCode === 0 || stderr.includes("Cannot find device");
}
