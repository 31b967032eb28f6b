// The face of ipam/: address ranges for networks, addresses of both families in them. Decisions in memory, made again of the
// records at start; the store's UNIQUE constraints are what makes double allocation impossible.

import type { NetworkId } from "../../../base/ids.ts";
import type { NetworkRecord, NetworkSubnet } from "../record.ts";
import type { IPAMConfig } from "../../../spec/docker/network.ts";

export {
  type Address,
  type Family,
  lastOf,
  overlaps,
  parseAddress,
  parseCidr,
  parseSubnet,
  renderAddress,
  renderSubnet,
  type Subnet,
} from "./address.ts";
export { createIpam } from "./ipam.ts";
export { complainAboutPool } from "./pools.ts";
export { complainAboutSubnets, joinComplaints } from "./validate.ts";

/** `default-address-pools`: a range that is cut into subnets of one size. */
export interface AddressPoolConfig {
  /** "10.10.0.0/16" */
  readonly base: string;
  /** Length of the prefix of each subnet. */
  readonly size: number;
}

export interface SubnetRequest {
  readonly networkName: string;
  readonly enableIpv4: boolean;
  readonly enableIpv6: boolean;
  readonly config: readonly IPAMConfig[];
  /** Whether the network has a gateway address: the first of the range where none is named. */
  readonly gateway: boolean;
  /** Ranges that cannot be chosen by the engine: subnets of the host's routes and addresses. */
  readonly used: readonly string[];
}

export interface Ipam {
  /**
   * Subnets for a new network: those asked for, and chosen ones for the families that are left. Reserves them for `networkId`.
   *
   * @throws InvalidParameter malformed subnet, range, gateway or auxiliary address, one outside of its subnet, two of one name
   * @throws InvalidParameter the default address pools are used up
   * @throws Forbidden        a subnet overlaps another network's ("Pool overlaps with other one on this address space"); gateway or
   *                          auxiliary address is one that cannot be given, or twice the same
   */
  plan(networkId: NetworkId, request: SubnetRequest): readonly NetworkSubnet[];
  /** A network of the store. */
  adopt(network: NetworkRecord): void;
  /** The network is gone, or was not made after all. */
  forget(networkId: NetworkId): void;
  /**
   * An address of the network, the one asked for or the next; reserved until `free`.
   *
   * @param wanted "" for any
   * @throws Forbidden        the address asked for is taken ("Address already in use")
   * @throws InvalidParameter it is in none of the network's subnets
   * @throws Unavailable      none is left
   */
  allocate(
    networkId: NetworkId,
    family: 4 | 6,
    wanted: string,
  ): { readonly address: string; readonly prefix: number; readonly gateway: string };
  /** The address of an endpoint of the store. */
  adoptAddress(networkId: NetworkId, address: string): void;
  free(networkId: NetworkId, address: string): void;
}
