// The records of the room and their rows: a network, and an endpoint (a container's place on it).

import { type ContainerId, type NetworkId, parseContainerId, parseNetworkId } from "../../base/ids.ts";
import type { Tables } from "../store/index.ts";
import type { BridgeAddress } from "./choose-subnet.ts";

export interface NetworkRecord {
  readonly id: NetworkId;
  readonly name: string;
  readonly driver: "bridge" | "host" | "null";
  /** RFC 3339 */
  readonly created: string;
  /** What a bridge network has on the host; undefined for the others, and before its first set-up. */
  readonly bridge: (BridgeAddress & { readonly interface: string; readonly mtu: number }) | undefined;
}

export interface Endpoint {
  /** 64 hex digits, new at each start. */
  readonly id: string;
  readonly containerId: ContainerId;
  readonly networkId: NetworkId;
  /** "172.17.0.2" */
  readonly ip: string;
  readonly mac: string;
  readonly hostInterface: string;
  readonly prefix: number;
  readonly gateway: string;
}

export function renderNetworkRow(record: NetworkRecord): Tables["networks"] {
  const { driver, created, bridge } = record;
  return { id: record.id, name: record.name, doc: JSON.stringify({ driver, created, bridge }) };
}

/** @throws SyntaxError|InvalidParameter the row is damaged */
export function parseNetworkRow(row: Tables["networks"]): NetworkRecord {
  const doc = JSON.parse(row.doc) as Pick<NetworkRecord, "driver" | "created" | "bridge">;
  return { id: parseNetworkId(row.id), name: row.name, driver: doc.driver, created: doc.created, bridge: doc.bridge };
}

export function renderEndpointRow(endpoint: Endpoint): Tables["endpoints"] {
  const { hostInterface, prefix, gateway } = endpoint;
  return {
    id: endpoint.id,
    container_id: endpoint.containerId,
    network_id: endpoint.networkId,
    ip: endpoint.ip,
    mac: endpoint.mac,
    doc: JSON.stringify({ hostInterface, prefix, gateway }),
  };
}

/** @throws SyntaxError|InvalidParameter the row is damaged */
export function parseEndpointRow(row: Tables["endpoints"]): Endpoint {
  const doc = JSON.parse(row.doc) as Pick<Endpoint, "hostInterface" | "prefix" | "gateway">;
  return {
    id: row.id,
    containerId: parseContainerId(row.container_id),
    networkId: parseNetworkId(row.network_id),
    ip: row.ip,
    mac: row.mac,
    hostInterface: doc.hostInterface,
    prefix: doc.prefix,
    gateway: doc.gateway,
  };
}
