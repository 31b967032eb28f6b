// The face of dns/: the name server behind 127.0.0.11 of every container on a user-defined network. The shim holds the sockets in
// the container's namespace and passes queries on over a unix socket; a worker thread answers them, so that nothing that
// keeps the daemon's own thread busy is felt by a look-up. Protocol between shim and worker: docs/dns.md.

import type { ContainerId, NetworkId } from "../../../base/ids.ts";
import type { Logger } from "../../../base/log.ts";

export { createNameServer } from "./name-server.ts";

/** An endpoint as it is known by name on its network. */
export interface NamedEndpoint {
  readonly id: string;
  readonly networkId: NetworkId;
  readonly networkName: string;
  readonly containerId: ContainerId;
  /** The first is what PTR answers, with the network's name behind it: "web.frontend". */
  readonly names: readonly string[];
  /** Addresses without prefix; "" where there is none. */
  readonly ip: string;
  readonly ip6: string;
  /**
   * Lengths of the subnets' prefixes: nobody outside is asked for names of addresses in them. Left out (or 0) where the subnet is
   * not the engine's own, as on macvlan and ipvlan networks: there only the endpoints' own addresses are kept inside.
   */
  readonly prefix?: number;
  readonly prefix6?: number;
}

/** What one container sees. */
export interface NameClient {
  readonly containerId: ContainerId;
  /** In the order in which they are asked: names of the first win. */
  readonly networks: readonly NetworkId[];
  /** Alias → name on one of its networks: links, which only this container sees. */
  readonly links: Readonly<Record<string, string>>;
  /** Upstream servers, reached from the host's namespace; loopback addresses are the host's own. */
  readonly servers: readonly string[];
  /** Only internal networks: nothing is asked outside. */
  readonly internal: boolean;
  /** ndots was set by the client: names of one label are not asked outside. */
  readonly ndotsSet: boolean;
}

export interface NameServer {
  /** `<execRoot>/dns.sock`: where shims connect. */
  readonly socketPath: string;
  /** Adds or replaces; takes effect for the next query. Starts the worker when it is the first. */
  setEndpoint(endpoint: NamedEndpoint): void;
  removeEndpoint(id: string): void;
  setClient(client: NameClient): void;
  removeClient(containerId: ContainerId): void;
  close(): Promise<void>;
}

export interface NameServerDeps {
  readonly socketPath: string;
  readonly logger: Logger;
}
