// GET /networks and GET /networks/{id}: networks as the API shows them, with every field and in the order of dockerd 28.5.

import { EngineError } from "../../base/errors.ts";
import type { IPAMConfig, Network, NetworkContainer } from "../../spec/docker/network.ts";
import type { Filters } from "../api/ports.ts";
import { filterNetworks } from "./filters.ts";
import { parseCidr } from "./ipam/index.ts";
import type { Endpoint, NetworkRecord, NetworkSubnet } from "./record.ts";
import type { NetworkRoom } from "./room.ts";

/** Sorted by key, as Go writes maps. */
function sorted<T>(map: Readonly<Record<string, T>>): Readonly<Record<string, T>> {
  return Object.fromEntries(Object.entries(map).toSorted(([a], [b]) => (a < b ? -1 : 1)));
}

function familyOf(subnet: string | undefined): 4 | 6 | undefined {
  return parseCidr(subnet ?? "")?.subnet.family;
}

function renderAsked({ Subnet, IPRange, Gateway, AuxiliaryAddresses }: IPAMConfig): IPAMConfig {
  return {
    Subnet: Subnet ?? "",
    ...(IPRange === undefined ? {} : { IPRange }),
    ...(Gateway === undefined ? {} : { Gateway }),
    ...(AuxiliaryAddresses === undefined ? {} : { AuxiliaryAddresses: sorted(AuxiliaryAddresses ?? {}) }),
  };
}

/** Range and auxiliary addresses are what the daemon's directives say of the default bridge. */
function renderChosen({ subnet, ipRange, gateway, auxiliary }: NetworkSubnet): IPAMConfig {
  return {
    Subnet: subnet,
    ...(ipRange === "" ? {} : { IPRange: ipRange }),
    ...(gateway === "" ? {} : { Gateway: gateway }),
    ...(Object.keys(auxiliary).length === 0 ? {} : { AuxiliaryAddresses: sorted(auxiliary) }),
  };
}

/** What the client named comes first and as it came; of a family of which nothing was named, what the engine chose. */
function renderConfig({ ipamConfig, subnets }: NetworkRecord): readonly IPAMConfig[] | null {
  const asked = (family: 4 | 6): readonly IPAMConfig[] =>
    ipamConfig.filter(({ Subnet }) => familyOf(Subnet) === family).map(renderAsked);
  const chosen = (family: 4 | 6): readonly IPAMConfig[] =>
    asked(family).length > 0 ? [] : subnets.filter(({ subnet }) => familyOf(subnet) === family).map(renderChosen);
  const all = [...asked(4), ...asked(6), ...chosen(4), ...chosen(6)];
  return all.length === 0 ? null : all;
}

/** Pure. */
export function renderNetwork(record: NetworkRecord, containers: Readonly<Record<string, NetworkContainer>>): Network {
  return {
    Name: record.name,
    Id: record.id,
    Created: record.created,
    Scope: "local",
    Driver: record.driver,
    EnableIPv4: record.enableIpv4,
    EnableIPv6: record.enableIpv6,
    IPAM: {
      Driver: record.ipamDriver,
      Options: record.ipamOptions === null ? null : sorted(record.ipamOptions),
      Config: renderConfig(record),
    },
    Internal: record.internal,
    Attachable: record.attachable,
    Ingress: false,
    ConfigFrom: { Network: record.configFrom },
    ConfigOnly: record.configOnly,
    Containers: sorted(containers),
    Options: sorted(record.options),
    Labels: sorted(record.labels),
  };
}

function renderMember(name: string, { id, mac, ip, prefix, ip6, prefix6 }: Endpoint): NetworkContainer {
  return {
    Name: name,
    EndpointID: id,
    MacAddress: mac,
    IPv4Address: ip === "" ? "" : `${ip}/${prefix}`,
    IPv6Address: ip6 === "" ? "" : `${ip6}/${prefix6}`,
  };
}

/** The containers on a network, by id. */
function membersOf(room: NetworkRoom, record: NetworkRecord): Readonly<Record<string, NetworkContainer>> {
  const { users } = room.deps;
  if (record.configOnly) return {};
  return Object.fromEntries(
    room
      .membersOf(record.id)
      .map((endpoint) => [endpoint.containerId, renderMember(users.get(endpoint.containerId)?.name ?? "", endpoint)]),
  );
}

/** Without members, as dockerd has it. @throws InvalidParameter a filter that is none */
export function listNetworks(room: NetworkRoom, filters: Filters): readonly Network[] {
  const records = [...room.records.values()].filter(({ id }) => !room.unfinished.has(id));
  const isUsed = (record: NetworkRecord): boolean => Object.keys(membersOf(room, record)).length > 0;
  return filterNetworks(records, filters, isUsed).map((record) => renderNetwork(record, {}));
}

/**
 * `verbose` adds what swarm knows of the network: nothing on a single host.
 *
 * @throws NotFound no such network, or none of that scope; InvalidParameter an ambiguous prefix
 */
export function inspectNetwork(
  room: NetworkRoom,
  nameOrId: string,
  { scope }: { readonly verbose: boolean; readonly scope: string },
): Network {
  const record = scope === "" || scope === "local" ? room.find(nameOrId) : undefined;
  if (record === undefined) throw new EngineError("NotFound", `network ${nameOrId} not found`);
  return renderNetwork(record, membersOf(room, record));
}
