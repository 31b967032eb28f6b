// IPv4 arithmetic: addresses as unsigned 32-bit numbers, subnets as base and prefix length. Pure.

import { EngineError } from "../../base/errors.ts";

export interface Subnet {
  /** The network address: host bits are zero. */
  readonly base: number;
  /** 0–32 */
  readonly prefix: number;
}

/** The number of a dotted quad, or undefined when it is none (no short forms, no leading zeros). */
export function parseAddress(text: string): number | undefined {
  const parts = text.split(".");
  if (parts.length !== 4 || !parts.every((part) => /^(0|[1-9]\d{0,2})$/.test(part) && Number(part) <= 255))
    return undefined;
  return parts.reduce((sum, part) => sum * 256 + Number(part), 0);
}

export function renderAddress(address: number): string {
  return [24, 16, 8, 0].map((shift) => (address >>> shift) & 255).join(".");
}

function maskOf(prefix: number): number {
  return prefix === 0 ? 0 : (0xffffffff << (32 - prefix)) >>> 0;
}

/** "172.17.0.1/16" as its address and the subnet that it is in; undefined when it is none. */
export function parseCidr(text: string): { readonly address: number; readonly subnet: Subnet } | undefined {
  const m = /^([0-9.]+)\/(\d{1,2})$/.exec(text);
  const address = parseAddress(m?.[1] ?? "");
  const prefix = Number(m?.[2] ?? 33);
  if (address === undefined || prefix > 32) return undefined;
  return { address, subnet: { base: (address & maskOf(prefix)) >>> 0, prefix } };
}

/** @throws InvalidParameter it is no IPv4 subnet */
export function parseSubnet(text: string): Subnet {
  const parsed = parseCidr(text);
  if (parsed === undefined) throw new EngineError("InvalidParameter", `invalid CIDR address: ${text}`);
  return parsed.subnet;
}

export function renderSubnet(subnet: Subnet): string {
  return `${renderAddress(subnet.base)}/${subnet.prefix}`;
}

export function broadcastOf(subnet: Subnet): number {
  return (subnet.base | ~maskOf(subnet.prefix)) >>> 0;
}

export function contains(subnet: Subnet, address: number): boolean {
  return (address & maskOf(subnet.prefix)) >>> 0 === subnet.base;
}

export function overlaps(a: Subnet, b: Subnet): boolean {
  return a.prefix < b.prefix ? contains(a, b.base) : contains(b, a.base);
}

/** The MAC that goes with an address: 02:42 (locally administered) and the four bytes. Unique where the address is. */
export function macOfAddress(address: number): string {
  const bytes = [24, 16, 8, 0].map((shift) => ((address >>> shift) & 255).toString(16).padStart(2, "0"));
  return ["02", "42", ...bytes].join(":");
}

/** Lower-case colon form of a unicast MAC of six bytes; undefined when it is none. Accepts what Go's ParseMAC does. */
export function parseMac(text: string): string | undefined {
  const plain = /^[0-9a-fA-F]{2}([:-])(?:[0-9a-fA-F]{2}\1){4}[0-9a-fA-F]{2}$/.test(text);
  const dotted = /^[0-9a-fA-F]{4}\.[0-9a-fA-F]{4}\.[0-9a-fA-F]{4}$/.test(text);
  if (!plain && !dotted) return undefined;
  const digits = text.toLowerCase().replaceAll(/[^0-9a-f]/g, "");
  if ((Number.parseInt(digits.slice(0, 2), 16) & 1) === 1 || /^0+$/.test(digits)) return undefined;
  return digits.match(/../g)?.join(":");
}
