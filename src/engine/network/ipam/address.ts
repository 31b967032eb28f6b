// Addresses and subnets of both families as numbers: read, printed as Go's net/netip prints them, compared. Pure.
// Source: RFC 4291 (text forms), RFC 5952 (canonical IPv6 text).

import { EngineError } from "../../../base/errors.ts";

export type Family = 4 | 6;

export interface Address {
  readonly family: Family;
  /** 32 or 128 bits. */
  readonly value: bigint;
}

export interface Subnet {
  readonly family: Family;
  /** The network address: host bits are zero. */
  readonly base: bigint;
  /** 0–32 or 0–128 */
  readonly prefix: number;
}

/** 32 or 128. */
export function bitsOf(family: Family): number {
  return family === 4 ? 32 : 128;
}

function parseIpv4(text: string): bigint | undefined {
  const parts = text.split(".");
  if (parts.length !== 4 || !parts.every((part) => /^(0|[1-9]\d{0,2})$/.test(part) && Number(part) <= 255))
    return undefined;
  return BigInt(parts.reduce((sum, part) => sum * 256 + Number(part), 0));
}

/** The 16-bit groups of a part of an IPv6 address without "::"; its end may be a dotted quad. */
function parseGroups(text: string, mayEndDotted: boolean): readonly bigint[] | undefined {
  if (text === "") return [];
  const groups: bigint[] = [];
  const parts = text.split(":");
  for (const [i, part] of parts.entries()) {
    if (part.includes(".")) {
      const quad = mayEndDotted && i === parts.length - 1 ? parseIpv4(part) : undefined;
      if (quad === undefined) return undefined;
      groups.push(quad >> 16n, quad & 0xffffn);
    } else if (/^[0-9a-fA-F]{1,4}$/.test(part)) groups.push(BigInt(`0x${part}`));
    else return undefined;
  }
  return groups;
}

function parseIpv6(text: string): bigint | undefined {
  // The longest form has 45 characters.
  if (text.length > 45) return undefined;
  const halves = text.split("::");
  if (halves.length > 2) return undefined;
  const [left = "", right] = halves;
  const head = parseGroups(left, right === undefined);
  const tail = right === undefined ? [] : parseGroups(right, true);
  if (head === undefined || tail === undefined) return undefined;
  const missing = 8 - head.length - tail.length;
  if (right === undefined ? missing !== 0 : missing < 1) return undefined;
  const groups = [...head, ...Array.from({ length: missing }, () => 0n), ...tail];
  return groups.reduce((sum, group) => (sum << 16n) | group, 0n);
}

/** The number of an address without prefix or zone; undefined when it is none (no short forms, no leading zeros in IPv4). */
export function parseAddress(text: string): Address | undefined {
  const family: Family = text.includes(":") ? 6 : 4;
  const value = family === 6 ? parseIpv6(text) : parseIpv4(text);
  return value === undefined ? undefined : { family, value };
}

function renderIpv4(value: bigint): string {
  return [24n, 16n, 8n, 0n].map((shift) => String((value >> shift) & 255n)).join(".");
}

/** True for ::ffff:0:0/96, which stands for IPv4 addresses in IPv6. */
export function isMapped({ family, value }: Address): boolean {
  return family === 6 && value >> 32n === 0xffffn;
}

function renderIpv6(value: bigint): string {
  if (isMapped({ family: 6, value })) return `::ffff:${renderIpv4(value & 0xffffffffn)}`;
  const groups = Array.from({ length: 8 }, (_, i) => ((value >> BigInt(112 - i * 16)) & 0xffffn).toString(16));
  let best = { start: 0, length: 0 };
  for (let start = 0; start < 8; start++) {
    let length = 0;
    while (start + length < 8 && groups[start + length] === "0") length++;
    if (length > best.length) best = { start, length };
  }
  if (best.length < 2) return groups.join(":");
  return `${groups.slice(0, best.start).join(":")}::${groups.slice(best.start + best.length).join(":")}`;
}

/** Canonical text: "172.17.0.2", "fd00::2". */
export function renderAddress({ family, value }: Address): string {
  return family === 4 ? renderIpv4(value) : renderIpv6(value);
}

function maskOf(family: Family, prefix: number): bigint {
  const bits = BigInt(bitsOf(family));
  return ((1n << BigInt(prefix)) - 1n) << (bits - BigInt(prefix));
}

/** "172.17.0.1/16" as its address and the subnet that it is in; undefined when it is none. */
export function parseCidr(text: string): { readonly address: Address; readonly subnet: Subnet } | undefined {
  const slash = text.lastIndexOf("/");
  const length = text.slice(slash + 1);
  const address = slash < 0 ? undefined : parseAddress(text.slice(0, slash));
  if (address === undefined || !/^(0|[1-9]\d{0,2})$/.test(length)) return undefined;
  const prefix = Number(length);
  if (prefix > bitsOf(address.family)) return undefined;
  return { address, subnet: subnetOf(address, prefix) };
}

/** The subnet of that length which `address` is in. */
export function subnetOf({ family, value }: Address, prefix: number): Subnet {
  return { family, base: value & maskOf(family, prefix), prefix };
}

/** @throws InvalidParameter it is no subnet; host bits are dropped */
export function parseSubnet(text: string): Subnet {
  const parsed = parseCidr(text);
  if (parsed === undefined) throw new EngineError("InvalidParameter", `invalid CIDR address: ${text}`);
  return parsed.subnet;
}

export function renderSubnet({ family, base, prefix }: Subnet): string {
  return `${renderAddress({ family, value: base })}/${prefix}`;
}

/** The last address of a subnet; of an IPv4 one the broadcast address. */
export function lastOf({ family, base, prefix }: Subnet): bigint {
  return base + (1n << BigInt(bitsOf(family) - prefix)) - 1n;
}

export function contains(subnet: Subnet, address: Address): boolean {
  return subnet.family === address.family && address.value >= subnet.base && address.value <= lastOf(subnet);
}

export function overlaps(a: Subnet, b: Subnet): boolean {
  return a.family === b.family && a.base <= lastOf(b) && b.base <= lastOf(a);
}
