// Address ranges and addresses, in memory: which subnets are whose, and which of their addresses are taken.

import { EngineError } from "../../../base/errors.ts";
import type { NetworkId } from "../../../base/ids.ts";
import type { IPAMConfig } from "../../../spec/docker/network.ts";
import type { NetworkRecord, NetworkSubnet } from "../record.ts";
import {
  contains,
  type Family,
  overlaps,
  parseAddress,
  parseSubnet,
  renderAddress,
  renderSubnet,
  type Subnet,
} from "./address.ts";
import { AddressSpace } from "./address-space.ts";
import type { AddressPoolConfig, Ipam, SubnetRequest } from "./index.ts";
import { chooseSubnet, parsePools, type Pool } from "./pools.ts";
import { complainAboutSubnets, joinComplaints } from "./validate.ts";

/** Auxiliary addresses of these names are what containers take for their gateway. Source: dockerd's bridge driver. */
const gatewayNames: Readonly<Record<Family, string>> = { 4: "DefaultGatewayIPv4", 6: "DefaultGatewayIPv6" };

/** A subnet with its addresses. */
interface Range {
  readonly space: AddressSpace;
  readonly described: NetworkSubnet;
}

interface Ranges {
  readonly name: string;
  readonly list: readonly Range[];
}

/**
 * @param configured the daemon's default-address-pools; a family without any has dockerd's defaults
 * @param engineId   what the default IPv6 pool is derived from
 * @throws InvalidParameter a pool that is none
 */
export function createIpam(configured: readonly AddressPoolConfig[], engineId: string): Ipam {
  return new AddressManager(parsePools(configured, engineId));
}

class AddressManager implements Ipam {
  readonly #pools: readonly Pool[];
  readonly #networks = new Map<NetworkId, Ranges>();

  constructor(pools: readonly Pool[]) {
    this.#pools = pools;
  }

  plan(networkId: NetworkId, request: SubnetRequest): readonly NetworkSubnet[] {
    const complaints = complainAboutSubnets(request.config, request.enableIpv6);
    if (complaints.length > 0) throw new EngineError("InvalidParameter", joinComplaints(complaints));
    const asked = request.config.flatMap((config) => {
      const subnet = parseSubnet(config.Subnet ?? "");
      return (subnet.family === 4 ? request.enableIpv4 : request.enableIpv6) ? [{ subnet, config }] : [];
    });
    for (const [i, { subnet }] of asked.entries())
      this.#refuseOverlap(
        subnet,
        asked.slice(0, i).map((other) => other.subnet),
        networkId,
      );
    const families = ([4, 6] as const).filter((family) => (family === 4 ? request.enableIpv4 : request.enableIpv6));
    const list = families.flatMap((family) => {
      const own = asked.filter(({ subnet }) => subnet.family === family);
      const whole = own.length > 0 ? own : [{ subnet: this.#choose(family, request.used, networkId), config: {} }];
      return whole.map(({ subnet, config }) => planRange(subnet, config, request.gateway));
    });
    this.#networks.set(networkId, { name: request.networkName, list });
    return list.map(({ described }) => described);
  }

  #refuseOverlap(subnet: Subnet, others: readonly Subnet[], networkId: NetworkId): void {
    const message = "invalid pool request: Pool overlaps with other one on this address space";
    if (others.some((other) => overlaps(other, subnet))) throw new EngineError("Forbidden", message);
    for (const [id, { name, list }] of this.#networks) {
      const other = id === networkId ? undefined : list.find(({ space }) => overlaps(space.subnet, subnet));
      if (other !== undefined)
        throw new EngineError("Forbidden", `${message}: network ${name} has ${other.described.subnet}`);
    }
  }

  #choose(family: Family, used: readonly string[], networkId: NetworkId): Subnet {
    const taken = [...this.#networks].flatMap(([id, { list }]) =>
      id === networkId ? [] : list.map(({ space }) => space.subnet),
    );
    const subnet = chooseSubnet(this.#pools, family, [...taken, ...used.map(parseSubnet)]);
    if (subnet === undefined)
      throw new EngineError(
        "InvalidParameter",
        `all predefined address pools have been fully subnetted: no IPv${family} subnet is left; name one with --subnet, remove networks, or give the daemon more with default-address-pools`,
      );
    return subnet;
  }

