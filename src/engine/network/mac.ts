// MAC addresses of containers' interfaces. Pure.

import { randomBytes } from "node:crypto";
import type { Address } from "./ipam/address.ts";

function renderMac(bytes: readonly number[]): string {
  return bytes.map((byte) => byte.toString(16).padStart(2, "0")).join(":");
}

/** The MAC that goes with an address: 02:42 (locally administered) and its last four bytes. Unique where the IPv4 address is. */
export function macOfAddress({ value }: Address): string {
  return renderMac([0x02, 0x42, ...[24n, 16n, 8n, 0n].map((shift) => Number((value >> shift) & 255n))]);
}

/** A locally administered unicast MAC by chance. */
export function randomMac(): string {
  return renderMac([0x02, 0x42, ...randomBytes(4)]);
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
