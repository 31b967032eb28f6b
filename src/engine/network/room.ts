// What the verbs of the network room share: the records in memory, loaded once, and the parts that they decide with.
// Invariant: an address of an endpoint is reserved in ipam, a port of a sandbox in ports; a row of the store is in memory or about to go.
// Locks: a container's mutex (containers/) is taken before anything here; changes of networks themselves go through `changing`.

import { EngineError } from "../../base/errors.ts";
import type { ContainerId, NetworkId } from "../../base/ids.ts";
import { KeyedMutex } from "../../base/mutex.ts";
import type { NameServer } from "./dns/index.ts";
import type { Driver } from "./drivers/index.ts";
import type { Firewall } from "./firewall/index.ts";
import type { NetworkDeps } from "./index.ts";
import type { Ipam } from "./ipam/index.ts";
import type { HostPorts } from "./ports/index.ts";
import type { DriverName, Endpoint, NetworkRecord, Sandbox } from "./record.ts";

export interface NetworkParts {
  readonly ipam: Ipam;
  readonly ports: HostPorts;
  readonly firewall: Firewall;
  readonly names: NameServer;
  readonly drivers: Readonly<Record<DriverName, Driver>>;
}

export class NetworkRoom {
  readonly deps: NetworkDeps;
  readonly parts: NetworkParts;
  readonly records = new Map<NetworkId, NetworkRecord>();
  /** Networks whose set-up on the host failed, and why: the others work. */
  readonly broken = new Map<NetworkId, EngineError>();
  /** Networks that are being made: in `records` for the firewall's sake, found by nobody yet. */
  readonly unfinished = new Set<NetworkId>();
  readonly sandboxes = new Map<ContainerId, Sandbox>();
  /** Endpoints that a live change has decided to give up, by id: their containers have them until the shim has said so. */
  readonly leaving = new Map<string, Endpoint>();
  /** When an endpoint was made, monotonic ms: `check` leaves starts that are under way alone. */
  readonly madeAt = new Map<string, number>();
  /** One creation, removal or prune of networks at a time, keyed "networks": their subnets and names depend on each other. */
  readonly changing = new KeyedMutex();
  readonly #endpoints = new Map<string, Endpoint>();
  readonly #byContainer = new Map<ContainerId, Map<NetworkId, Endpoint>>();
  readonly #byNetwork = new Map<NetworkId, Map<ContainerId, Endpoint>>();
  readonly #macs = new Set<string>();

  constructor(deps: NetworkDeps, parts: NetworkParts) {
    this.deps = deps;
    this.parts = parts;
  }

  driverOf(network: NetworkRecord): Driver {
    return this.parts.drivers[network.driver];
  }

  /** By name, id, or unique prefix of an id. @throws NotFound; InvalidParameter for an ambiguous prefix */
  find(nameOrId: string): NetworkRecord {
    const exact =
      this.records.get(nameOrId as NetworkId) ?? this.records.values().find(({ name }) => name === nameOrId);
    if (exact !== undefined && !this.unfinished.has(exact.id)) return exact;
    const all = [...this.records.values()].filter(({ id }) => !this.unfinished.has(id));
    const found = nameOrId === "" ? [] : all.filter(({ id }) => id.startsWith(nameOrId));
    const [first] = found;
    if (found.length > 1)
      throw new EngineError(
        "InvalidParameter",
        `network ${nameOrId} is ambiguous (${found.length} matches found based on ID prefix)`,
      );
    if (first === undefined) throw new EngineError("NotFound", `network ${nameOrId} not found`);
    return first;
  }

  /** By endpoint id. */
  get endpoints(): ReadonlyMap<string, Endpoint> {
    return this.#endpoints;
  }

  /** In the order in which the container was connected. */
  endpointsOf(containerId: ContainerId): readonly Endpoint[] {
    return [...(this.#byContainer.get(containerId)?.values() ?? [])];
  }

  membersOf(networkId: NetworkId): readonly Endpoint[] {
    return [...(this.#byNetwork.get(networkId)?.values() ?? [])];
  }

  endpointOn(networkId: NetworkId, containerId: ContainerId): Endpoint | undefined {
    return this.#byContainer.get(containerId)?.get(networkId);
  }

  isMacInUse(networkId: NetworkId, mac: string): boolean {
    return this.#macs.has(`${networkId} ${mac}`);
  }

  /** Adds an endpoint, or replaces the container's on that network. */
  setEndpoint(endpoint: Endpoint): void {
    const { id, containerId, networkId, mac } = endpoint;
    const before = this.endpointOn(networkId, containerId);
    if (before !== undefined && before.id !== id) this.deleteEndpoint(before.id);
    this.#endpoints.set(id, endpoint);
    put(this.#byContainer, containerId, networkId, endpoint);
    put(this.#byNetwork, networkId, containerId, endpoint);
    if (mac !== "") this.#macs.add(`${networkId} ${mac}`);
  }

  deleteEndpoint(id: string): Endpoint | undefined {
    const endpoint = this.#endpoints.get(id);
    if (endpoint === undefined) return undefined;
    const { containerId, networkId, mac } = endpoint;
    this.#endpoints.delete(id);
    this.madeAt.delete(id);
    drop(this.#byContainer, containerId, networkId);
    drop(this.#byNetwork, networkId, containerId);
    this.#macs.delete(`${networkId} ${mac}`);
    return endpoint;
  }
}

function put<A, B>(index: Map<A, Map<B, Endpoint>>, key: A, inner: B, endpoint: Endpoint): void {
  const found = index.get(key);
  if (found === undefined) index.set(key, new Map([[inner, endpoint]]));
  else found.set(inner, endpoint);
}

function drop<A, B>(index: Map<A, Map<B, Endpoint>>, key: A, inner: B): void {
  const found = index.get(key);
  found?.delete(inner);
  if (found?.size === 0) index.delete(key);
}
