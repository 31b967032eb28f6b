// --network (repeatable, short or key=value form) with its companions --ip, --ip6, --network-alias, --link, --link-local-ip
// and --mac-address, as the API's NetworkMode and endpoint settings. Source: the docker CLI 28.

import type { EndpointSettings } from "../../../spec/docker/container.ts";
import { parseCsvRecord } from "./csv.ts";
import { parseIp, ValueError } from "./values.ts";

interface Attachment {
  readonly target: string;
  readonly aliases: readonly string[];
  readonly links: readonly string[];
  readonly driverOpts: Readonly<Record<string, string>>;
  readonly ipv4: string;
  readonly ipv6: string;
  readonly linkLocal: readonly string[];
  readonly mac: string;
  readonly gwPriority: number;
}

const bare: Omit<Attachment, "target"> = {
  aliases: [],
  links: [],
  driverOpts: {},
  ipv4: "",
  ipv6: "",
  linkLocal: [],
  mac: "",
  gwPriority: 0,
};

/** @throws Error the complaint about a --network value */
export function parseNetworkFlag(text: string): Attachment {
  if (!/^(?:name|alias|driver-opt|ip|ip6|mac-address|link-local-ip|gw-priority|[a-z-]+)=/i.test(text))
    return { ...bare, target: text };
  const parsed = { target: "", ...structuredClone(bare) } as {
    -readonly [K in keyof Attachment]: Attachment[K] extends readonly string[]
      ? string[]
      : Attachment[K] extends Readonly<Record<string, string>>
        ? Record<string, string>
        : Attachment[K];
  };
  for (const field of parseCsvRecord(text)) {
    const at = field.indexOf("=");
    if (at <= 0) throw new ValueError(`invalid field ${field}`);
    const key = field.slice(0, at).trim().toLowerCase();
    const value = field.slice(at + 1).trim();
    if (key === "name") parsed.target = value;
    else if (key === "alias") parsed.aliases.push(value);
    else if (key === "ip") parsed.ipv4 = parseIp(value);
    else if (key === "ip6") parsed.ipv6 = parseIp(value);
    else if (key === "link-local-ip") parsed.linkLocal.push(parseIp(value));
    else if (key === "mac-address") parsed.mac = parseMac(value);
    else if (key === "driver-opt") {
      const split = value.indexOf("=");
      if (split <= 0) throw new ValueError("invalid key value pair format in driver options");
      parsed.driverOpts[value.slice(0, split).toLowerCase()] = value.slice(split + 1);
    } else if (key === "gw-priority") {
      if (!/^-?\d+$/.test(value))
        throw new ValueError(`invalid gw-priority: strconv.ParseInt: parsing ${JSON.stringify(value)}: invalid syntax`);
      parsed.gwPriority = Number(value);
    } else throw new ValueError(`invalid field key ${key}`);
  }
  if (parsed.target === "") throw new ValueError("network name/id is not specified");
  return parsed;
}

/** @throws Error it is none */
export function parseMac(text: string): string {
  if (
    !/^(?:[0-9a-fA-F]{2}([:-]))(?:[0-9a-fA-F]{2}\1){4,6}[0-9a-fA-F]{2}$|^(?:[0-9a-fA-F]{4}\.){2}[0-9a-fA-F]{4}$/.test(
      text.trim(),
    )
  )
    throw new ValueError(`${text} is not a valid mac address`);
  return text.trim();
}

function isUserDefined(target: string): boolean {
  return !["default", "bridge", "host", "none"].includes(target) && !target.startsWith("container:");
}

/** Companions of the first --network. */
export interface NetworkCompanions {
  readonly aliases: readonly string[];
  readonly links: readonly string[];
  readonly linkLocal: readonly string[];
  readonly ipv4: string;
  readonly ipv6: string;
  readonly mac: string;
}

function endpointOf(attachment: Attachment): EndpointSettings {
  const { ipv4, ipv6, linkLocal, aliases, links, driverOpts } = attachment;
  const hasIpam = ipv4 !== "" || ipv6 !== "" || linkLocal.length > 0;
  return {
    IPAMConfig: hasIpam
      ? {
          ...(ipv4 === "" ? {} : { IPv4Address: ipv4 }),
          ...(ipv6 === "" ? {} : { IPv6Address: ipv6 }),
          ...(linkLocal.length === 0 ? {} : { LinkLocalIPs: linkLocal }),
        }
      : null,
    Links: links.length === 0 ? null : links,
    Aliases: aliases.length === 0 ? null : aliases,
    MacAddress: attachment.mac,
    DriverOpts: Object.keys(driverOpts).length === 0 ? null : driverOpts,
    GwPriority: attachment.gwPriority,
    NetworkID: "",
    EndpointID: "",
    Gateway: "",
    IPAddress: "",
    IPPrefixLen: 0,
    IPv6Gateway: "",
    GlobalIPv6Address: "",
    GlobalIPv6PrefixLen: 0,
    DNSNames: null,
  };
}

function conflict(flag: string, option: string): ValueError {
  return new ValueError(`conflicting options: cannot specify both --${flag} and per-network ${option}`);
}

function withCompanions(first: Attachment, more: NetworkCompanions): Attachment {
  if (more.aliases.length > 0 && !isUserDefined(first.target))
    throw new ValueError("network-scoped aliases are only supported for user-defined networks");
  if (more.aliases.length > 0 && first.aliases.length > 0) throw conflict("network-alias", "alias name");
  if (more.links.length > 0 && first.links.length > 0) throw conflict("link", "links");
  if (more.ipv4 !== "" && first.ipv4 !== "") throw conflict("ip", "IPv4 address");
  if (more.ipv6 !== "" && first.ipv6 !== "") throw conflict("ip6", "IPv6 address");
  if (more.mac !== "" && first.mac !== "") throw conflict("mac-address", "MAC address");
  if (more.linkLocal.length > 0 && first.linkLocal.length > 0)
    throw conflict("link-local-ip", "link-local IP addresses");
  return {
    ...first,
    aliases: [...first.aliases, ...more.aliases],
    links: isUserDefined(first.target) ? [...first.links, ...more.links] : first.links,
    linkLocal: [...first.linkLocal, ...more.linkLocal],
    ipv4: first.ipv4 || more.ipv4,
    ipv6: first.ipv6 || more.ipv6,
    mac: first.mac || more.mac,
  };
}

/**
 * The network mode and the endpoints.
 *
 * @throws Error options that exclude each other
 */
export function planNetworks(
  texts: readonly string[],
  companions: NetworkCompanions,
): { readonly mode: string; readonly endpoints: Readonly<Record<string, EndpointSettings>> } {
  const attachments = texts.length === 0 ? [{ ...bare, target: "default" }] : texts.map(parseNetworkFlag);
  const [first] = attachments;
  if (first === undefined) return { mode: "default", endpoints: {} };
  if (attachments.length > 1 && attachments.some(({ target }) => !isUserDefined(target)))
    throw new ValueError("conflicting options: cannot attach both user-defined and non-user-defined network-modes");
  const endpoints: Record<string, EndpointSettings> = {};
  for (const [index, attachment] of attachments.entries()) {
    const full = index === 0 ? withCompanions(attachment, companions) : attachment;
    if (Object.hasOwn(endpoints, full.target))
      throw new ValueError(`network ${JSON.stringify(full.target)} is specified multiple times`);
    const special = full.target === "host" || full.target === "none" || full.target.startsWith("container:");
    if (!special || full.mac !== "" || full.ipv4 !== "" || full.ipv6 !== "") endpoints[full.target] = endpointOf(full);
  }
  return { mode: first.target, endpoints };
}
