// What is wrong with the network part of a container's configuration, before any effect. Pure; texts are dockerd's where
// it has one. Values that end up in generated files must make exactly one word there (no line can be smuggled in).

import { BlockList, isIP } from "node:net";
import type { ContainerConfig, EndpointSettings, HostConfig, NetworkingConfig } from "../../spec/docker/container.ts";
import { complainAboutEndpointOptions } from "./drivers/index.ts";
import { isHostWord, parseExtraHost } from "./hosts-file.ts";
import type { NetworkRecord } from "./record.ts";
import { parseMac } from "./mac.ts";
import { complainAboutPorts } from "./ports/index.ts";

/** NetworkMode as the engine understands it; "" and "default" are the default bridge. */
export type NetworkMode =
  | { readonly kind: "container"; readonly target: string }
  | { readonly kind: "network"; readonly name: string };

export function parseNetworkMode(text: string | undefined): NetworkMode {
  if (text?.startsWith("container:") === true) return { kind: "container", target: text.slice("container:".length) };
  return { kind: "network", name: text === undefined || text === "" || text === "default" ? "bridge" : text };
}

function isFilled(list: readonly unknown[] | null | undefined): boolean {
  return (list ?? []).length > 0;
}

/** Kernel limit of a host name and of a domain name (uname(2)). */
const maxNameBytes = 64;

function complainAboutName(what: string, text: string | undefined): readonly string[] {
  if (text === undefined || text === "") return [];
  if (!isHostWord(text)) return [`invalid ${what}: ${JSON.stringify(text)}`];
  if (Buffer.byteLength(text) > maxNameBytes)
    return [`invalid ${what}: ${JSON.stringify(text)}: longer than ${maxNameBytes} bytes`];
  return [];
}

function complainAboutConflicts(config: ContainerConfig, hostConfig: HostConfig): readonly string[] {
  const mode = parseNetworkMode(hostConfig.NetworkMode);
  if (mode.kind === "network") {
    return mode.name === "host" && isFilled(hostConfig.Links)
      ? ["conflicting options: host type networking can't be used with links. This would result in undefined behavior"]
      : [];
  }
  const taken = (is: boolean, text: string): readonly string[] => (is ? [`conflicting options: ${text}`] : []);
  const hasPorts = Object.keys(hostConfig.PortBindings ?? {}).length > 0 || hostConfig.PublishAllPorts === true;
  return [
    ...(mode.target === "" ? ["invalid network mode: invalid container format container:<name|id>"] : []),
    ...taken((config.Hostname ?? "") !== "", "hostname and the network mode"),
    ...taken(
      isFilled(hostConfig.Links),
      "container type network can't be used with links. This would result in undefined behavior",
    ),
    ...taken(isFilled(hostConfig.Dns), "dns and the network mode"),
    ...taken(isFilled(hostConfig.ExtraHosts), "custom host-to-IP mapping and the network mode"),
    ...taken((config.MacAddress ?? "") !== "", "mac-address and the network mode"),
    ...taken(hasPorts, "port publishing and the container type network mode"),
    ...taken(Object.keys(config.ExposedPorts ?? {}).length > 0, "port exposing and the container type network mode"),
  ];
}

/** Where an address that was asked for lies, or why it cannot be had; texts are dockerd's. */
function complainAboutAddress(
  network: NetworkRecord | undefined,
  builtIn: boolean,
  address: string,
  family: 4 | 6,
): readonly string[] {
  if (address === "") return [];
  const asked = network?.subnetsAsked === true;
  const wrong: string[] = [];
  if (isIP(address) !== family) wrong.push(`invalid IPv${family} address: ${address}`);
  if (builtIn) wrong.push("user specified IP address is supported on user defined networks only");
  if (network === undefined && !builtIn) return wrong;
  const subnets = (network?.subnets ?? []).filter(({ subnet }) => isIP(subnet.split("/")[0] ?? "") === family);
  if (!asked || subnets.length === 0)
    wrong.push("user specified IP address is supported only when connecting to networks with user configured subnets");
  else if (!subnets.some(({ subnet }) => isWithin(address, subnet)))
    wrong.push(`no configured subnet or ip-range contain the IP address ${address}`);
  return wrong;
}

