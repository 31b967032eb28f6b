// The face of the network room: the built-in networks, addresses, firewall and the per-container files.
// The interface pair itself is made by the shim in one netlink conversation (runtime/shim.ts); the data is decided here.

import type { ContainerId, NetworkId } from "../../base/ids.ts";
import type { Logger } from "../../base/log.ts";
import type {
  ContainerConfig,
  EndpointSettings,
  HostConfig,
  NetworkingConfig,
  NetworkSettings,
} from "../../spec/docker/container.ts";
import type { NetworksPort } from "../api/ports.ts";
import type { Events } from "../events/index.ts";
import type { ShimNetwork, ShimOwnNetwork } from "../runtime/shim.ts";
import type { Change, Store } from "../store/index.ts";
import type { AddressPoolConfig } from "./ipam/index.ts";
import type { PublishedPort } from "./ports/index.ts";
import type { DriverName } from "./record.ts";

export { createNetworks } from "./networks.ts";
export { mergeHosts } from "./hosts-file.ts";
export { renderPortSummaries } from "./ports/index.ts";
export { parseBip } from "./choose-subnet.ts";
export { type AddressPoolConfig, complainAboutPool, parseCidr } from "./ipam/index.ts";

/** How a container is connected: decided, addresses and ports reserved by the rows in `changes`. */
export interface Connection {
  readonly network: ShimNetwork;
  /** Rows to write in the caller's transaction. */
  readonly changes: readonly Change[];
}

/** A container on the default bridge that another one is linked to (`--link`). */
export interface LinkedHost {
  readonly containerId: ContainerId;
  readonly name: string;
  readonly alias: string;
  readonly hostname: string;
}

/** What of a container's record concerns networks. */
export interface NetworkRequest {
  readonly id: ContainerId;
  readonly name: string;
  readonly config: ContainerConfig;
  readonly hostConfig: HostConfig;
  /** What is asked of each network, by its name; without EndpointsConfig the one that NetworkMode means. */
  readonly networkingConfig: NetworkingConfig;
  /** Path of the namespace to join for `container:ID`. */
  readonly joined?: string | undefined;
  readonly links?: readonly LinkedHost[];
}

/** A change to the networks of a container that runs: decided and reserved. */
export interface NetworkChange {
  /** What the shim is told, and what it was told before. */
  readonly network: ShimOwnNetwork;
  readonly before: ShimOwnNetwork;
  /** Rows to write before the shim is told. */
  readonly changes: readonly Change[];
  /** The shim has done it. */
  finish(): void;
  /** It was not to be: rows that take `changes` back. */
  undo(): readonly Change[];
}

/** A network that a container is connected to. */
export interface ConnectedNetwork {
  readonly id: NetworkId;
  readonly name: string;
  readonly driver: DriverName;
  /** A configuration for other networks: nothing can be connected to it. */
  readonly configOnly: boolean;
}

/** A container whose first process runs, or is paused. */
export interface NetworkUser {
  readonly id: ContainerId;
  readonly name: string;
  /** As in HostConfig. */
  readonly networkMode: string;
  readonly pid: number;
}

/** Who is on the networks; asked of containers/, so that network/ does not depend on it. */
export interface NetworkUsers {
  get(id: ContainerId): NetworkUser | undefined;
  running(): readonly NetworkUser[];
}

/** Driver → options that a new network has unless it says otherwise: the daemon's default-network-opts. */
export type DefaultNetworkOptions = Readonly<Record<string, Readonly<Record<string, string>>>>;

/** The daemon's flags that concern networks. */
export interface NetworkConfig {
  /** Name of an existing bridge to use; "" makes `gantry0`, "none" makes no bridge network. */
  readonly bridge: string;
  /** Address of `gantry0` with prefix; undefined chooses one. */
  readonly bip: string | undefined;
  /** The default bridge network has IPv6, with this address and prefix, or undefined for a subnet of the pools. */
  readonly ipv6: boolean;
  readonly bip6: string | undefined;
  /** Addresses on the default bridge are given out of these subnets; undefined for all of it. */
  readonly fixedCidr: string | undefined;
  readonly fixedCidr6: string | undefined;
  /** What containers on the default bridge have for a gateway instead of the bridge; undefined for that. */
  readonly defaultGateway: string | undefined;
  readonly defaultGateway6: string | undefined;
  /** Of the default bridge: containers reach each other, and what leaves is masqueraded. */
  readonly icc: boolean;
  readonly ipMasq: boolean;
  /** Where ports are published that name no address of the host: "" for all of them. */
  readonly defaultHostIp: string;
  /** Whether tables of ours are written at all for that family. */
  readonly iptables: boolean;
  readonly ip6tables: boolean;
  /** Containers of networks in mode nat are reached from outside by their own addresses. */
  readonly allowDirectRouting: boolean;
  /** What `host-gateway` means; empty for the default bridge's addresses. At most one of each family. */
  readonly hostGatewayIps: readonly string[];
  readonly defaultAddressPools: readonly AddressPoolConfig[];
  readonly defaultNetworkOptions: DefaultNetworkOptions;
  readonly mtu: number;
  /** Turn on net.ipv4.ip_forward. */
  readonly ipForward: boolean;
  /** For containers that ask for none. */
  readonly dns: readonly string[];
  readonly dnsSearch: readonly string[];
  readonly dnsOptions: readonly string[];
}

