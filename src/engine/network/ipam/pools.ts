// The subnets that the engine chooses from, and the choice: the lowest free one of the first pool that has one. Pure.
// Source: dockerd's default-address-pools; RFC 4193 (unique local IPv6 addresses).

import { createHash } from "node:crypto";
import { EngineError } from "../../../base/errors.ts";
import { bitsOf, type Family, lastOf, overlaps, parseCidr, renderSubnet, type Subnet } from "./address.ts";
import type { AddressPoolConfig } from "./index.ts";

/** dockerd's: 172.17 to 172.31, then 192.168.0.0/20 and on. */
const ipv4Pools: readonly AddressPoolConfig[] = [
  { base: "172.17.0.0/16", size: 16 },
  { base: "172.18.0.0/16", size: 16 },
  { base: "172.19.0.0/16", size: 16 },
  { base: "172.20.0.0/14", size: 16 },
  { base: "172.24.0.0/14", size: 16 },
  { base: "172.28.0.0/14", size: 16 },
  { base: "192.168.0.0/16", size: 20 },
];

/** A /48 that is this engine's own, cut into /64. */
function ipv6Pool(engineId: string): AddressPoolConfig {
  const [a = "", b = "", c = "", d = "", e = ""] =
    createHash("sha256").update(engineId).digest("hex").match(/../g) ?? [];
  return { base: `fd${a}:${b}${c}:${d}${e}::/48`, size: 64 };
}

/** A range that subnets are cut from. */
export interface Pool {
  readonly range: Subnet;
  /** Length of the prefix of each subnet. */
  readonly size: number;
}

/** What is wrong with a configured pool, in dockerd's words; undefined when nothing is. */
export function complainAboutPool({ base, size }: AddressPoolConfig): string | undefined {
  const parsed = parseCidr(base);
  if (parsed === undefined) return `invalid base pool "${base}": invalid CIDR address`;
  const { family, prefix } = parsed.subnet;
  if (!Number.isSafeInteger(size) || size <= 0 || size > bitsOf(family))
    return `invalid pool size ${size} for "${base}": it must be between 1 and ${bitsOf(family)}`;
  if (size < prefix) return `invalid pool size ${size} for "${base}": subnets would be larger than the pool`;
  if (parsed.address.value !== parsed.subnet.base)
    return `invalid base pool "${base}": it should be ${renderSubnet(parsed.subnet)}`;
  return undefined;
}

/**
 * The pools as configured; a family that is not among them gets its defaults.
 *
 * @param engineId what the IPv6 default is derived from
 * @throws InvalidParameter see complainAboutPool
 */
export function parsePools(configured: readonly AddressPoolConfig[], engineId: string): readonly Pool[] {
  const parse = (config: AddressPoolConfig): Pool => {
    const complaint = complainAboutPool(config);
    const range = parseCidr(config.base)?.subnet;
    if (complaint !== undefined || range === undefined) throw new EngineError("InvalidParameter", complaint ?? "");
    return { range, size: config.size };
  };
  const pools = configured.map(parse);
  const has = (family: Family): boolean => pools.some(({ range }) => range.family === family);
  return [...pools, ...(has(4) ? [] : ipv4Pools.map(parse)), ...(has(6) ? [] : [parse(ipv6Pool(engineId))])];
}

/** The lowest subnet of the pool that meets none of `used`; undefined when there is none. */
function chooseOf({ range, size }: Pool, used: readonly Subnet[]): Subnet | undefined {
  const { family } = range;
  const step = 1n << BigInt(bitsOf(family) - size);
  const taken = used.filter((other) => overlaps(other, range)).toSorted((a, b) => (a.base < b.base ? -1 : 1));
  let base = range.base;
  for (const other of taken) {
    if (other.base > base + step - 1n) break;
    const after = lastOf(other) + 1n;
    if (after > base) base = ((after + step - 1n) / step) * step;
  }
  return base > lastOf(range) ? undefined : { family, base, prefix: size };
}

/** @returns undefined when the pools of the family are used up */
export function chooseSubnet(pools: readonly Pool[], family: Family, used: readonly Subnet[]): Subnet | undefined {
  for (const pool of pools) {
    const subnet = pool.range.family === family ? chooseOf(pool, used) : undefined;
    if (subnet !== undefined) return subnet;
  }
  return undefined;
}
