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
  /** By endpoint id. */
  readonly endpoints = new Map<string, Endpoint>();
  readonly sandboxes = new Map<ContainerId, Sandbox>();
  /** When an endpoint was made, monotonic ms: `check` leaves starts that are under way alone. */
  readonly madeAt = new Map<string, number>();
  /** One creation, removal or prune of networks at a time, keyed "networks": their subnets and names depend on each other. */
  readonly changing = new KeyedMutex();

  constructor(deps: NetworkDeps, parts: NetworkParts) {
    this.deps = deps;
    this.parts = parts;
  }

  driverOf(network: NetworkRecord): Driver {
    return this.parts.drivers[network.driver];
  }

  /** By name, id, or unique prefix of an id. @throws NotFound; InvalidParameter for an ambiguous prefix */
  find(nameOrId: string): NetworkRecord {
    const all = [...this.records.values()];
    const exact = all.find(({ id, name }) => name === nameOrId || id === nameOrId);
    if (exact !== undefined) return exact;
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

  endpointsOf(containerId: ContainerId): readonly Endpoint[] {
    return [...this.endpoints.values()].filter((endpoint) => endpoint.containerId === containerId);
  }

  membersOf(networkId: NetworkId): readonly Endpoint[] {
    return [...this.endpoints.values()].filter((endpoint) => endpoint.networkId === networkId);
  }
}
