// Which addresses belong to this host or to a local network: a stranger's redirect must not lead there (cloud metadata, services
// on loopback). Source: IANA special-purpose address registries; RFC 6890.

import { lookup as resolveName } from "node:dns";
import { BlockList, isIP, type LookupFunction } from "node:net";
import { refused } from "./errors.ts";

const local = new BlockList();
for (const [network, prefix] of [
  ["0.0.0.0", 8],
  ["10.0.0.0", 8],
  ["100.64.0.0", 10],
  ["127.0.0.0", 8],
  ["169.254.0.0", 16],
  ["172.16.0.0", 12],
  ["192.0.0.0", 24],
  ["192.168.0.0", 16],
  ["198.18.0.0", 15],
  ["224.0.0.0", 4],
  ["240.0.0.0", 4],
] as const)
  local.addSubnet(network, prefix, "ipv4");
for (const [network, prefix] of [
  ["::", 96],
  ["64:ff9b::", 96],
  ["64:ff9b:1::", 48],
  ["2002::", 16],
  ["fc00::", 7],
  ["fe80::", 10],
  ["fec0::", 10],
  ["ff00::", 8],
] as const)
  local.addSubnet(network, prefix, "ipv6");

const linkLocal = new BlockList();
linkLocal.addSubnet("169.254.0.0", 16, "ipv4");
linkLocal.addSubnet("fe80::", 10, "ipv6");
linkLocal.addAddress("fd00:ec2::254", "ipv6");

/** Loopback, link-local, private, multicast, and forms of IPv6 that hide an IPv4 address. Not an address: true. */
export function isLocalAddress(address: string): boolean {
  const family = isIP(address);
  if (family === 0) return true;
  const bare = address.split("%", 1)[0] ?? "";
  return local.check(bare, family === 4 ? "ipv4" : "ipv6");
}

/** The host of a URL without the brackets of an IPv6 address. */
export function bareHost(url: URL): string {
  return url.hostname.replace(/^\[(.*)\]$/, "$1");
}

/** True when the text alone shows that it is a local address; a name other than localhost is not looked up. */
export function isLocalHostText(host: string): boolean {
  if (isIP(host) !== 0) return isLocalAddress(host);
  return /(^|\.)localhost\.?$/i.test(host);
}

/** Where clouds keep their credentials: no registry leads there, not even a local one. */
export function isLinkLocalText(host: string): boolean {
  const family = isIP(host);
  return family !== 0 && linkLocal.check(host.split("%", 1)[0] ?? "", family === 6 ? "ipv6" : "ipv4");
}

/** The refusal of a way that leads from the public into a local network. */
export function localRefusal(host: string): Error {
  return refused(`refused to follow the registry to ${host}: a local address that is not the registry's`);
}

/** Resolves names as net.connect does, and gives it only addresses that are not local. */
export const publicLookup: LookupFunction = (hostname, options, callback) => {
  resolveName(hostname, { ...options, all: true }, (error, found) => {
    if (error !== null) return callback(error, []);
    const allowed = found.filter(({ address }) => !isLocalAddress(address));
    const [first] = allowed;
    if (first === undefined) return callback(localRefusal(hostname), []);
    if (options.all === true) callback(null, allowed);
    else callback(null, first.address, first.family);
  });
};
