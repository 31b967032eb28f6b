// The face of the network room: the built-in networks, addresses, firewall and the per-container files.
// The interface pair itself is made by the shim in one netlink conversation (runtime/shim.ts); the data is decided here.

import type { ContainerId } from "../../base/ids.ts";
import type { Logger } from "../../base/log.ts";
import type {
  ContainerConfig,
  EndpointSettings,
  HostConfig,
  NetworkingConfig,
  NetworkSettings,
} from "../../spec/docker/container.ts";
import type { NetworksPort } from "../api/ports.ts";
import type { ShimNetwork } from "../runtime/shim.ts";
import type { Change, Store } from "../store/index.ts";

export { createNetworks } from "./networks.ts";
export { parseBip } from "./choose-subnet.ts";

/** Where a container will be connected: decided, addresses reserved by the rows in `changes`. */
export interface Connection {
  readonly network: ShimNetwork;
  /** Endpoint rows to insert in the caller's transaction; a Conflict means: call connect again. */
  readonly changes: readonly Change[];
  /** For inspect, keyed by network name ("bridge", "host", "none"). */
  readonly endpoints: Readonly<Record<string, EndpointSettings>>;
  readonly settings: NetworkSettings;
}

export interface NetworkRequest {
  readonly id: ContainerId;
  readonly hostConfig: HostConfig;
  readonly config: ContainerConfig;
  /** Path of the namespace to join for `container:ID`. */
  readonly joined: string | undefined;
  /** As given at create; asks for a MAC address at most. */
  readonly networkingConfig?: NetworkingConfig;
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

/** The daemon's flags that concern networks. */
export interface NetworkConfig {
  /** Name of an existing bridge to use; "" makes `gantry0`, "none" makes no bridge network. */
  readonly bridge: string;
  /** Address of `gantry0` with prefix; undefined chooses one. */
  readonly bip: string | undefined;
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
  readonly logger: Logger;
}

/** Contents of the three files that each container gets; undefined address for host and none. */
export interface NetworkFiles {
  readonly hosts: string;
  readonly hostname: string;
  readonly resolvConf: string;
}

export interface Networks extends NetworksPort {
  /** Creates or adopts the default bridge, its address and our nft table. Idempotent; called at start-up. */
  setUp(): Promise<void>;
  /** Complaints about the request itself, before any effect. All of them. */
  validate(config: ContainerConfig, hostConfig: HostConfig, networkingConfig?: NetworkingConfig): readonly string[];
  /**
   * Reserves an address until `release`, whether the changes are committed or not.
   *
   * @throws NotFound    "failed to set up container networking: network x not found"
   * @throws Unavailable the network has no address left
   * @throws Conflict    the MAC address asked for is in use
   */
  connect(request: NetworkRequest): Promise<Connection>;
  /** Rows that free the container's addresses; also abandons a connect that was not committed. */
  release(id: ContainerId): readonly Change[];
  /**
   * Endpoints as committed, for a container that runs; empty settings where it has none.
   *
   * @param asked      what the request says about the endpoint
   * @param wasStarted false: it never ran, and only what was asked for is shown
   */
  settings(
    id: ContainerId,
    hostConfig: HostConfig,
    asked?: NetworkingConfig,
    wasStarted?: boolean,
  ): { readonly settings: NetworkSettings };
  /**
   * @param address the container's own address without prefix, where it has one
   * @throws InvalidParameter host-gateway is asked for, and there is no bridge that would be it
   */
  files(request: NetworkRequest, address: string | undefined): Promise<NetworkFiles>;
  /** Address of the host as containers see it, for `host-gateway`. */
  readonly hostGateway: string;
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
