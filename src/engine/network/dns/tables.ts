// What is known by name: the endpoints of each network, and what each container may see of them.

import { isIP } from "node:net";
import type { ContainerId, NetworkId } from "../../../base/ids.ts";
import type { NameClient, NamedEndpoint } from "./index.ts";
import type { Change } from "./messages.ts";
import { dataOf, type RecordTail, renderRecord } from "./reply.ts";

interface Known {
  readonly endpoint: NamedEndpoint;
  readonly names: readonly string[];
  readonly a: RecordTail | undefined;
  readonly aaaa: RecordTail | undefined;
}

interface KnownNetwork {
  /** Lower case. */
  readonly name: string;
  readonly byName: Map<string, readonly Known[]>;
  /** By the address's bytes in hex. */
  readonly byAddress: Map<string, Known>;
  /** Members by the subnet that they say they are in, as the hex and the number of its bits. */
  readonly subnets: Map<string, number>;
}

/** A client with its links by lower-case alias. */
export interface ClientView {
  readonly client: NameClient;
  readonly links: ReadonlyMap<string, string>;
}

/** The records of a local name; none of a family where it has no such address. */
export interface LocalName {
  readonly a: readonly RecordTail[];
  readonly aaaa: readonly RecordTail[];
}

export class NameTables {
  readonly #endpoints = new Map<string, Known>();
  readonly #networks = new Map<NetworkId, KnownNetwork>();
  readonly #clients = new Map<ContainerId, ClientView>();

  apply(change: Change): void {
    if ("endpoint" in change) this.#setEndpoint(change.endpoint);
    else if ("endpointGone" in change) this.#removeEndpoint(change.endpointGone);
    else if ("client" in change) this.#setClient(change.client);
    else this.#clients.delete(change.clientGone);
  }

  client(id: ContainerId): ClientView | undefined {
    return this.#clients.get(id);
  }

  #setClient(client: NameClient): void {
    const links = Object.entries(client.links).map(
      ([alias, name]) => [alias.toLowerCase(), name.toLowerCase()] as const,
    );
    this.#clients.set(client.containerId, { client, links: new Map(links) });
  }

  #setEndpoint(endpoint: NamedEndpoint): void {
    this.#removeEndpoint(endpoint.id);
    const { networkId, ip, ip6 } = endpoint;
    const known: Known = {
      endpoint,
      names: [...new Set(endpoint.names.map((name) => name.toLowerCase()))],
      a: isIP(ip) === 4 ? renderRecord("A", ip) : undefined,
      aaaa: isIP(ip6) === 6 ? renderRecord("AAAA", ip6) : undefined,
    };
    this.#endpoints.set(endpoint.id, known);
    const network = this.#networks.get(networkId) ?? {
      name: endpoint.networkName.toLowerCase(),
      byName: new Map<string, readonly Known[]>(),
      byAddress: new Map<string, Known>(),
      subnets: new Map<string, number>(),
    };
    this.#networks.set(networkId, network);
    for (const name of known.names) network.byName.set(name, [...(network.byName.get(name) ?? []), known]);
    for (const address of addressesOf(known)) network.byAddress.set(address, known);
    for (const subnet of subnetsOf(known)) network.subnets.set(subnet, (network.subnets.get(subnet) ?? 0) + 1);
  }

  #removeEndpoint(id: string): void {
    const known = this.#endpoints.get(id);
    const network = known === undefined ? undefined : this.#networks.get(known.endpoint.networkId);
    if (known === undefined || network === undefined) return;
    this.#endpoints.delete(id);
    for (const name of known.names) {
      const rest = network.byName.get(name)?.filter((other) => other !== known) ?? [];
      if (rest.length > 0) network.byName.set(name, rest);
      else network.byName.delete(name);
    }
    for (const address of addressesOf(known))
      if (network.byAddress.get(address) === known) network.byAddress.delete(address);
    for (const subnet of subnetsOf(known)) {
      const rest = (network.subnets.get(subnet) ?? 1) - 1;
      if (rest > 0) network.subnets.set(subnet, rest);
      else network.subnets.delete(subnet);
    }
    const isEmpty = network.byName.size === 0 && network.byAddress.size === 0 && network.subnets.size === 0;
    if (isEmpty) this.#networks.delete(known.endpoint.networkId);
  }

  /**
   * What a name means to a client: links first, then the name on its networks in their order, then `name.network`.
   *
   * @param name lower case, without the last dot
   */
  find({ client, links }: ClientView, name: string): LocalName | undefined {
    const networks = client.networks.flatMap((id) => this.#networks.get(id) ?? []);
    return this.#findOn(networks, links, name) ?? this.#findQualified(networks, links, name);
  }

  #findOn(networks: readonly KnownNetwork[], links: ReadonlyMap<string, string>, name: string): LocalName | undefined {
    const target = links.get(name);
    return (target === undefined ? undefined : recordsOf(networks, target)) ?? recordsOf(networks, name);
  }

  #findQualified(
    networks: readonly KnownNetwork[],
    links: ReadonlyMap<string, string>,
    name: string,
  ): LocalName | undefined {
    for (const network of networks) {
      if (!name.endsWith(`.${network.name}`)) continue;
      const found = this.#findOn([network], links, name.slice(0, -network.name.length - 1));
      if (found !== undefined) return found;
    }
    return undefined;
  }

  /**
   * The names of an address on one of the client's networks, "web.frontend" first; none where the address is one of ours that
   * the client has no business with, or that nobody has; undefined for an address of elsewhere.
   *
   * @param address its bytes in hex
   */
  nameOf({ client }: ClientView, address: string): readonly string[] | undefined {
    for (const id of client.networks) {
      const known = this.#networks.get(id)?.byAddress.get(address);
      if (known !== undefined) return known.endpoint.names.map((name) => `${name}.${known.endpoint.networkName}`);
    }
    for (const network of this.#networks.values()) {
      if (network.byAddress.has(address)) return [];
      for (const subnet of network.subnets.keys()) if (isWithin(address, subnet)) return [];
    }
    return undefined;
  }
}

