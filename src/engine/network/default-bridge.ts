// The record of the default bridge network: as the daemon's flags say, as before, or chosen. The host is read, not changed.

import { EngineError } from "../../base/errors.ts";
import { type BridgeAddress, chooseBridgeAddress, parseBip } from "./choose-subnet.ts";
import { bridgeKeys } from "./drivers/bridge-options.ts";
import { defaultBridge } from "./drivers/index.ts";
import { readHostSubnets } from "./host-subnets.ts";
import type { NetworkConfig } from "./index.ts";
import { parseCidr, parseSubnet, renderSubnet } from "./ipam/index.ts";
import { type Link, readLinks } from "./links.ts";
import type { NetworkRecord, NetworkSubnet } from "./record.ts";
import type { NetworkRoom } from "./room.ts";

/** An existing bridge of another name: its address is what counts. @throws InvalidParameter it cannot be used */
function adoptForeign(name: string, link: Link | undefined): BridgeAddress {
  if (link === undefined)
    throw new EngineError("InvalidParameter", `bridge device with non default name ${name} must be created manually`);
  if (link.kind !== "bridge") throw new EngineError("InvalidParameter", `${name} is not a bridge device`);
  const address = link.addresses.find(isIpv4);
  if (address === undefined)
    throw new EngineError(
      "InvalidParameter",
      `bridge ${name} has no IPv4 address; give it one (ip address add … dev ${name})`,
    );
  return parseBip(address);
}

function isIpv4(text: string): boolean {
  return parseCidr(text)?.subnet.family === 4;
}

/** @throws InvalidParameter the default address pools are used up */
function chooseOfPools(room: NetworkRoom, record: NetworkRecord, used: readonly string[]): BridgeAddress {
  const { ipam } = room.parts;
  const request = { networkName: record.name, enableIpv4: true, enableIpv6: false, config: [], gateway: true, used };
  const [planned] = ipam.plan(record.id, request);
  // It is adopted with the whole record.
  ipam.forget(record.id);
  if (planned === undefined) throw new EngineError("System", "no subnet was chosen for the default bridge");
  return planned;
}

/** "172.17.0.1/16" */
function renderBip(address: BridgeAddress): string {
  return `${address.gateway}/${address.subnet.split("/")[1] ?? ""}`;
}

/**
 * @throws InvalidParameter the bridge named cannot be used, or --bip is wrong
 * @throws Unavailable      no private range is free
 * @throws System           `ip` failed
 */
export async function planDefaultBridge(room: NetworkRoom, record: NetworkRecord): Promise<NetworkRecord> {
  const { config, logger } = room.deps;
  const name = config.bridge === "" ? defaultBridge : config.bridge;
  const links = await readLinks();
  const link = links.find((candidate) => candidate.name === name);
  const [subnet] = record.subnets;
  const before =
    record.interface === name && subnet !== undefined ? { subnet: subnet.subnet, gateway: subnet.gateway } : undefined;
  let address: BridgeAddress;
  const stored = [...room.records.values()]
    .filter(({ id }) => id !== record.id)
    .flatMap(({ subnets }) => subnets.map(({ subnet: other }) => other));
  // Node does not see the addresses of interfaces that are down.
  const addresses = links.filter((other) => other.name !== name).flatMap((other) => other.addresses);
  const used = [...readHostSubnets(name), ...addresses, ...stored];
  if (name === defaultBridge) {
    const existing = link?.addresses.find(isIpv4);
    const held = room.membersOf(record.id).length > 0;
    address = chooseBridgeAddress({
      bip: config.bip,
      before,
      held,
      existing,
      used: used.flatMap((text) => parseCidr(text)?.subnet ?? []),
      choose: () => chooseOfPools(room, record, used),
    });
    if (config.bip !== undefined && renderBip(parseBip(config.bip)) !== renderBip(address))
      logger.warn("running containers hold the bridge's addresses; --bip waits until they have ended", {
        bip: config.bip,
        bridge: renderBip(address),
      });
  } else address = adoptForeign(name, link);
  const subnet4: NetworkSubnet = {
    subnet: address.subnet,
    ipRange: config.fixedCidr ?? "",
    gateway: address.gateway,
    auxiliary: config.defaultGateway === undefined ? {} : { [defaultGatewayKey4]: config.defaultGateway },
  };
  return {
    ...record,
    interface: name,
    enableIpv6: config.ipv6,
    subnetsAsked: false,
    subnets: config.ipv6 ? [subnet4, planSubnet6(room, record, used)] : [subnet4],
    options: defaultOptions(config, name),
  };
}

/** Names of auxiliary addresses that are the containers' gateway in place of the bridge, as in dockerd. */
const defaultGatewayKey4 = "DefaultGatewayIPv4";
const defaultGatewayKey6 = "DefaultGatewayIPv6";

/** --bip6 with --fixed-cidr-v6 in it; --fixed-cidr-v6 alone is the subnet; otherwise as before, or one of the pools. */
function planSubnet6(room: NetworkRoom, record: NetworkRecord, used: readonly string[]): NetworkSubnet {
  const { bip6, fixedCidr6, defaultGateway6 } = room.deps.config;
  const auxiliary: Readonly<Record<string, string>> =
    defaultGateway6 === undefined ? {} : { [defaultGatewayKey6]: defaultGateway6 };
  const before = record.subnets.find(({ subnet }) => subnet.includes(":"));
  const asked = bip6 === undefined ? fixedCidr6 : undefined;
  if (bip6 === undefined && asked === undefined && before !== undefined) return { ...before, auxiliary };
  const { ipam } = room.parts;
  const config =
    bip6 === undefined
      ? asked === undefined
        ? []
        : [{ Subnet: asked }]
      : [
          {
            Subnet: renderSubnet(parseSubnet(bip6)),
            Gateway: bip6.split("/")[0] ?? "",
            ...(fixedCidr6 === undefined ? {} : { IPRange: fixedCidr6 }),
          },
        ];
  const [planned] = ipam.plan(record.id, {
    networkName: record.name,
    enableIpv4: false,
    enableIpv6: true,
    config,
    gateway: true,
    used,
  });
  // It is adopted with the whole record.
  ipam.forget(record.id);
  if (planned === undefined) throw new EngineError("System", "no IPv6 subnet was chosen for the default bridge");
  return { ...planned, auxiliary };
}

function defaultOptions(config: NetworkConfig, name: string): Readonly<Record<string, string>> {
  return {
    [bridgeKeys.defaultBridge]: "true",
    [bridgeKeys.icc]: String(config.icc),
    [bridgeKeys.masquerade]: String(config.ipMasq),
    [bridgeKeys.hostBinding]: config.defaultHostIp === "" ? "0.0.0.0" : config.defaultHostIp,
    [bridgeKeys.name]: name,
    [bridgeKeys.mtu]: String(config.mtu),
  };
}