  adopt(network: NetworkRecord): void {
    const list = network.subnets.map((described) => {
      const range = described.ipRange === "" ? undefined : parseSubnet(described.ipRange);
      const space = new AddressSpace(parseSubnet(described.subnet), range);
      for (const text of [described.gateway, ...Object.values(described.auxiliary)]) {
        const address = parseAddress(text);
        if (address !== undefined) space.take(address.value);
      }
      return { space, described };
    });
    this.#networks.set(network.id, { name: network.name, list });
  }

  forget(networkId: NetworkId): void {
    this.#networks.delete(networkId);
  }

  allocate(
    networkId: NetworkId,
    family: Family,
    wanted: string,
  ): { readonly address: string; readonly prefix: number; readonly gateway: string } {
    const { name = "", list = [] } = this.#networks.get(networkId) ?? {};
    const ranges = list.filter(({ space }) => space.subnet.family === family);
    if (wanted !== "") {
      const address = parseAddress(wanted);
      const range = address && ranges.find(({ space }) => contains(space.subnet, address));
      if (address === undefined || range === undefined)
        throw new EngineError("InvalidParameter", `no configured subnet contains IP address ${wanted}`);
      if (!range.space.take(address.value)) throw new EngineError("Forbidden", "Address already in use");
      return renderAllocation(range, address.value);
    }
    for (const range of ranges) {
      const address = range.space.takeNext();
      if (address !== undefined) return renderAllocation(range, address);
    }
    throw new EngineError(
      "Unavailable",
      `no available IPv${family} addresses on this network's address pools: ${name} (${networkId})`,
    );
  }

  adoptAddress(networkId: NetworkId, text: string): void {
    const address = parseAddress(text);
    const space = address && this.#spaceOf(networkId, text);
    if (address !== undefined) space?.adopt(address.value);
  }

  free(networkId: NetworkId, text: string): void {
    const address = parseAddress(text);
    const range = address && this.#rangeOf(networkId, text);
    if (address === undefined || range === undefined || isReserved(range.described, renderAddress(address))) return;
    range.space.free(address.value);
  }

  #rangeOf(networkId: NetworkId, text: string): Range | undefined {
    const address = parseAddress(text);
    return address && this.#networks.get(networkId)?.list.find(({ space }) => contains(space.subnet, address));
  }

  #spaceOf(networkId: NetworkId, text: string): AddressSpace | undefined {
    return this.#rangeOf(networkId, text)?.space;
  }
}

function isReserved({ gateway, auxiliary }: NetworkSubnet, address: string): boolean {
  return gateway === address || Object.values(auxiliary).includes(address);
}

function renderAllocation(
  { space, described }: Range,
  value: bigint,
): { readonly address: string; readonly prefix: number; readonly gateway: string } {
  const { family, prefix } = space.subnet;
  const gateway = described.auxiliary[gatewayNames[family]] ?? described.gateway;
  return { address: renderAddress({ family, value }), prefix, gateway };
}

/** The config is checked. @throws Forbidden the gateway or an auxiliary address is taken, or there is no room for a gateway */
function planRange(subnet: Subnet, config: IPAMConfig, withGateway: boolean): Range {
  const { family } = subnet;
  const { IPRange = "", Gateway = "", AuxiliaryAddresses } = config;
  const range = IPRange === "" ? undefined : parseSubnet(IPRange);
  const space = new AddressSpace(subnet, range);
  const canonical = (value: bigint): string => renderAddress({ family, value });
  const valueOf = (text: string): bigint => parseAddress(text)?.value ?? subnet.base;
  let gateway = "";
  if (Gateway !== "") {
    if (!space.take(valueOf(Gateway)))
      throw new EngineError("Forbidden", `failed to allocate gateway (${Gateway}): Address already in use`);
    gateway = canonical(valueOf(Gateway));
  } else if (withGateway) {
    const lowest = space.takeLowest();
    if (lowest === undefined)
      throw new EngineError("Forbidden", "failed to allocate gateway (): no available addresses on this pool");
    gateway = canonical(lowest);
  }
  const auxiliary: Record<string, string> = {};
  for (const [name, text] of Object.entries(AuxiliaryAddresses ?? {})) {
    if (!space.take(valueOf(text)))
      throw new EngineError(
        "Forbidden",
        `failed to allocate secondary ip address (${name}:${text}): Address already in use`,
      );
    auxiliary[name] = canonical(valueOf(text));
  }
  const described: NetworkSubnet = {
    subnet: renderSubnet(subnet),
    ipRange: range === undefined ? "" : renderSubnet(range),
    gateway,
    auxiliary,
  };
  return { space, described };
}