/**
 * The first network that knows the name says whose it is; the addresses of a family come from the first network where
 * those containers have one. So A and AAAA of a name are never two different containers'.
 */
function recordsOf(networks: readonly KnownNetwork[], name: string): LocalName | undefined {
  const first = networks.find((network) => network.byName.has(name))?.byName.get(name);
  if (first === undefined) return undefined;
  const owners = new Set(first.map(({ endpoint }) => endpoint.containerId));
  const family = (key: "a" | "aaaa"): readonly RecordTail[] => {
    for (const network of networks) {
      const members = network.byName.get(name)?.filter(({ endpoint }) => owners.has(endpoint.containerId)) ?? [];
      const records = members.flatMap((member) => member[key] ?? []);
      if (records.length > 0) return records;
    }
    return [];
  };
  return { a: family("a"), aaaa: family("aaaa") };
}

function addressesOf({ a, aaaa }: Known): readonly string[] {
  return [a, aaaa].flatMap((record) => (record === undefined ? [] : [dataOf(record)]));
}

/** "ac120000/16": the address's bytes in hex with the length of the prefix. */
function subnetsOf({ a, aaaa, endpoint }: Known): readonly string[] {
  const found: string[] = [];
  if (a !== undefined && (endpoint.prefix ?? 0) > 0) found.push(renderSubnet(dataOf(a), endpoint.prefix ?? 0));
  if (aaaa !== undefined && (endpoint.prefix6 ?? 0) > 0) found.push(renderSubnet(dataOf(aaaa), endpoint.prefix6 ?? 0));
  return found;
}

function renderSubnet(address: string, prefix: number): string {
  return `${keepBits(address, prefix)}/${prefix}`;
}

function isWithin(address: string, subnet: string): boolean {
  const [bits = "", prefix = ""] = subnet.split("/");
  return bits.length === address.length && keepBits(address, Number(prefix)) === bits;
}

function keepBits(address: string, prefix: number): string {
  const drop = BigInt(address.length * 4 - prefix);
  return ((BigInt(`0x${address}`) >> drop) << drop).toString(16).padStart(address.length, "0");
}
