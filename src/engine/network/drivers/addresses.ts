// An endpoint's addresses as its interface gets them. Pure.

import type { Endpoint } from "../record.ts";

/** With prefix, IPv4 first. */
export function addressesOf({ ip, prefix, ip6, prefix6 }: Endpoint): readonly string[] {
  return [...(ip === "" ? [] : [`${ip}/${prefix}`]), ...(ip6 === "" ? [] : [`${ip6}/${prefix6}`])];
}
