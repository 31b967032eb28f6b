// Which subnet the default bridge gets: as configured, as before, or the first private range that the host does not use.
// Pure; the host's routes and addresses come in as data.

import { EngineError } from "../../base/errors.ts";
import { broadcastOf, overlaps, parseCidr, renderAddress, renderSubnet, type Subnet } from "./subnet.ts";

export interface BridgeAddress {
  /** "172.17.0.0/16" */
  readonly subnet: string;
  /** The bridge's own address: "172.17.0.1". */
  readonly gateway: string;
}

/** 172.17 to 172.31, then 192.168.0.0/20 and on, as dockerd takes them. */
function candidates(): readonly Subnet[] {
  const large = Array.from({ length: 15 }, (_, i) => ({
    base: (172 * 2 ** 24 + (17 + i) * 2 ** 16) >>> 0,
    prefix: 16,
  }));
  const small = Array.from({ length: 16 }, (_, i) => ({
    base: (192 * 2 ** 24 + 168 * 2 ** 16 + i * 4096) >>> 0,
    prefix: 20,
  }));
  return [...large, ...small];
}

/**
 * @param text the value of --bip: the bridge's address with its prefix
 * @throws InvalidParameter it is no usable host address of an IPv4 subnet
 */
export function parseBip(text: string): BridgeAddress {
  const parsed = parseCidr(text);
  if (parsed === undefined) throw new EngineError("InvalidParameter", `invalid bip: invalid CIDR address: ${text}`);
  const { address, subnet } = parsed;
  if (subnet.prefix > 30 || subnet.prefix < 8)
    throw new EngineError("InvalidParameter", `invalid bip: ${text}: the prefix must be between 8 and 30`);
  if (address === subnet.base || address === broadcastOf(subnet))
    throw new EngineError("InvalidParameter", `invalid bip: ${text} is not the address of a host`);
  return { subnet: renderSubnet(subnet), gateway: renderAddress(address) };
}

/**
 * @param options.before  what it had so far
 * @param options.used    subnets of the host's routes and addresses, the bridge's own left out
 * @throws Unavailable every private range is in use
 */
export function chooseBridgeAddress(options: {
  readonly bip: string | undefined;
  readonly before: BridgeAddress | undefined;
  /** The stored subnet has addresses of running containers. */
  readonly held: boolean;
  /** "172.20.0.1/16" of a bridge that exists already. */
  readonly existing: string | undefined;
  readonly used: readonly Subnet[];
}): BridgeAddress {
  const { bip, before, held, existing, used } = options;
  const isFree = (subnet: Subnet): boolean => !used.some((other) => overlaps(other, subnet));
  if (held && before !== undefined) return before;
  if (bip !== undefined) return parseBip(bip);
  if (before !== undefined && isFree(parseCidr(before.subnet)?.subnet ?? { base: 0, prefix: 0 })) return before;
  if (existing !== undefined) return parseBip(existing);
  const subnet = candidates().find(isFree);
  if (subnet === undefined)
    throw new EngineError(
      "Unavailable",
      "could not find an available, non-overlapping IPv4 address pool among the defaults to assign to the network; give one with --bip",
    );
  return { subnet: renderSubnet(subnet), gateway: renderAddress(subnet.base + 1) };
}

/**
 * The subnets that the host has routes to, out of /proc/net/route: default and unreachable routes are no use of a range.
 *
 * @param except interface whose routes do not count
 */
export function parseRoutes(text: string, except: string): readonly Subnet[] {
  const rejects = 0x200;
  const little = (hex: string): number => Buffer.from(hex, "hex").readUInt32LE();
  return text
    .split("\n")
    .slice(1)
    .flatMap((line) => {
      const [name = "", destination = "", , flags = "", , , , mask = ""] = line.split("\t");
      if (destination === "" || name === except || (Number.parseInt(flags, 16) & rejects) !== 0) return [];
      const bits = little(mask);
      const prefix = bits === 0 ? 0 : 32 - Math.log2(2 ** 32 - bits);
      return prefix === 0 ? [] : [{ base: little(destination), prefix }];
    });
}
