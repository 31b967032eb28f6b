// What `ip` must be told so that a bridge is as its network needs it. Pure: the host comes in as data.

import { SocketAddress } from "node:net";
import type { Link } from "../links.ts";
import type { NetworkRecord } from "../record.ts";
import { parseAddress } from "../ipam/index.ts";
import { macOfAddress } from "../mac.ts";
import { type BridgeOptions, parseBridgeOptions } from "./bridge-options.ts";
import { markOf, ownerOf } from "./device.ts";

/** The default network's bridge where no other is asked for. */
export const defaultBridge = "gantry0";

/** Kernel's and dockerd's default of an Ethernet device. */
const ethernetMtu = 1500;

/** A bridge as it shall be. */
export interface BridgeSpec {
  readonly name: string;
  /** Must exist already, and is nobody's to change: --bridge names it. */
  readonly adopted: boolean;
  readonly mark: string;
  readonly mac: string;
  readonly mtu: number;
  /** With prefix: "172.18.0.1/16", "fd00::1/64". */
  readonly addresses: readonly string[];
  readonly addresses6: readonly string[];
}

/** As the kernel prints it: lower case, zeros compressed. */
function canonical(address: string): string {
  return new SocketAddress({ address, family: "ipv6" }).address;
}

/** The bridge's own addresses: the gateways, but for those of a family that is isolated or left to somebody else. */
export function gatewayAddresses(
  network: NetworkRecord,
  { inhibitIpv4, mode4, mode6 }: BridgeOptions,
): { readonly ip4: readonly string[]; readonly ip6: readonly string[] } {
  const all = network.subnets
    .filter(({ gateway }) => gateway !== "")
    .map(({ gateway, subnet }) => ({ gateway, prefix: subnet.split("/")[1] ?? "", isIp6: gateway.includes(":") }));
  const ip4 = inhibitIpv4 || mode4 === "isolated" ? [] : all.filter(({ isIp6 }) => !isIp6);
  const ip6 = mode6 === "isolated" ? [] : all.filter(({ isIp6 }) => isIp6);
  return {
    ip4: ip4.map(({ gateway, prefix }) => `${gateway}/${prefix}`),
    ip6: ip6.map(({ gateway, prefix }) => `${canonical(gateway)}/${prefix}`),
  };
}

/** @param mtu the daemon's, for the default network */
export function bridgeSpec(network: NetworkRecord, mtu: number): BridgeSpec {
  const { values } = parseBridgeOptions(network.options);
  const { ip4, ip6 } = gatewayAddresses(network, values);
  const isDefault = network.name === "bridge";
  const first = parseAddress(ip4[0]?.split("/")[0] ?? "");
  return {
    name: network.interface,
    adopted: isDefault && network.interface !== defaultBridge,
    mark: markOf(network.id),
    mac: macOfAddress(first ?? { family: 4, value: BigInt(`0x${network.id.slice(0, 8)}`) }),
    mtu: values.mtu === 0 ? (isDefault ? mtu : ethernetMtu) : values.mtu,
    addresses: ip4,
    addresses6: ip6,
  };
}

/** Whether the device that is there is the engine's to change and to remove. */
export function isOurs(spec: Pick<BridgeSpec, "name">, link: Link): boolean {
  return spec.name === defaultBridge || ownerOf(link) !== undefined;
}

function addAddresses({ name, addresses, addresses6 }: BridgeSpec, link: Link | undefined): readonly string[] {
  return [
    ...addresses
      .filter((address) => link?.addresses.includes(address) !== true)
      .map((address) => `address add ${address} broadcast + dev ${name}`),
    ...addresses6
      .filter((address) => link?.addresses6.includes(address) !== true)
      .map((address) => `address add ${address} nodad dev ${name}`),
  ];
}

/**
 * Without an IPv6 address of ours the bridge has no link-local one either: containers find no IPv6 host on it. It learns no MAC from
 * frames to 01:80:c2:…, which no nft table sees: a container could take over a neighbour's with one.
 */
function createBridge(spec: BridgeSpec): readonly string[] {
  const { name, mac, mtu, mark } = spec;
  const linkLocal = spec.addresses6.length === 0 ? " addrgenmode none" : "";
  return [
    `link add name ${name} address ${mac} mtu ${mtu} type bridge no_linklocal_learn 1`,
    `link set dev ${name} alias "${mark}"${linkLocal}`,
  ];
}

/** Device and addresses apart: where IPv6 is off for new devices it is switched on between the two. */
export interface BridgePlan {
  readonly device: readonly string[];
  readonly addresses: readonly string[];
}

/** The commands for `ip -batch` that make the bridge what it should be; none when it is. A bridge of others only gets addresses. */
export function planBridge(spec: BridgeSpec, link: Link | undefined): BridgePlan {
  const { name } = spec;
  const up = link?.up === true ? [] : [`link set dev ${name} up`];
  if (link === undefined) return { device: createBridge(spec), addresses: [...addAddresses(spec, link), ...up] };
  if (!isOurs(spec, link)) return { device: [], addresses: [...addAddresses(spec, link), ...up] };
  const excess = [
    ...link.addresses.filter((address) => !spec.addresses.includes(address)),
    ...link.addresses6.filter((address) => !spec.addresses6.includes(address)),
  ];
  return {
    device: [
      ...(link.mtu === spec.mtu ? [] : [`link set dev ${name} mtu ${spec.mtu}`]),
      ...(link.alias === spec.mark ? [] : [`link set dev ${name} alias "${spec.mark}"`]),
    ],
    addresses: [...excess.map((address) => `address del ${address} dev ${name}`), ...addAddresses(spec, link), ...up],
  };
}

/** F6: what of the bridge is not as it should be. Pure. */
export function complainAboutBridge(spec: BridgeSpec, link: Link | undefined): readonly string[] {
  const { name } = spec;
  if (link === undefined) return [`the bridge ${name} is gone`];
  if (link.kind !== "bridge") return [`the device ${name} is no bridge`];
  const has = [...link.addresses, ...link.addresses6];
  return [
    ...(link.up ? [] : [`the bridge ${name} is down`]),
    ...[...spec.addresses, ...spec.addresses6]
      .filter((address) => !has.includes(address))
      .map((address) => `the bridge ${name} does not have its address ${address}`),
  ];
}
