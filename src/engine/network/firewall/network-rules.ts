// What a network adds to the inet table: chains of its own, and elements of the verdict maps that lead to them. Pure.

import { isIP } from "node:net";
import { EngineError } from "../../../base/errors.ts";
import { addressText, interfaceText } from "./elements.ts";
import type { FirewallNetwork, GatewayMode } from "./index.ts";
import type { Chain, Rule } from "./tables.ts";

/** Of the inet table. */
export interface NetworkRules {
  readonly chains: readonly Chain[];
  /** Elements by set, as nft reads them; keyed by the bridge's name. */
  readonly elements: readonly { readonly set: string; readonly text: string }[];
}

/** A network's name inside of a comment: whatever it is, it cannot end the comment, and fits (128 bytes). */
function label(name: string): string {
  return name.replaceAll(/[^A-Za-z0-9_.:/ -]/g, "_").slice(0, 48);
}

/** "172.18.0.0/16" @throws InvalidParameter it is no subnet */
function subnetText(subnet: string): string {
  const [address = "", prefix = "", ...rest] = subnet.split("/");
  const longest = isIP(address) === 4 ? 32 : 128;
  if (rest.length > 0 || isIP(address) === 0 || !/^\d{1,3}$/.test(prefix) || Number(prefix) > longest)
    throw new EngineError("InvalidParameter", `subnet not fit for a firewall rule: ${JSON.stringify(subnet)}`);
  return `${addressText(address)}/${Number(prefix)}`;
}

/** Of one family: the words that nft has for it, and what the network says about it. */
interface Family {
  readonly version: 4 | 6;
  readonly proto: "ipv4" | "ipv6";
  readonly ip: "ip" | "ip6";
  readonly mode: GatewayMode;
  readonly subnets: readonly string[];
  readonly gateways: readonly string[];
  readonly hostIp: string;
  readonly ping: string;
}

function familiesOf(network: FirewallNetwork): readonly [Family, Family] {
  const of = (version: 4 | 6) => (text: string) => isIP(text.split("/")[0] ?? "") === version;
  const subnets = network.subnets.map(subnetText);
  const gateways = network.gateways.map(addressText);
  const hostIp = (address: string): string => (address === "" ? "" : addressText(address));
  return [
    {
      version: 4,
      proto: "ipv4",
      ip: "ip",
      mode: network.mode4,
      subnets: subnets.filter(of(4)),
      gateways: gateways.filter(of(4)),
      hostIp: hostIp(network.hostIp4),
      ping: "icmp type echo-request",
    },
    {
      version: 6,
      proto: "ipv6",
      ip: "ip6",
      mode: network.mode6,
      subnets: subnets.filter(of(6)),
      gateways: gateways.filter(of(6)),
      hostIp: hostIp(network.hostIp6),
      ping: "icmpv6 type echo-request",
    },
  ];
}

function oneOf(values: readonly string[]): string {
  return values.length === 1 ? (values[0] ?? "") : `{ ${values.join(", ")} }`;
}

type Say = (text: string, comment: string) => Rule;

function into(network: FirewallNetwork, bridge: string, families: readonly Family[], say: Say): readonly Rule[] {
  const between = network.icc
    ? [say(`iifname ${bridge} accept`, "between its members")]
    : [
        say(`iifname ${bridge} ct status dnat accept`, "icc=false: published ports between its members"),
        say(`iifname ${bridge} drop`, "icc=false: nothing else between its members"),
      ];
  if (network.internal) return [...between, say("drop", "internal: nothing enters")];
  const open = ({ ip, version }: Family): string => `${ip} daddr . meta l4proto . th dport @open${version}`;
  const trusted = oneOf(network.trustedInterfaces.map(interfaceText));
  return [
    ...between,
    say("ct status dnat accept", "published ports"),
    ...families.flatMap((family): readonly Rule[] => {
      if (family.subnets.length === 0) return [];
      switch (family.mode) {
        case "nat-unprotected":
          return [
            say(`meta nfproto ${family.proto} iifname != @bridges accept`, "nat-unprotected: all ports from outside"),
          ];
        case "routed":
          return [
            say(`${open(family)} accept`, "routed: published ports at the container's address"),
            say(`${family.ping} accept`, "routed: ping"),
          ];
        case "nat":
          if (network.directRouting === true)
            return [
              say(
                `iifname != @bridges ${open(family)} accept`,
                "direct routing: published ports at the container's address",
              ),
            ];
          return network.trustedInterfaces.length === 0
            ? []
            : [say(`iifname ${trusted} ${open(family)} accept`, "trusted: published ports at the container's address")];
        case "isolated":
          return [];
      }
    }),
    say("drop", "nothing new from outside"),
  ];
}

