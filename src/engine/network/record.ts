// The records of the room and their rows: a network, an endpoint (a container's place on one), and a sandbox (what belongs to
// a container's network as a whole). Networks outlive everything; endpoints and sandboxes live as long as a run.

import { type ContainerId, type NetworkId, parseContainerId, parseNetworkId } from "../../base/ids.ts";
import type { IPAMConfig } from "../../spec/docker/network.ts";
import type { Tables } from "../store/index.ts";
import type { PublishedPort } from "./ports/index.ts";

export type DriverName = "bridge" | "host" | "null" | "macvlan" | "ipvlan";

/** One address range of a network, with everything filled in that the engine decides. */
export interface NetworkSubnet {
  /** "172.18.0.0/16", "fd00:1::/64"; host bits are zero. */
  readonly subnet: string;
  /** Addresses are given out of this part only; "" for the whole. */
  readonly ipRange: string;
  /** Address without prefix; "" where the network has none (internal macvlan, ipvlan l3). */
  readonly gateway: string;
  /** Name → address that is never given out. */
  readonly auxiliary: Readonly<Record<string, string>>;
}

export interface NetworkRecord {
  readonly id: NetworkId;
  readonly name: string;
  readonly driver: DriverName;
  /** RFC 3339 */
  readonly created: string;
  readonly enableIpv4: boolean;
  readonly enableIpv6: boolean;
  readonly internal: boolean;
  readonly attachable: boolean;
  /** A configuration for other networks, not a network: nothing can be connected to it. */
  readonly configOnly: boolean;
  /** Name of the configuration-only network that it took its settings from; "" for none. */
  readonly configFrom: string;
  readonly ipamDriver: string;
  /** As the client gave it: null and {} are shown as they came. */
  readonly ipamOptions: Readonly<Record<string, string>> | null;
  /** The subnets that the client named, word by word: for inspect, and of a configuration-only network all that there is. */
  readonly ipamConfig: readonly IPAMConfig[];
  /** Whether the client named the subnets: only then may addresses in it be asked for. */
  readonly subnetsAsked: boolean;
  readonly subnets: readonly NetworkSubnet[];
  /** Driver options as asked for, the daemon's defaults for new networks included. */
  readonly options: Readonly<Record<string, string>>;
  readonly labels: Readonly<Record<string, string>>;
  /** Device of the network on the host: "gantry0", "br-0123456789ab", "eth0.10"; "" where there is none. */
  readonly interface: string;
}

export interface Endpoint {
  /** 64 hex digits, new at each start. */
  readonly id: string;
  readonly containerId: ContainerId;
  readonly networkId: NetworkId;
  /** "172.17.0.2"; "" where the network has no IPv4. */
  readonly ip: string;
  /** "fd00::2"; "" where the network has no IPv6. */
  readonly ip6: string;
  /** "" where the parent's is used (ipvlan). */
  readonly mac: string;
  /** Host end of the veth pair, new at each start; "" for macvlan and ipvlan. */
  readonly hostInterface: string;
  /** Inside of the container: "eth0". */
  readonly interface: string;
  /** Length of the subnets' prefixes; 0 without that family. */
  readonly prefix: number;
  readonly prefix6: number;
  /** The network's gateways; "" for none. */
  readonly gateway: string;
  readonly gateway6: string;
  /** More addresses that were asked for, without prefix: IPAMConfig.LinkLocalIPs. */
  readonly linkLocal: readonly string[];
  /** What the name server answers for it on this network: name, aliases, short id. Lower case is not required. */
  readonly names: readonly string[];
}

/** A container's network as a whole, while it runs. */
export interface Sandbox {
  readonly containerId: ContainerId;
  readonly ports: readonly PublishedPort[];
  /** Networks whose gateways are the default routes, and to whose endpoints ports are published; "" for none. */
  readonly gatewayNetwork: NetworkId | "";
  readonly gatewayNetwork6: NetworkId | "";
}

/** Changes when a document of an older daemon can no longer be read as it is; version 1 had only the built-in networks. */
const docVersion = 2;

export function renderNetworkRow(record: NetworkRecord): Tables["networks"] {
  const { id, name, ...doc } = record;
  return { id, name, doc: JSON.stringify({ version: docVersion, ...doc }) };
}

/** What version 1 wrote about a network. */
interface FirstDoc {
  readonly driver: "bridge" | "host" | "null";
  readonly created: string;
  readonly bridge?: { readonly subnet: string; readonly gateway: string; readonly interface: string };
}

function fromFirst(row: Tables["networks"], { driver, created, bridge }: FirstDoc): NetworkRecord {
  return {
    id: parseNetworkId(row.id),
    name: row.name,
    driver,
    created,
    ...plainNetwork,
    subnets:
      bridge === undefined ? [] : [{ subnet: bridge.subnet, ipRange: "", gateway: bridge.gateway, auxiliary: {} }],
    interface: bridge?.interface ?? "",
  };
}

/** A network of which nothing special was asked. */
export const plainNetwork = {
  enableIpv4: true,
  enableIpv6: false,
  internal: false,
  attachable: false,
  configOnly: false,
  configFrom: "",
  ipamDriver: "default",
  ipamOptions: null,
  ipamConfig: [],
  subnetsAsked: false,
  subnets: [],
  options: {},
  labels: {},
  interface: "",
} as const satisfies Omit<NetworkRecord, "id" | "name" | "driver" | "created">;

/** @throws SyntaxError|InvalidParameter the row is damaged */
export function parseNetworkRow(row: Tables["networks"]): NetworkRecord {
  const { version, ...doc } = JSON.parse(row.doc) as { readonly version?: number };
  if (version === undefined) return fromFirst(row, doc as FirstDoc);
  return {
    ...plainNetwork,
    ...(doc as Omit<NetworkRecord, "id" | "name">),
    id: parseNetworkId(row.id),
    name: row.name,
  };
}

export function renderEndpointRow(endpoint: Endpoint): Tables["endpoints"] {
  const { id, containerId, networkId, ip, ip6, mac, ...doc } = endpoint;
  return {
    id,
    container_id: containerId,
    network_id: networkId,
    ip: ip === "" ? null : ip,
    ip6: ip6 === "" ? null : ip6,
    mac: mac === "" ? null : mac,
    doc: JSON.stringify(doc),
  };
}

/** @throws SyntaxError|InvalidParameter the row is damaged */
export function parseEndpointRow(row: Tables["endpoints"]): Endpoint {
  const doc = JSON.parse(row.doc) as Partial<Endpoint>;
  return {
    id: row.id,
    containerId: parseContainerId(row.container_id),
    networkId: parseNetworkId(row.network_id),
    ip: row.ip ?? "",
    ip6: row.ip6 ?? "",
    mac: row.mac ?? "",
    hostInterface: doc.hostInterface ?? "",
    interface: doc.interface ?? "eth0",
    prefix: doc.prefix ?? 0,
    prefix6: doc.prefix6 ?? 0,
    gateway: doc.gateway ?? "",
    gateway6: doc.gateway6 ?? "",
    linkLocal: doc.linkLocal ?? [],
    names: doc.names ?? [],
  };
}

export function renderSandboxRow({ containerId, ...doc }: Sandbox): Tables["sandboxes"] {
  return { container_id: containerId, doc: JSON.stringify(doc) };
}

/** @throws SyntaxError|InvalidParameter the row is damaged */
export function parseSandboxRow(row: Tables["sandboxes"]): Sandbox {
  const doc = JSON.parse(row.doc) as Omit<Sandbox, "containerId">;
  return { ...doc, containerId: parseContainerId(row.container_id) };
}