export interface NetworkDeps {
  readonly store: Pick<Store, "load" | "commit">;
  readonly users: NetworkUsers;
  readonly config: NetworkConfig;
  readonly events: Pick<Events, "publish">;
  /** What the default IPv6 pool is derived from. */
  readonly engineId: string;
  /** Where the name server's socket is. */
  readonly execRoot: string;
  readonly logger: Logger;
}

/** Contents of the three files that each container gets. */
export interface NetworkFiles {
  readonly hosts: string;
  readonly hostname: string;
  readonly resolvConf: string;
}

export interface Networks extends NetworksPort {
  /** Creates or adopts the default bridge, its address and our nft table. Idempotent; called at start-up. */
  setUp(): Promise<void>;
  /**
   * Complaints about the request itself, before any effect. All of them.
   *
   * @param networkingConfig with the names that `canonicalName` gives
   */
  validate(config: ContainerConfig, hostConfig: HostConfig, networkingConfig?: NetworkingConfig): readonly string[];
  /** Complaints about connecting to a network, in dockerd's words, a line each. */
  validateEndpoint(network: string, settings: EndpointSettings): readonly string[];
  /** The name of the network that a name, an id or the beginning of one means; the text itself where there is none. */
  canonicalName(nameOrId: string): string;
  /** @throws NotFound "network x not found" */
  find(nameOrId: string): ConnectedNetwork;
  /**
   * Reserves addresses, ports and names until `release`, whether the changes are committed or not.
   *
   * @throws NotFound         "failed to set up container networking: network x not found"
   * @throws InvalidParameter networks that cannot be combined
   * @throws Unavailable      a network has no address left
   * @throws Conflict         an address, MAC or port that was asked for is in use
   */
  connect(request: NetworkRequest): Promise<Connection>;
  /** Rows that free what the container holds; also abandons a connect that was not committed. */
  release(id: ContainerId): readonly Change[];
  /** A container that runs, of an earlier daemon: its ports and names are known again. */
  adopt(request: NetworkRequest): void;
  /** What the shim of a container that runs was told, by the rows; undefined where it has no network of its own. */
  wanted(request: NetworkRequest): ShimOwnNetwork | undefined;
  /**
   * One network more for a container that runs.
   *
   * @param before the container as it was; `after` has the network in its networkingConfig
   * @throws as connect, without its first words
   */
  join(before: NetworkRequest, after: NetworkRequest, network: NetworkId): NetworkChange;
  /** One network less. @throws System it is not connected */
  leave(before: NetworkRequest, after: NetworkRequest, network: NetworkId): NetworkChange;
  /** The container has another name, or other networks' settings: its endpoints' rows as they are now. */
  renamed(request: NetworkRequest): readonly Change[];
  /** The networks that a container is connected to while it runs. */
  connected(id: ContainerId): readonly ConnectedNetwork[];
  /** What is published of a container that runs. */
  published(id: ContainerId): readonly PublishedPort[];
  /**
   * Endpoints as they are, for a container that runs; otherwise what was asked for.
   *
   * @param wasStarted false: it never ran, and only what was asked for is shown
   */
  settings(request: NetworkRequest, wasStarted: boolean): NetworkSettings;
  /**
   * As the container is connected now.
   *
   * @throws InvalidParameter host-gateway is asked for, and there is no bridge that would be it
   */
  files(request: NetworkRequest): Promise<NetworkFiles>;
  /** Containers have ended whose shims did not take their elements back: the tables are written anew. */
  resync(): Promise<void>;
  /** Somebody changed nft's tables. */
  rulesChanged(): void;
  close(): Promise<void>;
  /** Addresses of the host as containers see it, one of each family at most, for `host-gateway`. */
  readonly hostGateways: readonly string[];
  /** F6, F7, F12 for `system check`. */
  check(
    running: ReadonlySet<ContainerId>,
    options: { readonly repair: boolean },
  ): Promise<
    readonly {
      readonly invariant: string;
      readonly subject: string;
      readonly detail: string;
      readonly repaired: boolean;
    }[]
  >;
}
