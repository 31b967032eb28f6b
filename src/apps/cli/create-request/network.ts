// --network (repeatable, short or key=value form) with its companions --ip, --ip6, --network-alias, --link, --link-local-ip
// and --mac-address, as the API's NetworkMode and endpoint settings. Source: the docker CLI 28.

import type { EndpointSettings } from "../../../spec/docker/container.ts";
import { parseCsvRecord } from "./csv.ts";
import { ValueError } from "./values.ts";

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
  if (!/\w+=\w+/.test(text)) return { ...bare, target: text };
  let parsed: Attachment = { ...bare, target: "" };
  for (const field of parseCsvRecord(text)) {
    const at = field.indexOf("=");
    if (at <= 0) throw new ValueError(`invalid field ${field}`);
    parsed = withField(
      parsed,
      field.slice(0, at).trim().toLowerCase(),
      field
        .slice(at + 1)
        .trim()
        .toLowerCase(),
    );
  }
  if (parsed.target === "") throw new ValueError("network name/id is not specified");
  return parsed;
}

function withField(attachment: Attachment, key: string, value: string): Attachment {
  const { aliases, linkLocal, driverOpts } = attachment;
  switch (key) {
    case "name":
      return { ...attachment, target: value };
    case "alias":
      return { ...attachment, aliases: [...aliases, value] };
    case "ip":
      return { ...attachment, ipv4: value };
    case "ip6":
      return { ...attachment, ipv6: value };
    case "link-local-ip":
      return { ...attachment, linkLocal: [...linkLocal, value] };
    case "mac-address":
      return { ...attachment, mac: value };
    case "driver-opt": {
      const split = value.indexOf("=");
      if (split <= 0) throw new ValueError("invalid key value pair format in driver options");
      return { ...attachment, driverOpts: { ...driverOpts, [value.slice(0, split)]: value.slice(split + 1) } };
    }
    case "gw-priority":
      return { ...attachment, gwPriority: parsePriority(value) };
    default:
      throw new ValueError(`invalid field key ${key}`);
  }
}

function parsePriority(text: string): number {
  if (!/^[+-]?\d+$/.test(text)) throw new ValueError(`invalid gw-priority (${text}): invalid syntax`);
  if (!Number.isSafeInteger(Number(text))) throw new ValueError(`invalid gw-priority (${text}): value out of range`);
  return Number(text);
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

/** @throws Error what only networks of users have, or a bad MAC */
/** The fields of an endpoint that the engine fills in, as docker sends them. */
export const unmade = {
  NetworkID: "",
  EndpointID: "",
  Gateway: "",
  IPAddress: "",
  IPPrefixLen: 0,
  IPv6Gateway: "",
  GlobalIPv6Address: "",
  GlobalIPv6PrefixLen: 0,
  DNSNames: null,
} as const satisfies EndpointSettings;

function endpointOf(attachment: Attachment): EndpointSettings {
  const { target, ipv4, ipv6, linkLocal, aliases, links, driverOpts, mac, gwPriority } = attachment;
  if (target.trim() === "") throw new ValueError("no name set for network");
  if (aliases.length > 0 && !isUserDefined(target))
    throw new ValueError("network-scoped aliases are only supported for user-defined networks");
  if (mac !== "") parseMac(mac);
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
    MacAddress: mac,
    DriverOpts: Object.keys(driverOpts).length === 0 ? null : driverOpts,
    GwPriority: gwPriority,
    ...unmade,
  };
}

/** Whether nothing was said about the endpoint but which network it is on. */
function isPlain(settings: EndpointSettings): boolean {
  return Object.values(settings).every((value) => value === null || value === "" || value === 0);
}

function conflict(flag: string, option: string): ValueError {
  return new ValueError(`conflicting options: cannot specify both --${flag} and per-network ${option}`);
}

function withCompanions(first: Attachment, more: NetworkCompanions): Attachment {
  if (more.aliases.length > 0 && first.aliases.length > 0) throw conflict("network-alias", "alias");
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
  const endpoints: Record<string, EndpointSettings> = {};
  for (const [index, attachment] of attachments.entries()) {
    const settings = endpointOf(index === 0 ? withCompanions(attachment, companions) : attachment);
    if (Object.hasOwn(endpoints, attachment.target))
      throw new ValueError(`network ${JSON.stringify(attachment.target)} is specified multiple times`);
    endpoints[attachment.target] = settings;
  }
  const ofUsers = attachments.filter(({ target }) => isUserDefined(target)).length;
  if (ofUsers > 0 && ofUsers < attachments.length)
    throw new ValueError("conflicting options: cannot attach both user-defined and non-user-defined network-modes");
  const mode = attachments[0]?.target ?? "default";
  // One network that was named and of which nothing was said needs no endpoint: the mode says it.
  const isBare = texts.length === 1 && Object.values(endpoints).every(isPlain);
  return { mode, endpoints: isBare ? {} : endpoints };
}
