// Which ip-range, gateway and auxiliary address belong to which subnet of `network create`: the first subnet that contains them.
// Source: behaviour of the docker CLI 28; a subnet on its own is left to the daemon to judge.

import { BlockList, isIPv4, isIPv6 } from "node:net";
import type { IPAMConfig } from "../../spec/docker/network.ts";

/** What the flags said, as text. */
export interface PoolFlags {
  readonly subnets: readonly string[];
  readonly ranges: readonly string[];
  readonly gateways: readonly string[];
  /** Name → address. */
  readonly auxiliary: Readonly<Record<string, string>>;
}

interface Address {
  readonly text: string;
  /** How it is written. */
  readonly family: "ipv4" | "ipv6";
  /** An IPv4 address, perhaps written as ::ffff:a.b.c.d. */
  readonly is4: boolean;
}

function parseAddress(text: string): Address | undefined {
  if (isIPv4(text)) return { text, family: "ipv4", is4: true };
  if (!isIPv6(text) || text.includes("%")) return undefined;
  const mapped = new BlockList();
  mapped.addSubnet("::ffff:0:0", 96, "ipv6");
  return { text, family: "ipv6", is4: mapped.check(text, "ipv6") };
}

/** @throws Error "invalid CIDR address: x" */
function parseCidr(text: string): { readonly address: Address; readonly prefix: number } {
  const at = text.indexOf("/");
  const address = at < 0 ? undefined : parseAddress(text.slice(0, at));
  const digits = text.slice(at + 1);
  const prefix = /^\d{1,4}$/.test(digits) ? Number(digits) : Number.POSITIVE_INFINITY;
  if (address === undefined || prefix > (address.family === "ipv4" ? 32 : 128))
    throw new Error(`invalid CIDR address: ${text}`);
  return { address, prefix };
}

class Pool {
  readonly subnet: string;
  range = "";
  gateway = "";
  readonly auxiliary: Record<string, string> = {};
  #block: { readonly list: BlockList; readonly is4: boolean } | undefined;

  constructor(subnet: string) {
    this.subnet = subnet;
  }

  /** An address, undefined being in none. @throws Error the subnet is none */
  contains(address: Address | undefined): boolean {
    this.#block ??= blockOf(this.subnet);
    return (
      address !== undefined && address.is4 === this.#block.is4 && this.#block.list.check(address.text, address.family)
    );
  }
}

function blockOf(subnet: string): { readonly list: BlockList; readonly is4: boolean } {
  let parsed: ReturnType<typeof parseCidr>;
  try {
    parsed = parseCidr(subnet);
  } catch (error) {
    throw new Error(`invalid subnet: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
  }
  const { address, prefix } = parsed;
  const list = new BlockList();
  list.addSubnet(address.text, prefix, address.family);
  return { list, is4: address.is4 };
}

/** The address of "10.0.0.1" or "10.0.0.1/8"; undefined for what is none. @throws Error for "x/y" */
function addressIn(text: string): Address | undefined {
  return text.includes("/") ? parseCidr(text).address : parseAddress(text);
}

function makePools(subnets: readonly string[]): readonly Pool[] {
  const pools: Pool[] = [];
  for (const subnet of subnets) {
    const pool = new Pool(subnet);
    for (const other of pools)
      if (pool.contains(addressIn(other.subnet)) || other.contains(addressIn(subnet)))
        throw new Error("multiple overlapping subnet configuration is not supported");
    pools.push(pool);
  }
  return pools;
}

/**
 * The IPAM configurations, in the order of the subnets.
 *
 * @throws Error what fits into no subnet, or twice into one
 */
export function planPools({ subnets, ranges, gateways, auxiliary }: PoolFlags): readonly IPAMConfig[] {
  if (subnets.length < ranges.length || subnets.length < gateways.length)
    throw new Error("every ip-range or gateway must have a corresponding subnet");
  const pools = makePools(subnets);
  for (const range of ranges) {
    const { address } = parseCidr(range);
    const pool = pools.find((candidate) => candidate.contains(address));
    if (pool === undefined) throw new Error(`no matching subnet for range ${range}`);
    if (pool.range !== "")
      throw new Error(`cannot configure multiple ranges (${range}, ${pool.range}) on the same subnet (${pool.subnet})`);
    pool.range = range;
  }
  for (const gateway of gateways) {
    const pool = pools.find((candidate) => candidate.contains(addressIn(gateway)));
    if (pool === undefined) throw new Error(`no matching subnet for gateway ${gateway}`);
    if (pool.gateway !== "")
      throw new Error(
        `cannot configure multiple gateways (${gateway}, ${pool.gateway}) for the same subnet (${pool.subnet})`,
      );
    pool.gateway = gateway;
  }
  for (const [name, address] of Object.entries(auxiliary)) {
    const pool = pools.find((candidate) => candidate.contains(addressIn(address)));
    if (pool === undefined) throw new Error(`no matching subnet for aux-address ${address}`);
    pool.auxiliary[name] = address;
  }
  return pools.map(renderPool);
}

function renderPool({ subnet, range, gateway, auxiliary }: Pool): IPAMConfig {
  return {
    Subnet: subnet,
    ...(range === "" ? {} : { IPRange: range }),
    ...(gateway === "" ? {} : { Gateway: gateway }),
    ...(Object.keys(auxiliary).length === 0 ? {} : { AuxiliaryAddresses: auxiliary }),
  };
}
