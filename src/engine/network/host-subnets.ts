// Subnets that the host uses already, so that the engine chooses none of them: its routes and its addresses, of both families.
// Source: proc_net(5): /proc/net/route (little-endian hex), /proc/net/ipv6_route; RTF_REJECT of linux/route.h.

import { readFileSync } from "node:fs";
import { networkInterfaces } from "node:os";
import { errnoOf } from "../../base/errors.ts";
import { parseSubnet, renderSubnet, type Subnet } from "./ipam/index.ts";

/** Routes that refuse are no use of a range. */
const rejects = 0x200;

/**
 * Out of /proc/net/route; default and unreachable routes do not count.
 *
 * @param except interface whose routes do not count; "" for none
 */
export function parseRoutes(text: string, except: string): readonly Subnet[] {
  const little = (hex: string): number => Buffer.from(hex, "hex").readUInt32LE();
  return text
    .split("\n")
    .slice(1)
    .flatMap((line) => {
      const [name = "", destination = "", , flags = "", , , , mask = ""] = line.split("\t");
      if (destination === "" || name === except || (Number.parseInt(flags, 16) & rejects) !== 0) return [];
      const bits = little(mask);
      const prefix = bits === 0 ? 0 : 32 - Math.log2(2 ** 32 - bits);
      return prefix === 0 ? [] : [{ family: 4, base: BigInt(little(destination)), prefix }];
    });
}

/** Out of /proc/net/ipv6_route; default, unreachable, link-local and multicast routes do not count. */
export function parseRoutes6(text: string, except: string): readonly Subnet[] {
  return text.split("\n").flatMap((line) => {
    const [destination = "", length = "", , , , , , , flags = "", name = ""] = line.trim().split(/\s+/);
    const prefix = Number.parseInt(length, 16);
    if (destination.length !== 32 || prefix === 0 || name === except) return [];
    if ((Number.parseInt(flags, 16) & rejects) !== 0 || /^(fe[89ab]|ff)/.test(destination)) return [];
    return [{ family: 6, base: BigInt(`0x${destination}`), prefix }];
  });
}

function readText(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    // The kernel has no IPv6.
    if (errnoOf(error) === "ENOENT") return "";
    throw error;
  }
}

/**
 * Of the process's network namespace, now.
 *
 * @param except interface that does not count: the one that the subnet is for
 */
export function readHostSubnets(except = ""): readonly string[] {
  const addresses = Object.entries(networkInterfaces()).flatMap(([name, list = []]) =>
    name === except ? [] : list.flatMap(({ cidr }) => (cidr === null ? [] : [parseSubnet(cidr)])),
  );
  return [
    ...parseRoutes(readText("/proc/net/route"), except),
    ...parseRoutes6(readText("/proc/net/ipv6_route"), except),
    ...addresses.filter(({ family, base }) => family === 4 || base >> 118n !== 0x3fan),
  ].map(renderSubnet);
}
