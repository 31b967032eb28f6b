// The directives that concern networks. Names and meanings are dockerd's. Data only.

import { isIP } from "node:net";
import { messageOf } from "../../base/errors.ts";
import type { Directive } from "./directive.ts";
import { parseAddressPool, parseNetworkOption } from "./network-config.ts";

function complaintOf(parse: (text: string) => unknown): (text: string) => string | undefined {
  return (text) => {
    try {
      parse(text);
      return undefined;
    } catch (error) {
      return messageOf(error);
    }
  };
}

export const networkDirectives: readonly Directive[] = [
  { flag: { name: "bip", kind: "string", usage: "IPv4 address for the default bridge" }, key: "bip", type: "string" },
  {
    flag: { name: "bridge", short: "b", kind: "string", usage: 'Attach containers to a network bridge, or "none"' },
    key: "bridge",
    type: "string",
  },
  {
    flag: {
      name: "dns",
      kind: "strings",
      usage: "DNS server to use",
      complain: (value) => (isIP(value) === 0 ? `invalid string being converted to IP address: ${value}` : undefined),
    },
    key: "dns",
    type: "strings",
  },
  { flag: { name: "dns-opt", kind: "strings", usage: "DNS options to use" }, key: "dns-opts", type: "strings" },
  {
    flag: { name: "dns-search", kind: "strings", usage: "DNS search domains to use" },
    key: "dns-search",
    type: "strings",
  },
  {
    flag: { name: "ip-forward", kind: "bool", usage: "Enable IP forwarding in system configuration", default: "true" },
    key: "ip-forward",
    type: "bool",
  },
  {
    flag: { name: "mtu", kind: "int", usage: 'Set the MTU for the default "bridge" network', default: "1500" },
    key: "mtu",
    type: "int",
  },
  {
    flag: { name: "allow-direct-routing", kind: "bool", usage: "Allow remote access to container IP addresses" },
    key: "allow-direct-routing",
    type: "bool",
  },
  {
    flag: { name: "bip6", kind: "string", usage: "IPv6 address for the default bridge" },
    key: "bip6",
    type: "string",
  },
  {
    flag: {
      name: "default-address-pool",
      kind: "strings",
      valueName: "pool-options",
      usage: "Default address pools for networks (base=10.10.0.0/16,size=24)",
      complain: complaintOf(parseAddressPool),
    },
    key: "default-address-pools",
    type: "pools",
  },
  {
    flag: {
      name: "default-gateway",
      kind: "string",
      usage: "Default gateway IPv4 address for the default bridge network",
      valueName: "ip",
    },
    key: "default-gateway",
    type: "string",
  },
  {
    flag: {
      name: "default-gateway-v6",
      kind: "string",
      usage: "Default gateway IPv6 address for the default bridge network",
      valueName: "ip",
    },
    key: "default-gateway-v6",
    type: "string",
  },
  {
    flag: {
      name: "default-network-opt",
      kind: "strings",
      valueName: "mapmap",
      usage: "Default network options (driver=key=value)",
      complain: complaintOf(parseNetworkOption),
    },
    key: "default-network-opts",
    type: "maps",
  },
  {
    flag: { name: "fixed-cidr", kind: "string", usage: "IPv4 subnet for the default bridge network" },
    key: "fixed-cidr",
    type: "string",
  },
  {
    flag: { name: "fixed-cidr-v6", kind: "string", usage: "IPv6 subnet for the default bridge network" },
    key: "fixed-cidr-v6",
    type: "string",
  },
  {
    flag: {
      name: "host-gateway-ip",
      kind: "strings",
      usage:
        "IP addresses that the special 'host-gateway' string in --add-host resolves to (default: the default bridge's)",
    },
    key: "host-gateway-ips",
    type: "strings",
  },
  {
    flag: {
      name: "icc",
      kind: "bool",
      usage: "Enable inter-container communication for the default bridge network",
      default: "true",
    },
    key: "icc",
    type: "bool",
  },
  {
    flag: {
      name: "ip",
      kind: "string",
      usage: "Host IP for port publishing from the default bridge network",
      valueName: "ip",
      default: "0.0.0.0",
    },
    key: "ip",
    type: "string",
  },
  {
    flag: {
      name: "ip-forward-no-drop",
      kind: "bool",
      usage: "Accepted for dockerd's sake: the engine never changes the policy of the host's FORWARD chain",
    },
    key: "ip-forward-no-drop",
    type: "bool",
  },
  {
    flag: {
      name: "ip-masq",
      kind: "bool",
      usage: "Enable IP masquerading for the default bridge network",
      default: "true",
    },
    key: "ip-masq",
    type: "bool",
  },
  {
    flag: {
      name: "ip6tables",
      kind: "bool",
      usage: "Write nft rules for IPv6; the same as --iptables",
      default: "true",
    },
    key: "ip6tables",
    type: "bool",
  },
  {
    flag: { name: "iptables", kind: "bool", usage: "Write nft rules", default: "true" },
    key: "iptables",
    type: "bool",
  },
  {
    flag: { name: "ipv6", kind: "bool", usage: "Enable IPv6 networking for the default bridge network" },
    key: "ipv6",
    type: "bool",
  },
  {
    flag: {
      name: "userland-proxy",
      kind: "bool",
      usage: "Accepted for dockerd's sake: loopback traffic to published ports is always relayed",
      default: "true",
    },
    key: "userland-proxy",
    type: "bool",
  },
];
