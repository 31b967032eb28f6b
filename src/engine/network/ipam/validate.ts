// What is wrong with the subnets that a client asks for, before anything is reserved: everything, in dockerd's words. Pure.

import type { IPAMConfig } from "../../../spec/docker/network.ts";
import {
  contains,
  isMapped,
  overlaps,
  parseAddress,
  parseCidr,
  parseSubnet,
  renderSubnet,
  type Subnet,
} from "./address.ts";

/** Loopback and multicast: the kernel would not carry them, or carry them elsewhere. */
const unusable = ["127.0.0.0/8", "224.0.0.0/4", "::1/128", "ff00::/8"];

function complainAboutFamily(subnet: Subnet, family: 4 | 6): string | undefined {
  return subnet.family === family ? undefined : `parent subnet is an IPv${subnet.family} block`;
}

function complainAboutRange(text: string, subnet: Subnet): readonly string[] {
  const parsed = parseCidr(text);
  if (parsed === undefined) return ["invalid CIDR block notation"];
  const range = parsed.subnet;
  const family = complainAboutFamily(subnet, range.family);
  if (family !== undefined) return [family];
  return [
    ...(range.prefix < subnet.prefix ? [`CIDR block is bigger than its parent subnet ${renderSubnet(subnet)}`] : []),
    ...(parsed.address.value === range.base ? [] : [`it should be ${renderSubnet(range)}`]),
    ...(overlaps(range, subnet) ? [] : [`parent subnet ${renderSubnet(subnet)} doesn't contain ip-range`]),
  ];
}

function complainAboutAddress(text: string, subnet: Subnet): readonly string[] {
  const address = parseAddress(text);
  if (address === undefined) return ["invalid address"];
  const family = complainAboutFamily(subnet, address.family);
  if (family !== undefined) return [family];
  return contains(subnet, address) ? [] : [`parent subnet ${renderSubnet(subnet)} doesn't contain this address`];
}

function complainAboutConfig(config: IPAMConfig, enableIpv6: boolean): readonly string[] {
  const { Subnet = "", IPRange = "", Gateway = "", AuxiliaryAddresses } = config;
  const parsed = parseCidr(Subnet);
  if (parsed === undefined) return [`invalid subnet ${Subnet}: invalid CIDR block notation`];
  const { subnet, address } = parsed;
  // A subnet of a family that is off is shown and has no other meaning.
  if (subnet.family === 6 && !enableIpv6) return [];
  if (isMapped(address)) return [`invalid subnet ${Subnet}: IPv4-mapped IPv6 addresses are not supported`];
  const special = unusable.find((text) => overlaps(parseSubnet(text), subnet));
  if (special !== undefined) return [`invalid subnet ${Subnet}: ${special} cannot be used by containers`];
  const about = (what: string, complaints: readonly string[]): readonly string[] =>
    complaints.map((complaint) => `invalid ${what}: ${complaint}`);
  return [
    ...about(`subnet ${Subnet}`, address.value === subnet.base ? [] : [`it should be ${renderSubnet(subnet)}`]),
    ...(IPRange === "" ? [] : about(`ip-range ${IPRange}`, complainAboutRange(IPRange, subnet))),
    ...(Gateway === "" ? [] : about(`gateway ${Gateway}`, complainAboutAddress(Gateway, subnet))),
    ...Object.entries(AuxiliaryAddresses ?? {}).flatMap(([name, text]) =>
      about(`auxiliary address ${name}`, complainAboutAddress(text, subnet)),
    ),
  ];
}

/** All complaints, a line each, as they stand below "invalid network config:"; empty when there are none. */
export function complainAboutSubnets(configs: readonly IPAMConfig[], enableIpv6: boolean): readonly string[] {
  return configs.flatMap((config) => complainAboutConfig(config, enableIpv6));
}

/** Complaints as dockerd puts them: one by itself, several with asterisks. */
export function joinComplaints(complaints: readonly string[]): string {
  const lines = complaints.length === 1 ? complaints : complaints.map((complaint) => `* ${complaint}`);
  return `invalid network config:\n${lines.join("\n")}`;
}