function isWithin(address: string, subnet: string): boolean {
  const [base = "", prefix = "0"] = subnet.split("/");
  const family = isIP(address);
  if (family === 0 || family !== isIP(base)) return false;
  const list = new BlockList();
  const type = family === 4 ? "ipv4" : "ipv6";
  list.addSubnet(base, Number(prefix), type);
  return list.check(address, type);
}

/** One text says it all; several are a list. */
function joined(wrong: readonly string[]): string {
  return wrong.length === 1 ? (wrong[0] ?? "") : wrong.map((text) => `* ${text}`).join("\n");
}

/**
 * What is wrong with the settings for one network, as `network connect` is told.
 *
 * @param network undefined where there is no such network: then its subnets cannot be asked
 */
export function complainAboutEndpoint(
  network: NetworkRecord | undefined,
  name: string,
  settings: EndpointSettings,
): readonly string[] {
  const builtIn = ["bridge", "default", "host", "none"].includes(network?.name ?? name);
  const asked = settings.IPAMConfig;
  const wrong = [
    ...(asked?.LinkLocalIPs ?? [])
      .filter((address) => isIP(address) === 0)
      .map((address) => `invalid link-local IP address: ${address}`),
    ...complainAboutAddress(network, builtIn, asked?.IPv4Address ?? "", 4),
    ...complainAboutAddress(network, builtIn, asked?.IPv6Address ?? "", 6),
    ...(builtIn && isFilled(settings.Aliases)
      ? ["network-scoped alias is supported only for containers in user defined networks"]
      : []),
    ...(settings.Aliases ?? [])
      .filter((alias) => !isHostWord(alias))
      .map((alias) => `invalid network-scoped alias: ${JSON.stringify(alias)}`),
    ...complainAboutEndpointOptions(settings.DriverOpts ?? {}),
  ];
  const mac = settings.MacAddress ?? "";
  return [
    ...(mac !== "" && parseMac(mac) === undefined ? [`invalid MAC address ${mac}`] : []),
    ...(wrong.length > 0 ? [`invalid endpoint settings:\n${joined(wrong)}`] : []),
    ...(settings.Links ?? []).flatMap((link) =>
      /^[^:]+(:[^:]+)?$/.test(link) ? [] : [`bad format for links: ${link}`],
    ),
  ];
}

/** @param known the network of a name; @returns every complaint, empty when the request is good */
export function validateNetwork(
  config: ContainerConfig,
  hostConfig: HostConfig,
  networkingConfig: NetworkingConfig,
  known: (name: string) => NetworkRecord | undefined,
): readonly string[] {
  const mode = parseNetworkMode(hostConfig.NetworkMode);
  const mac = config.MacAddress ?? "";
  const modeName = mode.kind === "network" ? mode.name : hostConfig.NetworkMode;
  return [
    ...complainAboutConflicts(config, hostConfig),
    ...complainAboutName("hostname", config.Hostname),
    ...complainAboutName("domainname", config.Domainname),
    ...(mac !== "" && parseMac(mac) === undefined
      ? [`invalid config for network ${modeName}: invalid MAC address ${mac}`]
      : []),
    ...(hostConfig.Dns ?? [])
      .filter((address) => isIP(address) === 0)
      .map((address) => `bad nameserver address ${JSON.stringify(address)}: unable to parse IP`),
    ...(hostConfig.DnsSearch ?? [])
      .filter((domain) => domain !== "." && !/^[A-Za-z0-9_][A-Za-z0-9_.-]{0,254}$/.test(domain))
      .map((domain) => `${JSON.stringify(domain)} is not a valid domain`),
    ...(hostConfig.DnsOptions ?? [])
      .filter((option) => !/^[\x21\x22\x24-\x3a\x3c-\x7e]+$/.test(option))
      .map((option) => `${JSON.stringify(option)} is not a valid DNS option`),
    ...(hostConfig.ExtraHosts ?? []).flatMap((text) => {
      const parsed = parseExtraHost(text);
      return "complaint" in parsed ? [parsed.complaint] : [];
    }),
    ...complainAboutPorts(config, hostConfig),
    ...Object.entries(networkingConfig.EndpointsConfig ?? {}).flatMap(([name, settings]) =>
      complainAboutEndpoint(known(name), name, settings ?? {}).map(
        (text) => `invalid config for network ${name}: ${text}`,
      ),
    ),
  ];
}