function outOf(network: FirewallNetwork, bridge: string, families: readonly Family[], say: Say): readonly Rule[] {
  if (network.internal) return [say(`oifname != ${bridge} drop`, "internal: nothing leaves")];
  return families
    .filter(({ subnets, mode }) => subnets.length === 0 || mode === "isolated")
    .map(({ proto }) => say(`meta nfproto ${proto} oifname != ${bridge} drop`, `no ${proto} out of it`));
}

function leave(network: FirewallNetwork, families: readonly Family[], say: Say): readonly Rule[] {
  if (network.internal || !network.masquerade) return [];
  return families
    .filter(({ subnets, mode }) => subnets.length > 0 && (mode === "nat" || mode === "nat-unprotected"))
    .map(({ ip, subnets, hostIp }) =>
      say(
        `${ip} saddr ${oneOf(subnets)} ${hostIp === "" ? "masquerade" : `snat ${ip} to ${hostIp}`}`,
        "out by the host's address",
      ),
    );
}

/** Towards the host: the gateway only, and no name server there, which could ask the outside on their behalf. */
function toHost(network: FirewallNetwork, families: readonly Family[], say: Say): readonly Rule[] {
  if (!network.internal) return [];
  return [
    say("meta l4proto { tcp, udp } th dport { 53, 853 } drop", "internal: no name server that asks the outside"),
    ...families
      .filter(({ gateways }) => gateways.length > 0)
      .map(({ ip, gateways }) => say(`${ip} daddr ${oneOf(gateways)} accept`, "internal: the host at the gateway")),
    say("icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept", "internal: neighbour discovery"),
    say("drop", "internal: nothing else of the host"),
  ];
}

/** Reached by where the source is routed to. */
function sources(bridge: string, families: readonly Family[], say: Say): readonly Rule[] {
  return families
    .filter(({ subnets }) => subnets.length > 0)
    .map(({ ip, subnets }) =>
      say(`iifname != ${bridge} ${ip} saddr ${oneOf(subnets)} drop`, "its addresses from elsewhere: forged"),
    );
}

const maps = ["sources", "into", "out_of", "leave", "to_host"] as const;

/** Names of the chains that a network can have, by the verdict map that leads there. */
function chainNames(network: FirewallNetwork): Readonly<Record<(typeof maps)[number], string>> {
  const short = network.id.slice(0, 12);
  if (!/^[0-9a-f]{12}$/.test(short))
    throw new EngineError("InvalidParameter", `network id not fit for a firewall rule: ${JSON.stringify(network.id)}`);
  return {
    sources: `sources_${short}`,
    into: `into_${short}`,
    out_of: `out_of_${short}`,
    leave: `leave_${short}`,
    to_host: `to_host_${short}`,
  };
}

/** @throws InvalidParameter a name, address or subnet that is none */
export function networkRules(network: FirewallNetwork): NetworkRules {
  const bridge = interfaceText(network.interface);
  const families = familiesOf(network);
  const name = label(network.name);
  const say: Say = (text, comment) => ({ text, comment: `${name}: ${comment}` });
  const names = chainNames(network);
  const rules = {
    sources: sources(bridge, families, say),
    into: into(network, bridge, families, say),
    out_of: outOf(network, bridge, families, say),
    leave: leave(network, families, say),
    to_host: toHost(network, families, say),
  };
  const used = maps.filter((map) => rules[map].length > 0);
  return {
    chains: used.map((map) => ({ name: names[map], rules: rules[map] })),
    elements: [
      { set: "bridges", text: bridge },
      { set: "same_bridge", text: `${bridge} . ${bridge}` },
      ...used.map((map) => ({ set: map, text: `${bridge} : jump ${names[map]}` })),
    ],
  };
}
