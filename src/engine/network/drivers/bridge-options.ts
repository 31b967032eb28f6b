// The options of a bridge network, read once: values with their defaults, and everything that is wrong with them.
// Source: dockerd 28.5's documentation of the bridge driver; com.gantry.* is the engine's own. Pure.

import type { GatewayMode } from "../firewall/index.ts";
import { isDeviceName, type Options, type Parsed, parseBoolean, parseIp, parseMtu } from "./options.ts";

export interface BridgeOptions {
  /** Name of the device that was asked for; "" for none. */
  readonly name: string;
  /** Bytes; 0 for the daemon's default. */
  readonly mtu: number;
  readonly icc: boolean;
  readonly masquerade: boolean;
  /** The bridge gets no IPv4 address: somebody else on it is the gateway. */
  readonly inhibitIpv4: boolean;
  /** Where ports are published that name no address of the host; "" for the daemon's default. */
  readonly hostBinding: string;
  /** Source addresses of what leaves; "" for that of the outgoing interface. */
  readonly hostIp4: string;
  readonly hostIp6: string;
  readonly mode4: GatewayMode;
  readonly mode6: GatewayMode;
  /** Interfaces in containers are called so, with a number: "eth". */
  readonly interfacePrefix: string;
  readonly trustedInterfaces: readonly string[];
  readonly antiSpoofing: boolean;
}

export const bridgeKeys = {
  name: "com.docker.network.bridge.name",
  mtu: "com.docker.network.driver.mtu",
  icc: "com.docker.network.bridge.enable_icc",
  masquerade: "com.docker.network.bridge.enable_ip_masquerade",
  inhibitIpv4: "com.docker.network.bridge.inhibit_ipv4",
  defaultBridge: "com.docker.network.bridge.default_bridge",
  hostBinding: "com.docker.network.bridge.host_binding_ipv4",
  hostIp4: "com.docker.network.host_ipv4",
  hostIp6: "com.docker.network.host_ipv6",
  mode4: "com.docker.network.bridge.gateway_mode_ipv4",
  mode6: "com.docker.network.bridge.gateway_mode_ipv6",
  interfacePrefix: "com.docker.network.container_iface_prefix",
  trustedInterfaces: "com.docker.network.bridge.trusted_host_interfaces",
  antiSpoofing: "com.gantry.network.bridge.anti_spoofing",
} as const;

const modes: readonly GatewayMode[] = ["nat", "nat-unprotected", "routed", "isolated"];

function parseMode(key: string, text: string): Parsed<GatewayMode> {
  const value = modes.find((mode) => mode === text);
  return value === undefined
    ? { complaint: `failed to parse ${key} value: ${text} (unknown gateway mode ${text})` }
    : { value };
}

function parseBridgeName(_key: string, text: string): Parsed<string> {
  if (text === "" || isDeviceName(text)) return { value: text };
  return {
    complaint: `invalid bridge name ${JSON.stringify(text)}: up to 15 letters, digits and any of _.+=~^-`,
  };
}

/** Room for a number of two digits is left. */
function parsePrefix(key: string, text: string): Parsed<string> {
  if (text === "" || (isDeviceName(text) && text.length <= 13)) return { value: text === "" ? "eth" : text };
  return { complaint: `invalid ${key} ${JSON.stringify(text)}: up to 13 letters, digits and any of _.+=~^-` };
}

function parseTrusted(key: string, text: string): Parsed<readonly string[]> {
  const names = text.split(":").filter(Boolean);
  const bad = names.find((name) => !isDeviceName(name));
  return bad === undefined
    ? { value: names }
    : { complaint: `invalid interface name ${JSON.stringify(bad)} in ${key}` };
}

/** Values of a record's options; what is wrong has its default, and a sentence in `complaints`. */
export function parseBridgeOptions(options: Options): {
  readonly values: BridgeOptions;
  readonly complaints: readonly string[];
} {
  const complaints: string[] = [];
  function read<T>(key: string, parse: (key: string, text: string) => Parsed<T>, otherwise: T): T {
    const text = options[key];
    if (text === undefined) return otherwise;
    const parsed = parse(key, text);
    if ("value" in parsed) return parsed.value;
    complaints.push(parsed.complaint);
    return otherwise;
  }
  const values: BridgeOptions = {
    name: read(bridgeKeys.name, parseBridgeName, ""),
    mtu: read(bridgeKeys.mtu, parseMtu, 0),
    icc: read(bridgeKeys.icc, parseBoolean, true),
    masquerade: read(bridgeKeys.masquerade, parseBoolean, true),
    inhibitIpv4: read(bridgeKeys.inhibitIpv4, parseBoolean, false),
    hostBinding: read(bridgeKeys.hostBinding, (key, text) => parseIp(key, text, 0), ""),
    hostIp4: read(bridgeKeys.hostIp4, (key, text) => parseIp(key, text, 4), ""),
    hostIp6: read(bridgeKeys.hostIp6, (key, text) => parseIp(key, text, 6), ""),
    mode4: read(bridgeKeys.mode4, parseMode, "nat"),
    mode6: read(bridgeKeys.mode6, parseMode, "nat"),
    interfacePrefix: read(bridgeKeys.interfacePrefix, parsePrefix, "eth"),
    trustedInterfaces: read(bridgeKeys.trustedInterfaces, parseTrusted, []),
    antiSpoofing: read(bridgeKeys.antiSpoofing, parseBoolean, true),
  };
  read(bridgeKeys.defaultBridge, parseBoolean, false);
  return { values, complaints };
}
