// The directives that concern networks, read and checked: dockerd's names and, where it has them, its texts. Pure.

import { isIP } from "node:net";
import { EngineError } from "../../base/errors.ts";
import { type AddressPoolConfig, complainAboutPool, type NetworkConfig, parseCidr } from "../network/index.ts";
import { splitOnce } from "./directive.ts";

function invalid(message: string): EngineError {
  return new EngineError("InvalidParameter", message);
}

/**
 * The flag `--default-address-pool base=10.10.0.0/16,size=24`.
 *
 * @throws InvalidParameter as dockerd's PoolsOpt
 */
export function parseAddressPool(text: string): AddressPoolConfig {
  let base: string | undefined;
  let size: number | undefined;
  for (const field of text.split(",")) {
    const [key, value] = splitOnce(field, "=");
    if (value === undefined) throw invalid(`invalid field '${field}' must be a key=value pair`);
    switch (key.trim().toLowerCase()) {
      case "base":
        if (parseCidr(value) === undefined)
          throw invalid(`invalid base prefix ${JSON.stringify(value)}: invalid CIDR address`);
        base = value;
        break;
      case "size":
        if (!/^\d{1,3}$/.test(value))
          throw invalid(
            `invalid size value: ${JSON.stringify(text)} (must be integer): strconv.Atoi: parsing ${JSON.stringify(value)}: invalid syntax`,
          );
        size = Number(value);
        break;
      default:
        throw invalid(`unexpected key '${key}' in '${field}'`);
    }
  }
  if (base === undefined || size === undefined)
    throw invalid(`invalid default address pool ${JSON.stringify(text)}: base=… and size=… are needed`);
  return { base, size };
}

/**
 * The flag `--default-network-opt bridge=com.docker.network.driver.mtu=1400`.
 *
 * @throws InvalidParameter as dockerd's MapMapOpts
 */
export function parseNetworkOption(text: string): readonly [driver: string, key: string, value: string] {
  const [driver, rest = ""] = splitOnce(text, "=");
  const [key, value] = splitOnce(rest, "=");
  if (driver === "" || key === "" || value === undefined)
    throw invalid(`invalid value ${JSON.stringify(text)} for map option, should be root-key=key=value`);
  return [driver, key, value];
}

/** Later ones of the same key win. */
export function mergeNetworkOptions(
  options: readonly (readonly [driver: string, key: string, value: string])[],
): Readonly<Record<string, Readonly<Record<string, string>>>> {
  const merged: Record<string, Record<string, string>> = {};
  for (const [driver, key, value] of options) merged[driver] = { ...merged[driver], [key]: value };
  return merged;
}

/** What was said of each directive, in the file or on the command line. */
interface Directives {
  string(name: string): string;
  bool(name: string): boolean;
  strings(name: string): readonly string[];
  /** From the file as it is, config-file.ts having checked its type; from the command line through `parse`. */
  parsed<T>(name: string, parse: (texts: readonly string[]) => T): T;
}

/** Everything of NetworkConfig that is not in DaemonConfig by itself. */
export type NetworkDirectives = Omit<
  NetworkConfig,
  "bridge" | "bip" | "mtu" | "ipForward" | "dns" | "dnsSearch" | "dnsOptions"
>;

/** @throws InvalidParameter a flag that cannot be read */
export function readNetworkDirectives(said: Directives): NetworkDirectives {
  const optional = (name: string): string | undefined => {
    const text = said.string(name);
    return text === "" ? undefined : text;
  };
  const hostIp = said.string("ip");
  return {
    ipv6: said.bool("ipv6"),
    bip6: optional("bip6"),
    fixedCidr: optional("fixed-cidr"),
    fixedCidr6: optional("fixed-cidr-v6"),
    defaultGateway: optional("default-gateway"),
    defaultGateway6: optional("default-gateway-v6"),
    icc: said.bool("icc"),
    ipMasq: said.bool("ip-masq"),
    // dockerd's default: every address of both families.
    defaultHostIp: hostIp === "0.0.0.0" ? "" : hostIp,
    iptables: said.bool("iptables"),
    ip6tables: said.bool("ip6tables"),
    allowDirectRouting: said.bool("allow-direct-routing"),
    hostGatewayIps: said.strings("host-gateway-ip"),
    defaultAddressPools: said.parsed("default-address-pool", (texts) => texts.map(parseAddressPool)),
    defaultNetworkOptions: said.parsed("default-network-opt", (texts) =>
      mergeNetworkOptions(texts.map(parseNetworkOption)),
    ),
  };
}

function isFamily(text: string | undefined, family: 4 | 6): boolean {
  return text === undefined || isIP(text) === family;
}

function complainAboutCidr(flag: string, text: string | undefined, family: 4 | 6): string | undefined {
  if (text === undefined) return undefined;
  const parsed = parseCidr(text);
  if (parsed === undefined) return `invalid ${flag}: invalid CIDR address: ${text}`;
  return parsed.subnet.family === family ? undefined : `invalid ${flag}: ${text} is not an IPv${family} subnet`;
}

/** The first thing that is wrong with them; undefined when nothing is. */
export function complainAboutNetworks(
  config: NetworkDirectives & Pick<NetworkConfig, "bridge" | "bip" | "dns">,
): string | undefined {
  const { bridge, bip, bip6, defaultGateway, defaultGateway6, defaultHostIp, hostGatewayIps } = config;
  const notAddress = (text: string): string => `invalid string being converted to IP address: ${text}`;
  const families = hostGatewayIps.map((text) => isIP(text));
  const badPool = config.defaultAddressPools.map(complainAboutPool).find((complaint) => complaint !== undefined);
  const both = (flag: string): string =>
    `You specified -b & --${flag}, mutually exclusive options. Please specify only one`;
  const checks: readonly (string | undefined | false)[] = [
    bridge !== "" && bip !== undefined && both("bip"),
    bridge !== "" && bip6 !== undefined && both("bip6"),
    complainAboutCidr("bip6", bip6, 6),
    complainAboutCidr("fixed-cidr", config.fixedCidr, 4),
    complainAboutCidr("fixed-cidr-v6", config.fixedCidr6, 6),
    !isFamily(defaultGateway, 4) && notAddress(defaultGateway ?? ""),
    !isFamily(defaultGateway6, 6) && notAddress(defaultGateway6 ?? ""),
    isIP(defaultHostIp) === 0 && defaultHostIp !== "" && notAddress(defaultHostIp),
    families.includes(0) && notAddress(hostGatewayIps[families.indexOf(0)] ?? ""),
    ...([4, 6] as const).map(
      (family) =>
        families.filter((other) => other === family).length > 1 &&
        `only one IPv${family} host gateway IP address can be specified`,
    ),
    badPool,
    config.iptables !== config.ip6tables &&
      "iptables and ip6tables must be the same: the engine has one nft table for both families",
  ];
  return checks.find((check): check is string => typeof check === "string");
}
