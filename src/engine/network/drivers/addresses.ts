// An endpoint's addresses as its interface gets them. Pure.

import type { Endpoint } from "../record.ts";

/** With prefix, IPv4 first, then what else was asked for; those have dockerd's prefixes of link-local ranges. */
export function addressesOf({ ip, prefix, ip6, prefix6, linkLocal }: Endpoint): readonly string[] {
  return [
    ...(ip === "" ? [] : [`${ip}/${prefix}`]),
    ...(ip6 === "" ? [] : [`${ip6}/${prefix6}`]),
    ...linkLocal.map((address) => `${address}/${address.includes(":") ? 64 : 16}`),
  ];
}
