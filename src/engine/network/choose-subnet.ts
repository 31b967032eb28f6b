// Which subnet the default bridge gets: as configured, as before, or one of the address pools.
// Pure; the host's routes and addresses come in as data.

import { EngineError } from "../../base/errors.ts";
import { lastOf, overlaps, parseCidr, parseSubnet, renderAddress, renderSubnet, type Subnet } from "./ipam/index.ts";

export interface BridgeAddress {
  /** "172.17.0.0/16" */
  readonly subnet: string;
  /** The bridge's own address: "172.17.0.1". */
  readonly gateway: string;
}

/**
 * @param text the value of --bip: the bridge's address with its prefix
 * @throws InvalidParameter it is no usable host address of an IPv4 subnet
 */
export function parseBip(text: string): BridgeAddress {
  const parsed = parseCidr(text);
  if (parsed === undefined || parsed.subnet.family === 6)
    throw new EngineError("InvalidParameter", `invalid bip: invalid CIDR address: ${text}`);
  const { address, subnet } = parsed;
  if (subnet.prefix > 30 || subnet.prefix < 8)
    throw new EngineError("InvalidParameter", `invalid bip: ${text}: the prefix must be between 8 and 30`);
  if (address.value === subnet.base || address.value === lastOf(subnet))
    throw new EngineError("InvalidParameter", `invalid bip: ${text} is not the address of a host`);
  return { subnet: renderSubnet(subnet), gateway: renderAddress(address) };
}

/**
 * @param options.before  what it had so far
 * @param options.used    subnets of the host's routes and addresses, the bridge's own left out
 * @throws InvalidParameter the pools are used up, or `bip` is wrong
 */
export function chooseBridgeAddress(options: {
  readonly bip: string | undefined;
  readonly before: BridgeAddress | undefined;
  /** The stored subnet has addresses of running containers. */
  readonly held: boolean;
  /** "172.20.0.1/16" of a bridge that exists already. */
  readonly existing: string | undefined;
  readonly used: readonly Subnet[];
  /** One of the default address pools. */
  choose(): BridgeAddress;
}): BridgeAddress {
  const { bip, before, held, existing, used } = options;
  const isFree = (subnet: Subnet): boolean => !used.some((other) => overlaps(other, subnet));
  if (held && before !== undefined) return before;
  if (bip !== undefined) return parseBip(bip);
  if (before !== undefined && isFree(parseSubnet(before.subnet))) return before;
  if (existing !== undefined) return parseBip(existing);
  return options.choose();
}
